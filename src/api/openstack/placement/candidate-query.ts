import {
  type AggregateWishes,
  aggregatesIn,
  assertKnown,
  every,
  invalid,
  type RawQuery,
  resourcesIn,
  single,
  type TraitWishes,
  traitsIn,
  uuidIn,
} from './query.js';

/** What has to come together. */
export interface RequestGroup {
  /** Empty: its classes may come from different providers. */
  readonly suffix: string;
  readonly resources: ReadonlyMap<string, number>;
  readonly traits: TraitWishes;
  readonly aggregates: AggregateWishes;
  readonly inTree: string | null;
}

export interface CandidateQuery {
  readonly groups: readonly RequestGroup[];
  readonly isolate: boolean;
  readonly rootTraits: TraitWishes;
  /** Suffixes of groups that have to lie below one of them. */
  readonly subtrees: readonly (readonly string[])[];
  readonly limit: number;
}

/** As many request groups as the engine takes device requests. */
const GROUPS_MAX = 32;
export const CANDIDATES_MAX = 1_000;

/** Parameter → the minor version from which it is known. */
const PLAIN: Readonly<Record<string, number>> = { limit: 16, group_policy: 25, root_required: 35, same_subtree: 36 };
const OF_GROUPS: Readonly<Record<string, number>> = { resources: 10, required: 17, member_of: 21, in_tree: 31 };
const SINCE = { suffixes: 25, words: 33, bareGroups: 36 } as const;

/** @throws BerthError `request.invalid` */
export function candidateQuery(query: RawQuery, minor: number): CandidateQuery {
  assertKnown(query, (name) => minor >= (PLAIN[name] ?? groupKey(name, minor)?.since ?? Infinity));
  const subtrees = every(query, 'same_subtree').map((text) => text.split(','));
  const suffixes = [...new Set(Object.keys(query).flatMap((name) => groupKey(name, minor)?.suffix ?? []))].sort();
  if (suffixes.length > GROUPS_MAX) throw invalid(`there are more than ${GROUPS_MAX} request groups`);
  const groups = suffixes.map((suffix) => group(query, suffix, minor));
  for (const one of groups) assertWhole(one, subtrees, minor);
  if (!groups.some(({ resources }) => resources.size > 0)) throw invalid(`'resources' is a required property`);
  const policy = single(query, 'group_policy');
  if (policy !== undefined && policy !== 'none' && policy !== 'isolate') {
    throw invalid(`'group_policy' has to be none or isolate`);
  }
  if (policy === undefined && groups.filter(({ suffix }) => suffix !== '').length > 1) {
    throw invalid('The "group_policy" parameter is required when specifying more than one "resources{N}" parameter');
  }
  const unknown = subtrees.flat().find((suffix) => suffix === '' || !suffixes.includes(suffix));
  if (unknown !== undefined)
    throw invalid(`Real suffixes should be specified in same_subtree: '${unknown.slice(0, 64)}' is none`);
  const rootTraits = traitsIn(every(query, 'root_required').slice(0, 1), 'root_required', minor);
  return { groups, isolate: policy === 'isolate', rootTraits, subtrees, limit: limitOf(single(query, 'limit')) };
}

function group(query: RawQuery, suffix: string, minor: number): RequestGroup {
  const resources = single(query, `resources${suffix}`);
  const inTree = single(query, `in_tree${suffix}`);
  return {
    suffix,
    resources: resources === undefined ? new Map() : resourcesIn(resources),
    traits: traitsIn(every(query, `required${suffix}`), `required${suffix}`, minor),
    aggregates: aggregatesIn(every(query, `member_of${suffix}`), `member_of${suffix}`, minor),
    inTree: inTree === undefined ? null : uuidIn(inTree, `in_tree${suffix}`),
  };
}

/** A group without resources says which provider has to be there beside others: only `same_subtree` gives that a meaning. */
function assertWhole({ suffix, resources }: RequestGroup, subtrees: CandidateQuery['subtrees'], minor: number): void {
  if (resources.size > 0) return;
  const isBeside = minor >= SINCE.bareGroups && suffix !== '' && subtrees.some((group) => group.includes(suffix));
  if (isBeside) return;
  throw invalid(`All request groups must specify resources; the group '${suffix}' has none`);
}

function groupKey(name: string, minor: number): { readonly suffix: string; readonly since: number } | null {
  const [, key, suffix = ''] = /^(resources|required|member_of|in_tree)(.*)$/s.exec(name) ?? [];
  if (key === undefined) return null;
  const pattern = minor >= SINCE.words ? /^[a-zA-Z0-9_-]{0,64}$/ : /^(?:[1-9][0-9]{0,8})?$/;
  if (!pattern.test(suffix) || (suffix !== '' && minor < SINCE.suffixes)) return null;
  return { suffix, since: OF_GROUPS[key] as number };
}

function limitOf(text: string | undefined): number {
  if (text === undefined) return CANDIDATES_MAX;
  if (/^[1-9][0-9]{0,8}$/.test(text)) return Math.min(Number(text), CANDIDATES_MAX);
  throw invalid(`'limit' has to be a whole number from 1 on; Failed validating 'pattern'`);
}
