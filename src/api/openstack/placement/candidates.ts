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
/** So many steps a search for one answer has. */
const STEPS_MAX = 500_000;

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
  const fitting = yield* fittingTrees(providers, query);
  const ways = inOrder(fitting, query, wisher, policy).map((tree) => candidatesOn(tree, query, isNested));
  const found: Candidate[] = [];
  let asked = 0;
  let open = ways;
  for (let looked = 0; open.length > 0;) {
    const next: typeof ways = [];
    for (const way of open) {
      const step = way.next();
      if (step.done === true) continue;
      next.push(way);
      if (++looked > STEPS_MAX || asked >= QUESTIONS_MAX) return found;
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

/** Trees of hosts that could serve, as far as that can be told of each slot by itself. */
function* fittingTrees(providers: Providers, query: CandidateQuery): Steps<(readonly Provider[])[]> {
  const { groups, rootTraits } = query;
  const slots = slotsOf(query);
  const roots = groups.map(({ inTree }) => (inTree === null ? null : (providers.hostOf(inTree)?.id ?? 'none')));
  const fitting: (readonly Provider[])[] = [];
  for (const host of providers.hosts) {
    if (!roots.every((root) => root === null || root === host.id)) continue;
    const tree = providers.tree(host);
    const [root] = tree as [Provider];
    const isAsked =
      hasTraits(root.traits, rootTraits) &&
      // what is said of the host is true of all that is in it
      groups.every(({ aggregates }) => isMember(root.aggregates, aggregates));
    if (isAsked && slots.every((slot) => tree.some((one) => canGive(one, slot)))) fitting.push(tree);
    yield;
  }
  return fitting;
}

/** The hosts that the engine likes best come first; none, when it finds no host at all. */
function inOrder(
  fitting: readonly (readonly Provider[])[],
  query: CandidateQuery,
  wisher: Wisher,
  policy: PlacementPolicy,
): readonly (readonly Provider[])[] {
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

/** All that fits by numbers; the engine has not been asked. null: one step of the search, without anything found. */
function* candidatesOn(
  tree: readonly Provider[],
  query: CandidateQuery,
  isNested: boolean,
): Generator<Candidate | null, void> {
  const slots = slotsOf(query);
  for (const chosen of combinations(tree, slots, query)) {
    if (!chosen) {
      yield null;
      continue;
    }
    const wanted = wantedOf(chosen, slots);
    const isWhole = holds(chosen, slots, query) && (isNested || wanted.size === 1) && !isTooMuch(tree, wanted);
    yield isWhole ? { tree, wanted, mappings: mappingsOf(chosen, slots) } : null;
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

/** One provider for each slot, so that each has enough for all of its slots; twins in order, so that no combination comes twice. */
function* combinations(
  tree: readonly Provider[],
  slots: readonly Slot[],
  query: CandidateQuery,
): Generator<readonly Provider[] | null, void> {
  const choices = slots.map((slot) => tree.filter((provider) => canGive(provider, slot)));
  const twins = twinsOf(slots, query);
  const chosen: Provider[] = [];
  const places: number[] = [0];
  while (places.length > 0) {
    const at = places.length - 1;
    const place = places[at] as number;
    const provider = choices[at]?.[place];
    chosen.length = at;
    if (!provider) {
      places.pop();
      if (at > 0) places[at - 1] = (places[at - 1] as number) + 1;
      continue;
    }
    chosen.push(provider);
    if (!hasRoomFor(chosen, slots, query.isolate)) {
      places[at] = place + 1;
      yield null;
    } else if (at + 1 === slots.length) {
      places[at] = place + 1;
      yield [...chosen];
    } else {
      places.push(places[twins[at + 1] ?? -1] ?? 0);
    }
  }
}

/** Whether the last of the chosen can serve its slot beside the others. */
function hasRoomFor(chosen: readonly Provider[], slots: readonly Slot[], isolate: boolean): boolean {
  const last = chosen.length - 1;
  const provider = chosen[last] as Provider;
  const slot = slots[last] as Slot;
  const beside = slots.slice(0, last).filter((_slot, index) => chosen[index] === provider);
  if (isolate && slot.group.suffix !== '' && beside.some(({ group }) => group.suffix !== '')) return false;
  return [...slot.resources].every(([name, amount]) => {
    const taken = beside.reduce((sum, { resources }) => sum + (resources.get(name) ?? 0), 0);
    return taken + amount <= leftOf(provider, name);
  });
}

function holds(chosen: readonly Provider[], slots: readonly Slot[], { subtrees }: CandidateQuery): boolean {
  const of = (suffix: string): Provider[] => chosen.filter((_one, index) => slots[index]?.group.suffix === suffix);
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

function mappingsOf(chosen: readonly Provider[], slots: readonly Slot[]): Candidate['mappings'] {
  const mappings = new Map<string, string[]>();
  for (const [index, { uuid }] of chosen.entries()) {
    const suffix = slots[index]?.group.suffix ?? '';
    const uuids = mappings.get(suffix) ?? [];
    if (!uuids.includes(uuid)) mappings.set(suffix, [...uuids, uuid]);
  }
  return mappings;
}
