import type { Command } from 'commander';
import type { Environment } from '../client/client-settings.js';
import type { GivenConnection } from '../client/connection-options.js';
import type { Rest } from '../client/rest-client.js';

const PAGES_MAX = 100_000;

/** What a noun is put on: its command, and the environment that says where to ask. */
export interface Noun {
  readonly command: Command;
  readonly env: Environment;
}

/** The page of a list, as long as the REST face likes. `marker` is that of the page before. */
interface PageQuery {
  readonly marker?: string;
}

interface Page {
  readonly next: string | null;
}

/** What a page has beside `next`. */
type RowOf<P> = P[Exclude<keyof P, 'next'>] extends readonly (infer T)[] ? T : never;

type Reply<T> = Promise<{ readonly data?: T; readonly error?: unknown; readonly response: Response }>;

/** What a verb asks by. */
export interface Session {
  readonly rest: Rest;
  /** @throws RestRefusal */
  ask<T>(reply: Reply<T>): Promise<T>;
  /** The rows of all pages; of the first ones only, when `--limit` is given. */
  all<P extends Page>(page: (query: PageQuery) => Reply<P>): Promise<RowOf<P>[]>;
  /** The same without a limit: to find something. */
  every<P extends Page>(page: (query: PageQuery) => Reply<P>): Promise<RowOf<P>[]>;
}

/**
 * @param limit how many rows are wanted at most; undefined: all
 * @throws BerthError `settings.invalid` and `auth.required`, before anything is asked of Berth
 */
export async function openSession(command: Command, env: Environment, limit?: number): Promise<Session> {
  const { clientSettings } = await import('../client/client-settings.js');
  const { filesAtHand } = await import('../client/settings-files.js');
  const { layerOf } = await import('../client/connection-options.js');
  const { answerOf, openRest } = await import('../client/rest-client.js');
  const settings = clientSettings(layerOf(command.optsWithGlobals<GivenConnection>()), env, filesAtHand(env, warn));
  if (settings.insecure) warn('--insecure: nobody knows whether it is Berth that answers');
  return {
    rest: await openRest(settings),
    ask: answerOf,
    all: (page) => allRows((query) => answerOf(page(query)), limit ?? Infinity),
    every: (page) => allRows((query) => answerOf(page(query)), Infinity),
  };
}

async function allRows<P extends Page>(ask: (query: PageQuery) => Promise<P>, limit: number): Promise<RowOf<P>[]> {
  const rows: RowOf<P>[] = [];
  let marker: string | null = null;
  for (let count = 0; count < PAGES_MAX && rows.length < limit; count++) {
    const page: P = await ask(marker === null ? {} : { marker });
    rows.push(...rowsOf(page));
    marker = page.next === null ? null : new URL(page.next, 'http://berth').searchParams.get('marker');
    if (marker === null) break;
  }
  return rows.slice(0, limit);
}

function rowsOf<P extends Page>(page: P): RowOf<P>[] {
  const rows = Object.values(page).find((value) => Array.isArray(value));
  return (rows ?? []) as RowOf<P>[];
}

function warn(line: string): void {
  process.stderr.write(`warning: ${line}\n`);
}
