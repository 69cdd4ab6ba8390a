import { place } from '../../../placement/place.js';
import type { PlacementPolicy } from '../../../placement/snapshot.js';
import type { Steps } from '../../../placement/steps.js';
import type { CandidateQuery, RequestGroup } from './candidate-query.js';
import { isTooMuch, judge, requestOf, type Wanted, type Wisher } from './judge.js';
import { hasTraits, isMember, leftOf } from './provider-filter.js';
import type { Provider } from './provider-tree.js';
import type { Providers } from './providers.js';

/** One way to serve a request. */
export interface Candidate {
  readonly wanted: Wanted;
  /** Suffix of a group → uuids of the providers that serve it. */
  readonly mappings: ReadonlyMap<string, readonly string[]>;
  readonly tree: readonly Provider[];
}

/** What one provider has to give: a group, or one class of the group without suffix. */
interface Slot {
  readonly group: RequestGroup;
  readonly resources: ReadonlyMap<string, number>;
}

/** So often the engine is asked for one answer. */
const QUESTIONS_MAX = 5_000;
/** So many combinations are looked at for one answer, whether the numbers are enough or not. */
const COMBINATIONS_MAX = 200_000;

/**
 * Finds candidates in rounds, one of each host in a round, so that a limit does not leave hosts out for the many ways of the first. What is
 * the same but for the order of equal groups is found once: eight of eight equal cards are one candidate, not 40,320.
 *
 * @param isNested false: versions before 1.29, which know of one provider of a tree only
 */
export function* findCandidates(
  providers: Providers,
  query: CandidateQuery,
  isNested: boolean,
  wisher: Wisher,
): Steps<Candidate[]> {
  const { policy } = providers.context;
  const ways = inOrder(treesFor(providers, query), query, wisher, policy).map((tree) =>
    candidatesOn(tree, query, isNested),
  );
  const found: Candidate[] = [];
  let asked = 0;
  let open = ways;
  for (let looked = 0; open.length > 0;) {
    const next: typeof ways = [];
    for (const way of open) {
      const step = way.next();
      if (step.done === true) continue;
      next.push(way);
      if (++looked > COMBINATIONS_MAX || asked >= QUESTIONS_MAX) return found;
      if (step.value !== null) {
        asked++;
        if (serves(step.value, wisher, policy)) found.push(step.value);
        if (found.length >= query.limit) return found;
      }
      yield;
    }
    open = next;
  }
  return found;
}

function serves({ tree, wanted }: Candidate, wisher: Wisher, policy: PlacementPolicy): boolean {
  return judge(tree, wanted, wisher, policy).outcome === 'placed';
}

/** Trees of hosts that could serve, as far as that can be told without looking at devices. */
function treesFor(providers: Providers, { groups, rootTraits }: CandidateQuery): (readonly Provider[])[] {
  const roots = groups.map(({ inTree }) => (inTree === null ? null : (providers.hostOf(inTree)?.id ?? 'none')));
  return providers.hosts
    .filter(({ id }) => roots.every((root) => root === null || root === id))
    .map((host) => providers.tree(host))
    .filter(([root]) => {
      return (
        root !== undefined &&
        hasTraits(root.traits, rootTraits) &&
        // what is said of the host is true of all that is in it
        groups.every(({ aggregates }) => isMember(root.aggregates, aggregates))
      );
    });
}

/** The hosts that the engine likes best come first; none, when it finds no host at all. */
function inOrder(
  trees: readonly (readonly Provider[])[],
  query: CandidateQuery,
  wisher: Wisher,
  policy: PlacementPolicy,
): (readonly Provider[])[] {
  const fitting = trees.filter((tree) => slotsOf(query).every((slot) => tree.some((one) => canGive(one, slot))));
  const [first] = fitting;
  if (!first || fitting.length === 1) return fitting;
  const plain = new Map(['VCPU', 'MEMORY_MB', 'DISK_GB'].map((name) => [name, totalOf(query, name)] as const));
  const request = requestOf(first, new Map([[first[0]?.uuid ?? '', plain]]), wisher, false);
  const hosts = fitting.flatMap(([root]) => (root ? [root.host] : []));
  const decision = place({ hosts, policy }, request, []);
  if (decision.outcome === 'rejected') return [];
  const ranks = new Map(decision.scores.map(({ host }, rank) => [host, rank]));
  const rankOf = ([root]: readonly Provider[]): number => ranks.get(root?.name ?? '') ?? ranks.size;
  return [...fitting].sort((a, b) => rankOf(a) - rankOf(b));
}

function totalOf({ groups }: CandidateQuery, name: string): number {
  return groups.reduce((sum, { resources }) => sum + (resources.get(name) ?? 0), 0);
}

function slotsOf({ groups }: CandidateQuery): Slot[] {
  return groups.flatMap((group): Slot[] => {
    if (group.suffix !== '') return [{ group, resources: group.resources }];
    return [...group.resources].map((one) => ({ group, resources: new Map([one]) }));
  });
}

/** Whether the provider would do for the slot if nothing else were asked. */
function canGive(provider: Provider, { group, resources }: Slot): boolean {
  if (group.suffix !== '' && !hasTraits(provider.traits, group.traits)) return false;
  return [...resources].every(([name, amount]) => amount <= leftOf(provider, name));
}

/** All that fits by numbers; the engine has not been asked. null: a combination that does not. */
function* candidatesOn(
  tree: readonly Provider[],
  query: CandidateQuery,
  isNested: boolean,
): Generator<Candidate | null, void> {
  const slots = slotsOf(query);
  const choices = slots.map((slot) => tree.filter((provider) => canGive(provider, slot)));
  for (const chosen of combinations(choices, twinsOf(slots, query), query.isolate)) {
    const wanted = wantedOf(chosen, slots);
    const isWhole = holds(chosen, slots, query) && (isNested || wanted.size === 1) && fitsIn(tree, wanted);
    yield isWhole && !isTooMuch(tree, wanted) ? { tree, wanted, mappings: mappingsOf(chosen, slots) } : null;
  }
}

/** Of each slot, the one before it that is like it: it does not matter which of the two has which provider. -1: there is none. */
function twinsOf(slots: readonly Slot[], { subtrees }: CandidateQuery): number[] {
  const likeness = slots.map(({ group, resources }) => {
    const isAlone = group.suffix === '' || subtrees.flat().includes(group.suffix);
    return JSON.stringify([[...resources], group.traits, isAlone ? group.suffix : null, group.suffix === '']);
  });
  return likeness.map((text, index) => likeness.slice(0, index).lastIndexOf(text));
}

/** One provider for each slot; twins in order, so that no combination comes twice. */
function* combinations(
  choices: readonly (readonly Provider[])[],
  twins: readonly number[],
  isolate: boolean,
): Generator<readonly Provider[], void> {
  const places = choices.map(() => 0);
  for (let at = 0; at >= 0;) {
    if (at === choices.length) {
      yield places.map((place, slot) => choices[slot]?.[place] as Provider);
      places[--at] = (places[at] ?? 0) + 1;
    } else if ((places[at] ?? 0) >= (choices[at]?.length ?? 0)) {
      if (--at >= 0) places[at] = (places[at] ?? 0) + 1;
    } else if (++at < choices.length) {
      const twin = places[twins[at] ?? -1];
      places[at] = twin === undefined ? 0 : twin + (isolate ? 1 : 0);
    }
  }
}

function holds(chosen: readonly Provider[], slots: readonly Slot[], { isolate, subtrees }: CandidateQuery): boolean {
  const of = (suffix: string): Provider[] => chosen.filter((_one, index) => slots[index]?.group.suffix === suffix);
  const suffixed = chosen.filter((_one, index) => slots[index]?.group.suffix !== '');
  if (isolate && new Set(suffixed).size < suffixed.length) return false;
  const loose = slots.find(({ group }) => group.suffix === '')?.group;
  // traits of the group without suffix: its providers have them together
  if (loose) {
    const together = of('').flatMap(({ traits }) => traits);
    if (!hasTraits(together, loose.traits)) return false;
  }
  return subtrees.every((suffixes) => isSubtree(suffixes.flatMap(of)));
}

/** Whether one of them is all the others, or above them. */
function isSubtree(providers: readonly Provider[]): boolean {
  return providers.some((top) => providers.every((one) => one === top || one.parent === top.uuid));
}

function wantedOf(chosen: readonly Provider[], slots: readonly Slot[]): Wanted {
  const wanted = new Map<string, Map<string, number>>();
  for (const [index, { uuid }] of chosen.entries()) {
    const amounts = wanted.get(uuid) ?? new Map<string, number>();
    for (const [name, amount] of slots[index]?.resources ?? []) amounts.set(name, (amounts.get(name) ?? 0) + amount);
    if (amounts.size > 0) wanted.set(uuid, amounts);
  }
  return wanted;
}

/** Whether providers have it for all slots together. */
function fitsIn(tree: readonly Provider[], wanted: Wanted): boolean {
  return tree.every((provider) =>
    [...(wanted.get(provider.uuid) ?? [])].every(([name, amount]) => amount <= leftOf(provider, name)),
  );
}

function mappingsOf(chosen: readonly Provider[], slots: readonly Slot[]): Candidate['mappings'] {
  const mappings = new Map<string, string[]>();
  for (const [index, { uuid }] of chosen.entries()) {
    const suffix = slots[index]?.group.suffix ?? '';
    const uuids = mappings.get(suffix) ?? [];
    if (!uuids.includes(uuid)) mappings.set(suffix, [...uuids, uuid]);
  }
  return mappings;
}
