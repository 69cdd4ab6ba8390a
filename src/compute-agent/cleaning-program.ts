import { spawn, type ChildProcess } from 'node:child_process';
import { constants, lstatSync, realpathSync, type Stats } from 'node:fs';
import { dirname, isAbsolute, normalize } from 'node:path';
import { errnoOf } from './sysfs-read.js';

/** What a program is told of the device. All of it is checked: ids are hex digits, an address is an address. */
export interface CleaningSubject {
  readonly address: string;
  readonly vendorId: string;
  readonly productId: string;
  readonly classCode: string;
  /** null: it has none. */
  readonly driver: string | null;
}

export interface CleaningRun {
  readonly program: string;
  readonly subject: CleaningSubject;
  readonly timeoutMs: number;
  /** Called with the number of the process, which is that of its group as well. */
  readonly begun: (pid: number) => Promise<void>;
  /** Ends it early. */
  readonly signal: AbortSignal;
  /** Whose programs are run; root's, but for tests. */
  readonly owner?: number;
}

export type CleaningEnd = { readonly passed: true } | { readonly passed: false; readonly problem: string };

const OUTPUT_KEPT = 400;
/** Between the polite signal and the other one. */
const GRACE_MS = 3_000;
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * Runs a cleaning program on a device: no shell, the device's address as its one argument, nothing of the agent's environment, an
 * end to its time and to what is kept of its output. Exit code 0 is a clean device. All that it started ends with it. Never throws.
 */
export async function runCleaning(run: CleaningRun): Promise<CleaningEnd> {
  const refusal = refusalOf(run.program, run.owner ?? 0);
  if (refusal !== null) return failed(`${run.program} is not run: ${refusal}`);
  const child = spawn(run.program, [run.subject.address], {
    ...{ cwd: '/', detached: true, shell: false, stdio: ['ignore', 'pipe', 'pipe'] },
    env: environmentOf(run.subject),
  });
  const output = tailOf(child);
  const ended = endOf(child);
  if (child.pid === undefined) return failed(`${run.program} does not start: ${(await ended).problem ?? 'unknown'}`);
  const { pid } = child;
  await run.begun(pid);
  const why = await limited(pid, ended, run);
  signalGroup(pid, 'SIGKILL'); // what it left behind
  const end = await Promise.race([ended, sleep(GRACE_MS, AbortSignal.timeout(2 * GRACE_MS))]);
  // it waits in the kernel, which lets nobody end it
  if (!end) return failed(`${why ?? 'it hangs'}, and cannot be ended`);
  const { code, signal } = end;
  if (why === null && code === 0) return { passed: true };
  const how = why ?? (code === null ? `it was ended by ${signal}` : `it ended with exit code ${code}`);
  const words = output();
  return failed(words === '' ? how : `${how}: ${words}`);
}

/**
 * Why a program is not to be run as root: somebody else could have written it. null: it may.
 *
 * The directories on its way count as well, but for those in which nobody can replace what is another's (`/tmp`).
 */
export function refusalOf(program: string, owner = 0): string | null {
  if (!isAbsolute(program) || normalize(program) !== program) return 'its path is not absolute';
  try {
    if (realpathSync(program) !== program) return 'there is a symbolic link in its path';
    const file = lstatSync(program);
    if (!file.isFile()) return 'it is no file';
    if (isOthers(file, owner)) return 'it can be written by others than root; chown it to root and chmod it to 755';
    if ((file.mode & constants.S_IXUSR) === 0) return 'it is not executable';
    for (let path = dirname(program); ; path = dirname(path)) {
      const directory = lstatSync(path);
      const isSticky = (directory.mode & 0o1000) !== 0;
      if (!isSticky && isOthers(directory, owner)) return `${path} can be written by others than root`;
      if (path === '/') return null;
    }
  } catch (error) {
    return `it cannot be looked at: ${errnoOf(error)}`;
  }
}

function isOthers({ uid, mode }: Stats, owner: number): boolean {
  return (uid !== 0 && uid !== owner) || (mode & 0o022) !== 0;
}

/** Ends a group that a former life of the agent started. @param startedAt its start as {@link startOf} gave it */
export function endGroup(pid: number, startedAt: string, procStart: (pid: number) => string | null): void {
  // numbers are used again: another process with it is left alone
  if (procStart(pid) === startedAt) signalGroup(pid, 'SIGKILL');
}

function environmentOf({ address, vendorId, productId, classCode, driver }: CleaningSubject): NodeJS.ProcessEnv {
  return {
    ...{ PATH, LANG: 'C', LC_ALL: 'C', BERTH_ADDRESS: address, BERTH_VENDOR_ID: vendorId },
    ...{ BERTH_PRODUCT_ID: productId, BERTH_CLASS: classCode, BERTH_DRIVER: driver ?? '' },
  };
}

interface ProcessEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly problem?: string;
}

function endOf(child: ChildProcess): Promise<ProcessEnd> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve({ code: null, signal: null, problem: errnoOf(error) }));
    // not `close`: what it left behind may hold its output open
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
}

/** Waits for the end, or brings it about. @returns why it was ended; null: it ended by itself */
async function limited(
  pid: number,
  ended: Promise<ProcessEnd>,
  { timeoutMs, signal }: CleaningRun,
): Promise<string | null> {
  const done = new AbortController();
  const stop = AbortSignal.any([signal, done.signal]);
  const limit = sleep(timeoutMs, stop).then(() => `it did not end within ${timeoutMs / 1000} s`);
  const first = await Promise.race([ended.then(() => null), limit]);
  done.abort();
  if (first === null) return null;
  signalGroup(pid, 'SIGTERM');
  const grace = new AbortController();
  await Promise.race([ended, sleep(GRACE_MS, grace.signal)]);
  grace.abort();
  signalGroup(pid, 'SIGKILL');
  return signal.aborted ? 'the agent was stopped' : first;
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true });
  });
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // nobody is left of it
  }
}

/** The last of what it says, in one line of plain letters. */
function tailOf(child: ChildProcess): () => string {
  let tail = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('latin1').on('data', (text: string) => (tail = (tail + text).slice(-2 * OUTPUT_KEPT)));
    stream?.on('error', () => undefined);
  }
  return () =>
    tail
      .replace(/[^\x20-\x7e]+/g, ' ')
      .trim()
      .slice(-OUTPUT_KEPT);
}

function failed(problem: string): CleaningEnd {
  return { passed: false, problem };
}
