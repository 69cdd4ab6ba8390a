import { execFile } from 'node:child_process';
import { PROGRAM } from './berth-process.js';

/** How a command ended. */
export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs `berth` with these words, and nothing of our own environment but PATH.
 *
 * @param env   besides PATH
 * @param input for its standard input
 */
export function berth(
  words: readonly string[],
  env: Readonly<Record<string, string>> = {},
  input = '',
  cwd?: string,
): Promise<Ended> {
  const options = { env: { PATH: process.env['PATH'] ?? '', ...env }, ...(cwd !== undefined && { cwd }) };
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [PROGRAM, ...words], options, (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : error ? -1 : 0, stdout, stderr });
    });
    child.stdin?.end(input);
  });
}
