import { lstatSync, realpathSync } from 'node:fs';
import { basename, dirname, join, sep } from 'node:path';
import { DRIVER_NAME } from '../pci/binding-mode.js';
import { runProgram, type ProgramEnd } from './kernel-programs.js';

/**
 * Writes a value to a sysfs attribute: the only way in which the agent changes a host.
 *
 * `path` is relative to the sysfs root, e.g. `bus/pci/drivers/vfio-pci/unbind`; it may lead through sysfs's own links,
 * but not out of the root. Fails with an errno error ({@link NodeJS.ErrnoException}, `.code`) as write(2) or open(2). Ends when
 * the kernel does, which may be never while a program holds the device; it holds up nothing but who waits for it.
 */
export type SysfsWrite = (path: string, value: string) => Promise<void>;

/** What binding needs of a host's kernel. */
export interface Kernel {
  readonly write: SysfsWrite;
  /**
   * Reads an attribute that the kernel shows under the device's lock (`driver_override`): as patient as a write, where a plain read
   * would stop the agent. null: it is not there, or cannot be read.
   */
  readonly read: (path: string) => Promise<string | null>;
  /**
   * Loads a kernel module, e.g. `vfio-pci`.
   *
   * @throws an Error with the program's own words; EINVAL when that is not the name of a module
   */
  readonly loadModule: (name: string) => Promise<void>;
}

/** Longer than any value that sysfs takes. */
export const SYSFS_VALUE_MAX = 4096;

/** modprobe reads a disk and waits for drivers to probe their devices. */
const MODPROBE_MS = 60_000;

/**
 * A real kernel. Each write is a process of its own: the kernel may keep the writer for ever (unbinding while a guest holds the device,
 * and whatever wants that device's lock afterwards), and what it keeps can neither be killed nor ended.
 */
export function liveKernel(sysfsRoot: string): Kernel {
  return {
    write: async (path, value) => {
      const attribute = resolveAttribute(sysfsRoot, path);
      const bytes = Buffer.byteLength(value);
      if (bytes === 0 || bytes > SYSFS_VALUE_MAX) {
        // No write(2) happens for an empty value: the kernel would never see it. Clearing is done with a newline.
        throw errnoError('EINVAL', `a sysfs value has 1 to ${SYSFS_VALUE_MAX} bytes, not ${bytes}`, path);
      }
      const file = assertPlainFile(attribute, path);
      // One block, so that there is one write(2).
      const end = await runProgram('dd', [`of=${file}`, `bs=${SYSFS_VALUE_MAX}`, 'conv=notrunc'], { input: value });
      if (end.code !== 0) throw refusalOf(end, path);
    },
    read: async (path) => {
      try {
        const end = await runProgram('cat', [assertPlainFile(resolveAttribute(sysfsRoot, path), path)]);
        return end.code === 0 ? end.output.trim() : null;
      } catch {
        return null;
      }
    },
    loadModule: async (name) => {
      assertModuleName(name);
      const end = await runProgram('modprobe', ['--', name], { timeoutMs: MODPROBE_MS });
      if (end.code !== 0) throw new Error(`modprobe ${name}: ${end.problem}`);
    },
  };
}

/** @throws an errno error: EINVAL, when a text from outside is not what the kernel calls modules */
export function assertModuleName(name: string): void {
  if (!DRIVER_NAME.test(name)) throw errnoError('EINVAL', 'this is not the name of a kernel module', name.slice(0, 80));
}

/** dd would make a file that is not there, should the root be no sysfs, and follow a link. */
function assertPlainFile({ directory, name }: Attribute, path: string): string {
  const file = join(directory, name);
  const stat = lstatSync(file);
  if (stat.isSymbolicLink()) throw errnoError('ELOOP', 'this is a link', path);
  if (!stat.isFile()) throw errnoError('EISDIR', 'this is no attribute', path);
  return file;
}

/** Its own words end with the kernel's: `dd: error writing '…': Device or resource busy`. */
function refusalOf({ problem }: ProgramEnd, path: string): NodeJS.ErrnoException {
  const lines = problem.split('\n').map((line) => line.trim());
  for (const [words, code] of ERRNO_WORDS) {
    if (lines.some((line) => line.endsWith(`: ${words}`))) return errnoError(code, words, path);
  }
  return errnoError('unknown', problem.slice(0, 300), path);
}

/** What glibc calls the errors that sysfs answers (`strerror`, locale C). */
const ERRNO_WORDS: readonly (readonly [string, string])[] = [
  ['Device or resource busy', 'EBUSY'],
  ['Invalid argument', 'EINVAL'],
  ['No such device', 'ENODEV'],
  ['No such device or address', 'ENXIO'],
  ['No such file or directory', 'ENOENT'],
  ['Permission denied', 'EACCES'],
  ['Operation not permitted', 'EPERM'],
  ['Operation not supported', 'ENOTSUP'],
  ['Read-only file system', 'EROFS'],
  ['Cannot allocate memory', 'ENOMEM'],
  ['Connection timed out', 'ETIMEDOUT'],
  ['Input/output error', 'EIO'],
  ['Numerical result out of range', 'ERANGE'],
  ['Resource temporarily unavailable', 'EAGAIN'],
  ['Interrupted system call', 'EINTR'],
  ['No space left on device', 'ENOSPC'],
  ['File exists', 'EEXIST'],
  ['Inappropriate ioctl for device', 'ENOTTY'],
  ['Function not implemented', 'ENOSYS'],
  ['Unknown error 517', 'EPROBE_DEFER'],
  ['Unknown error 524', 'ENOTSUPP'],
];

export interface Attribute {
  /** Of the root, all links resolved. */
  readonly root: string;
  /** Of the attribute's directory, all links resolved; below the root. */
  readonly directory: string;
  readonly name: string;
}

/**
 * Finds the directory of an attribute, following sysfs's links.
 *
 * @throws an errno error: ENOENT when the directory is missing, EINVAL when the path leads out of the root
 */
export function resolveAttribute(sysfsRoot: string, path: string): Attribute {
  const parts = path.split('/');
  if (path.includes('\0') || parts.some((part) => part === '' || part === '.' || part === '..')) {
    throw errnoError('EINVAL', 'this is not a path relative to the sysfs root', path);
  }
  const root = realpathSync(sysfsRoot);
  const directory = realpathSync(join(root, dirname(path)));
  if (directory !== root && !directory.startsWith(root + sep)) {
    throw errnoError('EINVAL', 'the path leads out of the sysfs root', path);
  }
  return { root, directory, name: basename(path) };
}

/** An error such as Node's own of a failed write. */
export function errnoError(code: string, message: string, path: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: ${message}, write '${path}'`), { code, syscall: 'write', path });
}
