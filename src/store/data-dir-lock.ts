import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';

import { BerthError } from '../errors.js';

/** How often a lock that a dead process left is cleared before giving up. */
const ATTEMPTS_MAX = 3;

interface Owner {
  readonly pid: number;
  /** When the process started, as the system says it: tells a process from a later one with the same id. */
  readonly startedAt: string;
}

/**
 * Takes a folder for this process; a process that was killed loses it by being dead.
 *
 * @returns a function that gives the folder back
 * @throws BerthError `database.unavailable` when a living process has it
 */
export function takeLock(file: string): () => void {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    if (createLock(file)) return () => rmSync(file, { force: true });
    const owner = readOwner(file);
    if (owner !== null && startOf(owner.pid) === owner.startedAt) {
      throw new BerthError(
        'database.unavailable',
        `The embedded database is in use by the Berth process ${owner.pid} (${file}): stop that one or set another data_dir.`,
        { details: { owner_pid: owner.pid, lock: file } },
      );
    }
    rmSync(file, { force: true });
  }
  throw new BerthError('database.unavailable', `The lock ${file} cannot be taken: other processes keep taking it.`);
}

function createLock(file: string): boolean {
  let descriptor: number;
  try {
    descriptor = openSync(file, 'wx', 0o600);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
  const owner: Owner = { pid: process.pid, startedAt: startOf(process.pid) ?? '' };
  writeSync(descriptor, JSON.stringify(owner));
  closeSync(descriptor);
  return true;
}

function readOwner(file: string): Owner | null {
  try {
    const owner = JSON.parse(readFileSync(file, 'utf8')) as Partial<Owner>;
    if (typeof owner.pid !== 'number' || typeof owner.startedAt !== 'string') return null;
    return { pid: owner.pid, startedAt: owner.startedAt };
  } catch {
    return null;
  }
}

/** When a process started, or null when there is no such process. */
function startOf(pid: number): string | null {
  if (process.platform !== 'linux') return askPs(pid, 'lstart=');
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is the program's name in parentheses and may hold spaces; the start is the 22nd field.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}

/** The words that a process was started with, joined by spaces; null when there is no such process. */
export function commandOf(pid: number): string | null {
  if (process.platform !== 'linux') return askPs(pid, 'command=');
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return null;
  }
}

function askPs(pid: number, column: string): string | null {
  try {
    return execFileSync('ps', ['-o', column, '-p', String(pid)], { encoding: 'utf8', timeout: 5000 }).trim();
  } catch {
    return null;
  }
}
