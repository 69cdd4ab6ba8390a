import { type ChildProcess, execFile, type SpawnOptions, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

/** Runs a program to its end and gives what it printed; throws when it fails or takes too long. */
export const run = promisify(execFile);

/** Makes the kernel end a child when this process is killed; nothing where the kernel cannot. */
const TIED_TO_US = existsSync('/usr/bin/setpriv') ? ['setpriv', '--pdeathsig', 'KILL', '--'] : [];

/** Starts a long-running program that does not outlive this process, however this process ends. */
export function spawnTied(command: readonly string[], options: SpawnOptions): ChildProcess {
  const [program, ...words] = [...TIED_TO_US, ...command];
  if (program === undefined) throw new Error('There is no command.');
  // A session of its own: Ctrl-C reaches us, and we stop it in the right order.
  const child = spawn(program, words, { ...options, detached: true });
  const forget = beforeDeath(() => void child.kill('SIGKILL'));
  child.once('exit', forget);
  child.once('error', forget);
  return child;
}

/** Signals a child and waits for its end, with SIGKILL after some patience. */
export async function endChild(child: ChildProcess, signal: NodeJS.Signals, patienceMs = 20_000): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const exited = new Promise<'exited'>((resolve) => child.once('exit', () => resolve('exited')));
  child.kill(signal);
  const outcome = await Promise.race([exited, sleep(patienceMs, 'late', { ref: false })]);
  if (outcome === 'late') child.kill('SIGKILL');
  await exited;
}

const lastActs = new Set<() => void>();
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Registers what must be done even if this process is told to die; it must not wait for anything.
 *
 * @returns a function that takes it back
 */
export function beforeDeath(act: () => void): () => void {
  if (lastActs.size === 0) {
    process.on('exit', actNow);
    for (const signal of SIGNALS) process.on(signal, dieOf);
  }
  lastActs.add(act);
  return () => {
    lastActs.delete(act);
    if (lastActs.size > 0) return;
    process.removeListener('exit', actNow);
    for (const signal of SIGNALS) process.removeListener(signal, dieOf);
  };
}

function actNow(): void {
  // the last begun first: what was started in a folder ends before the folder goes
  for (const act of [...lastActs].toReversed()) act();
}

function dieOf(signal: NodeJS.Signals): void {
  actNow();
  for (const each of SIGNALS) process.removeAllListeners(each);
  process.kill(process.pid, signal);
}

/** A TCP port of 127.0.0.1 that nobody listens on right now. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}
