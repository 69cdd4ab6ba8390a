import { constants, realpathSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { basename, dirname, join, sep } from 'node:path';

/**
 * Writes a value to a sysfs attribute: the only way in which the agent changes a host.
 *
 * `path` is relative to the sysfs root, e.g. `bus/pci/drivers/vfio-pci/unbind`; it may lead through sysfs's own links,
 * but not out of the root. Fails with an errno error ({@link NodeJS.ErrnoException}, `.code`) as write(2) or open(2).
 */
export type SysfsWrite = (path: string, value: string) => Promise<void>;

/** Longer than any value that sysfs takes. */
export const SYSFS_VALUE_MAX = 4096;

/** The writes of a real kernel. */
export function liveKernel(sysfsRoot: string): SysfsWrite {
  return async (path, value) => {
    const attribute = resolveAttribute(sysfsRoot, path);
    const bytes = Buffer.from(value, 'utf8');
    if (bytes.length === 0 || bytes.length > SYSFS_VALUE_MAX) {
      // No write(2) happens for an empty value: the kernel would never see it. Clearing is done with a newline.
      throw errnoError('EINVAL', `a sysfs value has 1 to ${SYSFS_VALUE_MAX} bytes, not ${bytes.length}`, path);
    }
    // Without O_CREAT: an attribute that is not there must not become a file, should the root be no sysfs.
    const file = await open(join(attribute.directory, attribute.name), constants.O_WRONLY | constants.O_NOFOLLOW);
    try {
      await file.write(bytes, 0, bytes.length, null);
    } finally {
      await file.close();
    }
  };
}

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
