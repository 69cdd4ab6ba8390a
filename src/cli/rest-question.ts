import { BerthError, messageOf } from '../errors.js';

/** Plans over many hosts take their time. */
const ANSWER_MS_MAX = 600_000;

/** The headers that say who asks; none where nobody is asked. */
let identity: Readonly<Record<string, string>> = {};

/**
 * Who asks from now on, as the variables of OpenStack's clients say it: `OS_TOKEN`, or with `OS_AUTH_TYPE=http_basic` also
 * `OS_USERNAME` and `OS_PASSWORD`. Without that word no password is sent: it may be Keystone's.
 */
export function askAs(env: Readonly<Record<string, string | undefined>>): void {
  const { OS_TOKEN: token, OS_AUTH_TYPE: type, OS_USERNAME: user, OS_PASSWORD: password } = env;
  if (token) identity = { 'x-auth-token': token };
  else if (type === 'http_basic' && user && password) {
    identity = { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` };
  }
}

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
 * @param body asks by POST; without, by GET
 * @param method another one; an answer without a body is null
 * @throws BerthError `request.invalid` with what the REST face has against it, `settings.invalid` when the URL is none; an
 *   Error when there is no answer
 */
export async function ask<T>(url: string, path: string, body?: object, method?: string): Promise<T> {
  const target = targetOf(url, path);
  const [status, answer] = await exchange(target, body, method);
  if (((status === 200 || status === 201 || status === 202) && answer !== null) || status === 204) return answer as T;
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
  method = body ? 'POST' : 'GET',
): Promise<[status: number, answer: unknown]> {
  const headers = { ...identity, ...(body && { 'content-type': 'application/json' }) };
  try {
    const response = await fetch(target, {
      ...(body && { body: JSON.stringify(body) }),
      headers,
      method,
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
