import { invalidFields } from '../../request-validation.pipe.js';
import type { Link } from './links.js';
import { COMPUTE_PATH } from './url.js';

/** A query of the compute face, not checked yet: a parameter that comes twice is a list. */
export type RawQuery = Readonly<Record<string, string | string[] | undefined>>;

export interface Paging {
  /** At most so many. */
  readonly limit: number;
  /** The id after which the page begins; null: at the beginning. */
  readonly marker: string | null;
}

/** Nova's `max_limit`. */
export const PAGE_MAX = 1000;

/** The value of a parameter; the last one where it comes more than once, as Nova takes it. */
export function parameter(query: RawQuery, name: string): string | undefined {
  return [query[name]].flat().at(-1);
}

/** @throws BerthError `request.invalid` */
export function pagingOf(query: RawQuery): Paging {
  const limit = parameter(query, 'limit') ?? String(PAGE_MAX);
  if (!/^\d{1,9}$/.test(limit)) {
    throw invalidFields([{ field: 'limit', problem: 'has to be a whole number, 0 or more' }]);
  }
  return { limit: Math.min(Number(limit), PAGE_MAX), marker: parameter(query, 'marker') ?? null };
}

/**
 * Where the next page is; empty when there is none.
 *
 * @param base  where this process is
 * @param path  below `/v2.1/`: `servers/detail`
 * @param query of this page
 * @param last  the id of the last thing on this page
 */
export function nextLinks(base: string, path: string, query: RawQuery, last: string): Link[] {
  const next = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (name !== 'marker') for (const one of [value ?? []].flat()) next.append(name, one);
  }
  next.append('marker', last);
  return [{ rel: 'next', href: `${base}/${COMPUTE_PATH}/${path}?${next.toString()}` }];
}
