import { constants, lstatSync, mkdirSync, realpathSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { dirname, join, resolve, sep } from 'node:path';
import { BerthError } from '../../errors.js';
import { errnoOf } from '../sysfs-read.js';
import type { PreparedFile } from './preparation.js';

/** Where a running system reads: files get there by an act of a person. */
const SYSTEM = ['etc', 'usr', 'boot', 'lib', 'lib64', 'bin', 'sbin', 'sys', 'proc', 'dev', 'run/systemd', 'run/udev'];
const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/**
 * Writes the files below a folder. A link on the way is refused, and a file that is replaced was a file of the folder.
 *
 * @param force replaces what is there; else nothing is written when one of the files exists
 * @throws BerthError `request.invalid`
 */
export async function writeFiles(folder: string, files: readonly PreparedFile[], force: boolean): Promise<void> {
  const root = resolve(folder);
  assertOutsideSystem(root);
  const targets = files.map((file) => ({ ...file, target: join(root, file.path) }));
  const existing = targets.filter(({ target }) => kindOf(target) !== null);
  if (existing.length > 0 && !force) {
    const names = existing.map(({ path }) => path).join(', ');
    throw refused(`${root} has ${names} already; take another folder, or --force to replace them`);
  }
  const odd = existing.find(({ target }) => kindOf(target) !== 'file');
  if (odd) throw refused(`${odd.target} is not a file; nothing is replaced`);
  for (const { path } of targets) makeFolders(root, dirname(path));
  for (const { target, text, mode } of targets) await replace(target, text, mode);
}

/** Of the folder, or of the nearest one above it that exists: a link may lead elsewhere than its name says. */
function assertOutsideSystem(root: string): void {
  let existing = root;
  while (kindOf(existing) === null && dirname(existing) !== existing) existing = dirname(existing);
  const real = `${realpathSync(existing)}${root.slice(existing.length)}`;
  const inside = SYSTEM.find((directory) =>
    [root, real].some((path) => `${path}${sep}`.startsWith(`/${directory}${sep}`)),
  );
  if (real === sep || inside !== undefined) {
    throw refused(
      `--output: ${root} is a part of the running system; write to a folder of your own, and install from there`,
    );
  }
}

function makeFolders(root: string, path: string): void {
  mkdirSync(root, { recursive: true });
  let at = root;
  for (const step of path.split('/').filter((name) => name !== '.')) {
    at = join(at, step);
    const kind = kindOf(at);
    if (kind === null) mkdirSync(at);
    else if (kind !== 'directory') throw refused(`${at} is not a directory; remove it, or take another folder`);
  }
}

/** All of the file or nothing of it: a temporary file beside it, then renamed. */
async function replace(target: string, text: string, mode: number): Promise<void> {
  const temporary = `${target}.new`;
  await rm(temporary, { force: true });
  const file = await open(temporary, NEW_FILE, mode);
  try {
    await file.writeFile(text);
    await file.chmod(mode);
  } finally {
    await file.close();
  }
  await rename(temporary, target);
}

function kindOf(path: string): 'file' | 'directory' | 'other' | null {
  try {
    const entry = lstatSync(path);
    if (entry.isFile()) return 'file';
    return entry.isDirectory() ? 'directory' : 'other';
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null;
    throw refused(`${path} cannot be looked at: ${errnoOf(error)}`);
  }
}

function refused(message: string): BerthError {
  return new BerthError('request.invalid', message);
}
