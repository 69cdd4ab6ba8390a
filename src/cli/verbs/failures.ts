import { BerthError, messageOf } from '../../errors.js';

export const DONE = 0;
export const FAILED = 1;
export const USAGE = 2;

const WHO = 'Say who you are: OS_AUTH_TYPE with OS_USERNAME and OS_PASSWORD, or OS_TOKEN (docs/cli.md).';

/**
 * Says on standard error what went wrong: a line, or one for each field that is wrong.
 *
 * @returns the exit code: what was written wrongly is 2, what was refused or failed 1
 */
export function complain(error: unknown): number {
  process.stderr.write(`berth: ${textOf(error)}\n`);
  const isUsage =
    error instanceof BerthError && (error.code === 'settings.invalid' || error.code === 'request.invalid');
  return isUsage ? USAGE : FAILED;
}

function textOf(error: unknown): string {
  const { code, status } = error as { readonly code?: unknown; readonly status?: unknown };
  const hint = status === 401 ? `\n${WHO}` : '';
  const isOurs = typeof code === 'string' && /^[a-z_]+\.[a-z_]+$/.test(code);
  return `${isOurs ? `${code}: ` : ''}${messageOf(error)}${hint}`;
}
