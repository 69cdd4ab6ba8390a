import { BerthError, messageOf } from '../errors.js';

/** Plans over many hosts take their time. */
const ANSWER_MS_MAX = 600_000;

/**
 * Asks the REST face one question, and prints the answer as text or as it is.
 *
 * @returns the exit code: 0, or what `codeOf` makes of the answer; 2 when there is none, with the cause on standard error
 */
export async function tell<T>(
  question: () => Promise<T>,
  json: boolean,
  textOf: (answer: T) => string,
  codeOf: (answer: T) => number = () => 0,
): Promise<number> {
  try {
    const answer = await question();
    process.stdout.write(json ? `${JSON.stringify(answer, null, 2)}\n` : textOf(answer));
    return codeOf(answer);
  } catch (error) {
    const code = error instanceof BerthError ? `${error.code}: ` : '';
    process.stderr.write(`berth: ${code}${messageOf(error)}\n`);
    return 2;
  }
}

/**
 * @param body asks by POST; without, by GET, unless `method` says another
 * @throws BerthError `request.invalid` with what the REST face has against it, `settings.invalid` when the URL is none; an
 *   Error when there is no answer
 */
export async function ask<T>(url: string, path: string, body?: object, method?: 'DELETE'): Promise<T> {
  const target = targetOf(url, path);
  const [status, answer] = await exchange(target, body, method);
  if ((status === 200 || status === 202) && answer !== null) return answer as T;
  if (status === 204) return null as T;
  const { detail, errors } = (answer ?? {}) as { detail?: string; errors?: { field: string; problem: string }[] };
  const lines = (errors ?? []).map(({ field, problem }) => `${field}: ${problem}`);
  throw new BerthError(
    'request.invalid',
    lines.length > 0 ? lines.join('\n') : (detail ?? `${target.href} answered ${status}`),
  );
}

function targetOf(url: string, path: string): URL {
  try {
    return new URL(path, url);
  } catch (cause) {
    throw new BerthError('settings.invalid', `--url: "${url}" is not a URL like http://127.0.0.1:8790`, { cause });
  }
}

async function exchange(
  target: URL,
  body: object | undefined,
  method: string | undefined,
): Promise<[status: number, answer: unknown]> {
  const sent = body && { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
  try {
    const response = await fetch(target, {
      ...(method && { method }),
      ...sent,
      redirect: 'error',
      signal: AbortSignal.timeout(ANSWER_MS_MAX),
    });
    const text = await response.text();
    return [response.status, parsed(text)];
  } catch (error) {
    const cause = error instanceof Error && error.cause !== undefined ? `: ${messageOf(error.cause)}` : '';
    throw new Error(`${target.origin} does not answer: ${messageOf(error)}${cause}`, { cause: error });
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
