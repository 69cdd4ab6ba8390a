import { readdirSync, readlinkSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import type { Address } from '../../pci/address.js';

const PCI_FUNCTION = /^[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$/;
const NAMES_MAX = 16_384;

/** A name that may be put behind a path: an interface, a disk, a link of sysfs. */
export function isPlainName(name: string): boolean {
  return /^[\w.:@!+-]{1,64}$/.test(name) && name !== '.' && name !== '..';
}

/** Where a link in sysfs leads to, absolute; null when it is none, or leads out of `devices/`. The target is not looked at. */
export function linkTarget(sysfsRoot: string, path: string): string | null {
  let target: string;
  try {
    target = readlinkSync(path);
  } catch {
    return null;
  }
  const absolute = resolve(dirname(path), target);
  return absolute.startsWith(resolve(sysfsRoot, 'devices') + sep) ? absolute : null;
}

/** The PCI function that a directory below `devices/` hangs from: the last one on its path; null when there is none. */
export function functionAbove(sysfsRoot: string, directory: string): Address | null {
  const steps = relative(resolve(sysfsRoot), directory).split(sep);
  return steps.findLast((step) => PCI_FUNCTION.test(step)) ?? null;
}

/** The names in a directory, sorted; none when it cannot be read. */
export function namesIn(...path: readonly string[]): string[] {
  try {
    return readdirSync(join(...path))
      .sort()
      .slice(0, NAMES_MAX);
  } catch {
    return [];
  }
}
