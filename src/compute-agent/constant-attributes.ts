import { lstatSync } from 'node:fs';
import type { Reading } from './sysfs-read.js';

/** What the kernel sets when it finds a function and never changes: not what drivers, people or the link's state change. */
const CONSTANT: ReadonlySet<string> = new Set([
  'vendor',
  'device',
  'class',
  'subsystem_vendor',
  'subsystem_device',
  'revision',
  'max_link_speed',
  'max_link_width',
]);

interface Known {
  readonly inode: number;
  readonly readings: Map<string, Reading>;
}

/**
 * Attributes of a live kernel's functions that need not be read at every scan. A function that is plugged in anew, even the
 * same card at the same place, is another entry of the tree: its link has another inode number, and nothing is known of it.
 */
export class ConstantAttributes {
  private before = new Map<string, Known>();
  private now = new Map<string, Known>();

  /** At the start of a scan: what the last one did not see is forgotten. */
  beginScan(): void {
    this.before = this.now;
    this.now = new Map();
  }

  /** The readings of one function, to be looked up and filled in. @param entry its link in `bus/pci/devices` */
  of(entry: string): Map<string, Reading> | null {
    try {
      const { ino: inode } = lstatSync(entry);
      const earlier = this.before.get(entry);
      const known = earlier?.inode === inode ? earlier : { inode, readings: new Map<string, Reading>() };
      this.now.set(entry, known);
      return known.readings;
    } catch {
      return null; // it is going
    }
  }
}

/** Only a text is kept: what could not be read this time is tried again. */
export function constantReading(readings: Map<string, Reading> | null, name: string, read: () => Reading): Reading {
  if (readings === null || !CONSTANT.has(name)) return read();
  const known = readings.get(name);
  if (known) return known;
  const reading = read();
  if (reading.kind === 'text') readings.set(name, reading);
  return reading;
}
