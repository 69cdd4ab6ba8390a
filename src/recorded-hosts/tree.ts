import { chmodSync, constants, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { lstat, mkdir, open, readdir, readFile, readlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { gunzipSync, gzipSync } from 'node:zlib';
import { BerthError, messageOf } from '../errors.js';

/** A text, or bytes where the file is not text (`config`). */
export type FileContent = string | Uint8Array;

/** One directory, file or symbolic link; `path` has no leading slash and no `..`, `mode` holds the permission bits. */
export type TreeEntry =
  | { readonly path: string; readonly kind: 'dir'; readonly mode: number }
  | { readonly path: string; readonly kind: 'file'; readonly mode: number; readonly content: FileContent }
  | { readonly path: string; readonly kind: 'link'; readonly target: string };

/**
 * What a host's kernel shows, as data: below the root are `sys/` and `proc/`.
 *
 * Invariant: entries are sorted by path, and every entry's directory is an entry before it.
 */
export interface HostTree {
  readonly name: string;
  readonly entries: readonly TreeEntry[];
}

/** More than any host has; a tree beyond it is not one. */
export const TREE_LIMITS = { entries: 500_000, fileBytes: 1 << 20, packedBytes: 64 << 20, pathLength: 1024 } as const;

const AT_ONCE = 64;
const WRITTEN_AT_ONCE = 500;
/** Regions of the device's memory and its firmware: large, slow, some with side effects. Never read. */
const NOT_READ = /^(resource\d+(_wc)?|rom|vpd)$/;
const RECORDED_TREES = 'test/fixtures/recorded-trees';

/**
 * Writes the tree below `directory`, which is made when missing and must be empty: with nothing there before, and no
 * entry below a link, nothing can be written elsewhere.
 *
 * @throws BerthError `sysfs.unreadable` when the tree is not well formed or the directory is not empty
 */
export async function writeTree(tree: HostTree, directory: string): Promise<void> {
  checkEntries(tree.name, tree.entries);
  await mkdir(directory, { recursive: true });
  if ((await readdir(directory)).length > 0) {
    throw new BerthError(
      'sysfs.unreadable',
      `${directory} is not empty; a host tree is written into an empty directory`,
    );
  }
  // Thousands of small files: one synchronous write takes a fraction of what a promise for it does.
  for (const [at, entry] of tree.entries.entries()) {
    writeEntry(entry, join(directory, entry.path));
    if (at % WRITTEN_AT_ONCE === 0) await setImmediate();
  }
}

function writeEntry(entry: TreeEntry, path: string): void {
  if (entry.kind === 'link') return symlinkSync(entry.target, path);
  if (entry.kind === 'dir') return mkdirSync(path, { mode: 0o755 });
  writeFileSync(path, entry.content, { flag: 'wx' });
  chmodSync(path, entry.mode); // the umask would have taken bits from it
}

/** Tells which entries {@link readTree} takes; a directory that is not taken is not entered. */
export type Selection = (path: string, kind: TreeEntry['kind']) => boolean;

/**
 * Reads a directory as a tree: a kernel's own (`/` with a selection), or one that was written before.
 *
 * Links are recorded, never followed: sysfs has cycles. An attribute that refuses to be read (EIO, EINVAL, ENODEV, …:
 * drivers answer so, and files vanish meanwhile) is recorded as empty.
 */
export async function readTree(directory: string, name: string, selects: Selection = () => true): Promise<HostTree> {
  const entries: TreeEntry[] = [];
  const waiting = [''];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    const found = await entriesOf(directory, path, selects);
    for (const entry of found) if (entry.kind === 'dir') waiting.push(entry.path);
    entries.push(...found);
    if (entries.length > TREE_LIMITS.entries) {
      throw new BerthError('sysfs.unreadable', `${directory} has more than ${TREE_LIMITS.entries} entries`);
    }
  }
  return { name, entries: sorted(entries) };
}

async function entriesOf(directory: string, path: string, selects: Selection): Promise<TreeEntry[]> {
  const listing = await readdir(join(directory, path), { withFileTypes: true }).catch(() => []);
  const taken = listing.flatMap((item) => {
    const kind = item.isSymbolicLink() ? 'link' : item.isDirectory() ? 'dir' : item.isFile() ? 'file' : null;
    const child = path === '' ? item.name : `${path}/${item.name}`;
    return kind !== null && selects(child, kind) ? [{ path: child, kind } as const] : [];
  });
  const entries = await inBatches(taken, ({ path: child, kind }) =>
    readEntry(directory, child, kind).catch(() => null),
  );
  return entries.filter((entry) => entry !== null);
}

async function readEntry(directory: string, path: string, kind: TreeEntry['kind']): Promise<TreeEntry> {
  const absolute = join(directory, path);
  if (kind === 'link') return { path, kind, target: await readlink(absolute) };
  const mode = (await lstat(absolute)).mode & 0o777;
  if (kind === 'dir') return { path, kind, mode };
  const readable = (mode & 0o444) !== 0 && !NOT_READ.test(path.slice(path.lastIndexOf('/') + 1));
  return { path, kind, mode, content: readable ? await contentOf(absolute) : '' };
}

async function contentOf(path: string): Promise<FileContent> {
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      return asContent((await file.readFile()).subarray(0, TREE_LIMITS.fileBytes));
    } finally {
      await file.close();
    }
  } catch {
    return '';
  }
}

/** Bytes that are not UTF-8 text stay bytes. */
function asContent(bytes: Uint8Array): FileContent {
  const text = Buffer.from(bytes).toString('utf8');
  return text.includes('\0') || !Buffer.from(text, 'utf8').equals(bytes) ? new Uint8Array(bytes) : text;
}

/** Sorted by path, a directory before what is in it. */
export function sorted(entries: readonly TreeEntry[]): TreeEntry[] {
  return [...entries].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
}

/** The compact form: `[path, mode in octal, text]`, `[path, mode, null, base64]`, `[path, mode]`, `[path, null, target]`. */
type Row = readonly [string, string | null, (string | null)?, string?];

/** The tree as gzip-compressed JSON (`NAME.tree.json.gz`); the same tree gives the same bytes. */
export function packTree(tree: HostTree): Buffer {
  const rows = tree.entries.map(toRow);
  return gzipSync(JSON.stringify({ form: 'berth-host-tree/1', name: tree.name, entries: rows }), { level: 9 });
}

function toRow(entry: TreeEntry): Row {
  if (entry.kind === 'link') return [entry.path, null, entry.target];
  const mode = entry.mode.toString(8);
  if (entry.kind === 'dir') return [entry.path, mode];
  if (typeof entry.content === 'string') return [entry.path, mode, entry.content];
  return [entry.path, mode, null, Buffer.from(entry.content).toString('base64')];
}

/**
 * The tree of a compact form.
 *
 * @throws BerthError `sysfs.unreadable`
 */
export function unpackTree(packed: Uint8Array): HostTree {
  try {
    const json: unknown = JSON.parse(gunzipSync(packed, { maxOutputLength: TREE_LIMITS.packedBytes }).toString('utf8'));
    const { form, name, entries } = json as { form: unknown; name: unknown; entries: unknown };
    if (form !== 'berth-host-tree/1' || typeof name !== 'string' || !Array.isArray(entries)) {
      throw new BerthError('sysfs.unreadable', 'its form is not berth-host-tree/1');
    }
    const tree = { name, entries: entries.map(fromRow) };
    checkEntries(name, tree.entries);
    return tree;
  } catch (error) {
    throw new BerthError('sysfs.unreadable', `this is not a packed host tree: ${messageOf(error)}`, { cause: error });
  }
}

function fromRow(row: Row): TreeEntry {
  const [path, octal, text, base64] = row;
  const mode = Number.parseInt(octal ?? '0', 8);
  const fits = typeof path === 'string' && [text, base64].every((part) => part == null || typeof part === 'string');
  if (!fits || !Number.isInteger(mode) || mode < 0 || mode > 0o777) {
    throw new BerthError('sysfs.unreadable', `an entry is not well formed: ${JSON.stringify(row).slice(0, 80)}`);
  }
  if (octal === null) return { path, kind: 'link', target: text ?? '' };
  if (base64 !== undefined) return { path, kind: 'file', mode, content: new Uint8Array(Buffer.from(base64, 'base64')) };
  return typeof text === 'string' ? { path, kind: 'file', mode, content: text } : { path, kind: 'dir', mode };
}

function checkEntries(name: string, entries: readonly TreeEntry[]): void {
  const directories = new Set(['.']);
  const fail = (entry: TreeEntry, what: string): never => {
    throw new BerthError('sysfs.unreadable', `host tree "${name}": ${entry.path.slice(0, 80)} ${what}`);
  };
  if (entries.length > TREE_LIMITS.entries) {
    throw new BerthError('sysfs.unreadable', `host tree "${name}" has more than ${TREE_LIMITS.entries} entries`);
  }
  for (const entry of entries) {
    const parts = entry.path.split('/');
    const bad = parts.some((part) => part === '' || part === '.' || part === '..') || entry.path.includes('\0');
    if (bad || entry.path.length > TREE_LIMITS.pathLength) fail(entry, 'is not a relative path without ".."');
    // A link is no directory, so nothing can come to lie behind one.
    if (!directories.has(dirname(entry.path))) fail(entry, 'comes before its directory');
    if (entry.kind === 'dir') directories.add(entry.path);
    if (entry.kind === 'file' && entry.content.length > TREE_LIMITS.fileBytes) fail(entry, 'is too large');
    if (entry.kind === 'link' && entry.target === '') fail(entry, 'is a link to nothing');
  }
}

/** A tree that comes with Berth's sources, e.g. `full`: see the README beside them. */
export async function loadRecordedTree(name: string): Promise<HostTree> {
  return unpackTree(await readFile(join(await projectRoot(), RECORDED_TREES, `${name}.tree.json.gz`)));
}

/** The directory above this file that has a package.json: it is another distance from `src/` than from `dist/src/`. */
async function projectRoot(): Promise<string> {
  let directory = dirname(fileURLToPath(import.meta.url));
  while (dirname(directory) !== directory) {
    if (await lstat(join(directory, 'package.json')).catch(() => null)) return directory;
    directory = dirname(directory);
  }
  return directory;
}

async function inBatches<T, R>(items: readonly T[], act: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let start = 0; start < items.length; start += AT_ONCE) {
    results.push(...(await Promise.all(items.slice(start, start + AT_ONCE).map(act))));
  }
  return results;
}
