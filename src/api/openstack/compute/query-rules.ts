import { BerthError } from '../../../errors.js';
import { NAME_LENGTH_MAX, PLAIN_TEXT } from '../../fields.js';
import { invalidFields } from '../../request-validation.pipe.js';
import { booleanOf } from '../fields.js';
import { parameter, type RawQuery } from './paging.js';

/** Rules of queries, bodies and paths that depend on the version, and so are not in the classes of bodies. */

/**
 * The text of a parameter; empty: it has none.
 *
 * @throws BerthError `request.invalid`
 */
export function textParameter(query: RawQuery, name: string): string {
  const text = parameter(query, name) ?? '';
  if (text.length <= NAME_LENGTH_MAX && PLAIN_TEXT.test(text)) return text;
  throw invalidFields([{ field: name, problem: `has to be a text of at most ${NAME_LENGTH_MAX} characters` }]);
}

/** @throws BerthError `request.invalid` */
export function flagParameter(query: RawQuery, name: string): boolean {
  const value = booleanOf(parameter(query, name) ?? false);
  if (typeof value === 'boolean') return value;
  throw invalidFields([{ field: name, problem: 'has to be true or false' }]);
}

/** @throws BerthError `request.invalid` when a body has one of the fields, which its version does not know any more */
export function refuseFields(body: object, names: readonly string[], at = ''): void {
  const given = names.filter((name) => (body as Record<string, unknown>)[name] !== undefined);
  if (given.length === 0) return;
  throw invalidFields(
    given.map((name) => ({ field: `${at}${name}`, problem: 'is not known in this version any more' })),
  );
}

const UUID = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i;

export function isUuid(text: string): boolean {
  return UUID.test(text);
}

/** @throws BerthError `request.invalid` */
export function uuidInPath(text: string): string {
  if (isUuid(text)) return text.toLowerCase();
  throw new BerthError('request.invalid', `Invalid uuid ${text.slice(0, 100)}`);
}

/** The whole number of a path; one that is too large for anything is 0. null: it is none. */
export function numberInPath(text: string): number | null {
  if (!/^[+-]?\d{1,100}$/.test(text)) return null;
  const number = Number(text);
  return Number.isSafeInteger(number) ? number : 0;
}

/** A body as if what is null in it were left out. */
export function withoutNulls<Body extends object>(body: Body): Body {
  return Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null)) as Body;
}
