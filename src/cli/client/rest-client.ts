import createClient, { type Client } from 'openapi-fetch';
import type { components, paths } from '../../../openapi/native-api.js';
import type { ClientSettings } from './client-settings.js';
import { exchangeWith } from './http-exchange.js';
import { identityOf } from './login.js';
import { RestRefusal } from './rest-refusal.js';

/** The REST face under `/v1`, typed by its API document. */
export type Rest = Client<paths>;
export type Schemas = components['schemas'];

/** What an operation gives back, as `openapi-fetch` has it. */
type Reply<T> = Promise<{ readonly data?: T; readonly error?: unknown; readonly response: Response }>;

/** @throws what `identityOf` throws */
export async function openRest(settings: ClientSettings): Promise<Rest> {
  const exchange = exchangeWith(settings);
  const { url, headers } = await identityOf(settings, exchange);
  return createClient<paths>({ baseUrl: url, headers, fetch: exchange });
}

/**
 * The answer of an operation; undefined when it has no body.
 *
 * @throws RestRefusal
 */
export async function answerOf<T>(reply: Reply<T>): Promise<T> {
  const { data, error, response } = await reply;
  if (response.ok) return data as T;
  throw refusalOf(response, error);
}

function refusalOf({ status, headers }: Response, error: unknown): RestRefusal {
  const {
    detail,
    errors = [],
    code,
  } = (typeof error === 'object' && error !== null ? error : {}) as Partial<Schemas['Problem']>;
  if (code === undefined || detail === undefined) {
    const target = headers.get('location');
    const more = target === null ? '' : ` and points to ${target}`;
    return new RestRefusal(status, null, `the answer is ${status}${more}, and not from Berth: is --url right?`);
  }
  const lines = errors.map(({ field, problem }) => `${field}: ${problem}`);
  return new RestRefusal(status, code, lines.length > 0 ? lines.join('\n') : detail);
}
