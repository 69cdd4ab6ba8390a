import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { readText } from '../sysfs-read.js';

/** Where a host is looked at. */
export interface HostRoots {
  readonly sysfsRoot: string;
  readonly procRoot: string;
  /** `/lib/modules`; null: not looked at, because the trees are not this machine's. */
  readonly modulesRoot: string | null;
}

/** The text of a small file; null when it is not there, may not be read, or is no text. */
export function textAt(root: string, path: string, bytesMax?: number): string | null {
  const reading = readText(join(root, path), bytesMax);
  return reading.kind === 'text' ? reading.text : null;
}

/** The names in a directory, sorted; none when it cannot be read. */
export function namesAt(root: string, path: string): string[] {
  try {
    return readdirSync(join(root, path)).sort();
  } catch {
    return [];
  }
}

/** The kernel's arguments, as they stand in `/proc/cmdline`. */
export function kernelArguments({ procRoot }: HostRoots): string[] {
  return (textAt(procRoot, 'cmdline') ?? '').split(/\s+/).filter((word) => word !== '');
}
