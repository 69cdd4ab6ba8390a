import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { GuestNotes } from './compute-driver.js';

/** Of `/proc/PID/stat`: fields after the program's name, which may have blanks and brackets in it. */
const STATE_FIELD = 0;
const START_FIELD = 19;
const COMMAND_BYTES_MAX = 256 * 1024;
const POLL_MS = 100;

/** One process, and not another one that has its number later. */
export interface GuestProcess {
  readonly pid: number;
  /** In clock ticks since the machine was booted. */
  readonly startTime: number;
  readonly bootId: string;
}

/** The process with this number now; null when there is none, or only what is left of one. */
export function processOf(procRoot: string, pid: number): GuestProcess | null {
  const stat = textOf(join(procRoot, String(pid), 'stat'));
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const state = fields[STATE_FIELD];
  if (stat === '' || state === 'Z' || state === 'X') return null;
  return { pid, startTime: Number(fields[START_FIELD]), bootId: bootId(procRoot) };
}

export function isAlive(procRoot: string, { pid, startTime, bootId: boot }: GuestProcess): boolean {
  const now = processOf(procRoot, pid);
  return now !== null && now.startTime === startTime && now.bootId === boot;
}

/** The process in whose command line a word follows another one: who started it may have died before it could note its number. */
export function findProcess(procRoot: string, option: string, value: string): GuestProcess | null {
  for (const name of readdirSync(procRoot)) {
    if (!/^[1-9]\d{0,9}$/.test(name)) continue;
    const words = textOf(join(procRoot, name, 'cmdline'))
      .slice(0, COMMAND_BYTES_MAX)
      .split('\0');
    if (words.some((word, index) => word === option && words[index + 1] === value)) {
      const found = processOf(procRoot, Number(name));
      if (found) return found;
    }
  }
  return null;
}

/** @returns whether it has ended in this time */
export async function endsWithin(procRoot: string, process: GuestProcess, ms: number): Promise<boolean> {
  const deadline = Date.now() + ms;
  while (isAlive(procRoot, process)) {
    if (Date.now() >= deadline) return false;
    await delay(POLL_MS);
  }
  return true;
}

/** Sends a signal to this process, and to no other that has its number by now. */
export function signal(procRoot: string, target: GuestProcess, name: 'SIGTERM' | 'SIGKILL'): void {
  if (!isAlive(procRoot, target)) return;
  try {
    process.kill(target.pid, name);
  } catch {
    // It has ended in between.
  }
}

export function notesOf({ pid, startTime, bootId: boot }: GuestProcess): GuestNotes {
  return { pid, start_time: startTime, boot_id: boot };
}

/** What {@link notesOf} has noted; null: nothing yet. */
export function notedProcess({ pid, start_time: startTime, boot_id: boot }: GuestNotes): GuestProcess | null {
  if (typeof pid !== 'number' || typeof startTime !== 'number' || typeof boot !== 'string') return null;
  return { pid, startTime, bootId: boot };
}

function bootId(procRoot: string): string {
  return textOf(join(procRoot, 'sys/kernel/random/boot_id')).trim();
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
