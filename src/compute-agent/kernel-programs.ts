import { spawn, type ChildProcess } from 'node:child_process';
import type { Socket } from 'node:net';

/** Where programs are looked for; the agent's own environment decides nothing about what runs as root. */
export const PROGRAM_ENVIRONMENT = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' };
const OUTPUT_MAX = 16_384;

export interface ProgramEnd {
  /** null: a signal ended it, or its time was over. */
  readonly code: number | null;
  readonly output: string;
  /** What it said of its failure. */
  readonly problem: string;
}

export interface ProgramOptions {
  readonly input?: string;
  /** Then it is killed; left out: it has all the time that it needs. */
  readonly timeoutMs?: number;
  /** Characters of its output that are kept; left out: 16,384. */
  readonly outputMax?: number;
}

/**
 * Runs a small program without a shell. It goes on when the agent ends, and the agent ends while it goes on: what hangs in the kernel
 * cannot be killed.
 *
 * @throws the system's error when it cannot be started
 */
export function runProgram(
  program: string,
  words: readonly string[],
  { input, timeoutMs, outputMax = OUTPUT_MAX }: ProgramOptions = {},
): Promise<ProgramEnd> {
  const child = spawn(program, words, { env: PROGRAM_ENVIRONMENT, detached: true, stdio: 'pipe' });
  const output = limited(child.stdout, outputMax);
  const problem = limited(child.stderr, OUTPUT_MAX);
  letGo(child);
  return new Promise((resolve, reject) => {
    const timer = timeoutMs === undefined ? null : setTimeout(() => child.kill('SIGKILL'), timeoutMs).unref();
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (timer) clearTimeout(timer);
      const said = problem().trim();
      resolve({ code, output: output(), problem: said === '' && signal !== null ? `ended by ${signal}` : said });
    });
    // A program that ends before it has read its input says why at its end.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input ?? '');
  });
}

function limited(stream: NodeJS.ReadableStream, max: number): () => string {
  let text = '';
  stream.setEncoding('utf8');
  stream.on('data', (part: string) => {
    if (text.length < max) text += part.slice(0, max - text.length);
  });
  return () => text;
}

function letGo(child: ChildProcess): void {
  child.unref();
  for (const stream of [child.stdin, child.stdout, child.stderr]) (stream as Socket | null)?.unref();
}
