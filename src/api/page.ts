import { CountParameter, TextParameter } from './fields.js';
import { invalidFields } from './request-validation.pipe.js';

const LIMIT_MAX = 1_000_000;

/** The part of a query that pages. */
export class PageQuery {
  @CountParameter({ min: 1, max: LIMIT_MAX, description: 'How many to answer; 100 when left out.' })
  limit?: number;
  @TextParameter({ description: 'Where the page before ended; `next` has it.' })
  marker?: string;
}

/**
 * One page out of `limit + 1` rows: the surplus row only tells that there is more.
 *
 * @param path the list's path, e.g. `/v1/devices`
 * @param markerOf what the next page begins after
 * @returns `next` is null on the last page; it repeats the filters of `query`
 */
export function pageOf<T>(
  rows: readonly T[],
  list: { readonly path: string; readonly query: PageQuery; readonly limit: number },
  markerOf: (row: T) => string,
): { readonly items: readonly T[]; readonly next: string | null } {
  const items = rows.slice(0, list.limit);
  const last = items.at(-1);
  return { items, next: rows.length <= list.limit || last === undefined ? null : nextPage(list, markerOf(last)) };
}

/** The address of the page that begins after `marker`. */
export function nextPage(
  list: { readonly path: string; readonly query: PageQuery; readonly limit: number },
  marker: string,
): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(list.query)) {
    if (name !== 'marker' && name !== 'limit' && value !== undefined) parameters.append(name, String(value));
  }
  parameters.append('limit', String(list.limit));
  parameters.append('marker', marker);
  return `${list.path}?${parameters.toString()}`;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/**
 * A marker that is an id.
 *
 * @throws BerthError `request.invalid` when nothing has this id: an empty page would look like the end of the list
 */
export async function assertMarker(
  marker: string | undefined,
  exists: (id: string) => Promise<boolean>,
): Promise<string | null> {
  if (marker === undefined) return null;
  if (UUID.test(marker) && (await exists(marker))) return marker;
  throw invalidFields([{ field: 'marker', problem: 'is not the id of one of these; take it from `next`' }]);
}
