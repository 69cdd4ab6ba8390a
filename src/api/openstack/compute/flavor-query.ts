import { FLAVOR_SORT_KEYS, type FlavorSearch, type FlavorSortKey } from '../../../store/flavor-search.store.js';
import { type Caller, isAdmin } from '../../identity/caller.js';
import { invalidFields } from '../../request-validation.pipe.js';
import { booleanOf } from '../fields.js';
import { refuseUnknown } from './microversion-fields.js';
import { pagingOf, parameter, type RawQuery } from './paging.js';

const KNOWN = ['limit', 'marker', 'is_public', 'minRam', 'minDisk', 'sort_key', 'sort_dir'];
/** The ledger's numbers end here; what asks for more finds nothing either way. */
const SIZE_MAX = 2_147_483_647;

/**
 * What a query for flavors looks for.
 *
 * @param minor of the version that was agreed on
 * @throws BerthError `request.invalid`
 */
export function flavorSearch(caller: Caller, query: RawQuery, minor: number): FlavorSearch {
  if (minor >= 75) refuseUnknown(query, KNOWN);
  return {
    ...pagingOf(query),
    isPublic: isAdmin(caller) ? publicity(parameter(query, 'is_public')) : true,
    projectId: caller.projectId,
    ramMbMin: sizeOf(query, 'minRam'),
    diskGbMin: sizeOf(query, 'minDisk'),
    sortKey: wordOf(query, 'sort_key', FLAVOR_SORT_KEYS) ?? ('flavorid' satisfies FlavorSortKey),
    descending: wordOf(query, 'sort_dir', ['asc', 'desc']) === 'desc',
  };
}

/** null: public or not, which `None` asks for. */
function publicity(text: string | undefined): boolean | null {
  if (text === undefined) return true;
  if (/^none$/i.test(text)) return null;
  const wanted = booleanOf(text.trim());
  if (typeof wanted === 'boolean') return wanted;
  throw invalidFields([{ field: 'is_public', problem: 'has to be true, false or none' }]);
}

function sizeOf(query: RawQuery, name: 'minRam' | 'minDisk'): number {
  const text = parameter(query, name)?.trim() ?? '0';
  if (!/^[+-]?\d{1,30}$/.test(text)) throw invalidFields([{ field: name, problem: 'has to be a whole number' }]);
  return Math.max(0, Math.min(Number(text), SIZE_MAX));
}

function wordOf<T extends string>(query: RawQuery, name: string, words: readonly T[]): T | null {
  const texts = [query[name] ?? []].flat();
  if (texts.some((text) => !words.includes(text as T))) {
    throw invalidFields([{ field: name, problem: `has to be one of ${words.join(', ')}` }]);
  }
  return (texts.at(-1) as T | undefined) ?? null;
}
