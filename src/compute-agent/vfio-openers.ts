import { readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { readText } from './sysfs-read.js';

/** A program that has a VFIO group or device open. */
export interface Opener {
  readonly pid: number;
  /** Its name, as the kernel cuts it: `qemu-system-x86`. */
  readonly name: string;
}

const OPENERS_MAX = 8;
const FDS_MAX = 65_536;
/** Processes looked at in one go: reading `/proc` is quick, thousands of open files of hundreds of processes are not. */
const PROCESSES_PER_TURN = 16;

/**
 * Who has one of these files open, e.g. `/dev/vfio/25`; the first eight in order of their process ids. Processes that end meanwhile,
 * or may not be looked at, are passed over: the kernel has the last word.
 *
 * @param pids look only at these; left out: at all processes
 */
export async function openersOf(
  procRoot: string,
  files: readonly string[],
  pids?: readonly number[],
): Promise<readonly Opener[]> {
  const wanted = new Set(files);
  const found: Opener[] = [];
  for (const [index, pid] of (pids ?? processes(procRoot)).entries()) {
    if (found.length === OPENERS_MAX) break;
    if (index > 0 && index % PROCESSES_PER_TURN === 0) await nextTurn();
    if (hasOpen(join(procRoot, String(pid), 'fd'), wanted)) found.push({ pid, name: nameOf(procRoot, pid) });
  }
  return found;
}

/** `qemu-system-x86 (process 4711)`, several with commas. */
export function openersText(openers: readonly Opener[]): string {
  return openers.map(({ pid, name }) => `${name} (process ${pid})`).join(', ');
}

function processes(procRoot: string): number[] {
  return namesIn(procRoot)
    .filter((name) => /^[1-9]\d{0,9}$/.test(name))
    .map(Number)
    .sort((a, b) => a - b);
}

function hasOpen(directory: string, wanted: ReadonlySet<string>): boolean {
  return namesIn(directory)
    .slice(0, FDS_MAX)
    .some((fd) => wanted.has(targetOf(join(directory, fd))));
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function targetOf(link: string): string {
  try {
    return readlinkSync(link);
  } catch {
    return '';
  }
}

function nameOf(procRoot: string, pid: number): string {
  const reading = readText(join(procRoot, String(pid), 'comm'));
  return reading.kind === 'text' && reading.text !== '' ? reading.text.slice(0, 32) : 'a program';
}
