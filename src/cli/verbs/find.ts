import { BerthError, type ErrorCode } from '../../errors.js';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const SHOWN_IDS_MAX = 10;

/** What can be found by its name. */
interface Named {
  readonly id: string;
  readonly name: string;
}

export function isId(text: string): boolean {
  return UUID.test(text);
}

/**
 * The id of what has this id or name. What looks like an id is one.
 *
 * @param what    `server`
 * @param named   those that may have the name
 * @throws BerthError `unknown` when none has the name, or several have it: then with their ids
 */
export async function idOf(
  nameOrId: string,
  what: string,
  unknown: ErrorCode,
  named: (name: string) => Promise<readonly Named[]>,
): Promise<string> {
  if (isId(nameOrId)) return nameOrId;
  const found = (await named(nameOrId)).filter(({ name }) => name === nameOrId);
  const [first] = found;
  if (!first) throw new BerthError(unknown, `no ${what} is named "${nameOrId}"`);
  if (found.length === 1) return first.id;
  const ids = found.slice(0, SHOWN_IDS_MAX).map(({ id }) => id);
  const more = found.length > ids.length ? ', …' : '';
  throw new BerthError(unknown, `several ${what}s are named "${nameOrId}"; say which by id: ${ids.join(', ')}${more}`);
}
