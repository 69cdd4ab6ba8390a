import { withoutServer } from './apply-placement.js';
import { Fork } from './fork.js';
import { place } from './place.js';
import type { ExcludedHost, PlacementRequest } from './request.js';
import type { HostedServer, HostSnapshot, Snapshot } from './snapshot.js';

/** Which servers would have to leave a host, so that a request fits there. */
export interface PreemptionPlan {
  readonly hostId: string;
  readonly hostName: string;
  /** The host's generation that was decided on. */
  readonly generation: number;
  /** In id order; at least one. */
  readonly victims: readonly HostedServer[];
  /** Whether it is proven that less damage would not do. */
  readonly least: boolean;
}

/** Sets of servers that are tried: all those of eight servers on one host, and of sixteen such hosts. */
const SETS_PER_HOST_MAX = 255;
const SETS_MAX = 16 * SETS_PER_HOST_MAX;

/**
 * The least damage with which a request that fits nowhere would fit: the fewest servers, then the lowest sum of priorities,
 * then the fewest devices taken away, then the first host by name and the first ids. Every plan is proven by deciding on
 * the fleet without its victims.
 *
 * Exact while there are not too many sets of servers to try: 255 on one host, 4080 on all of them. Where there are more, the set is
 * found by putting back, the most important first, who need not leave; the plan then says `least: false`.
 *
 * @param mayLeave who may be asked to leave; {@link mayBePreempted} for preemption
 * @returns null when no host would do
 */
export function planPreemption(
  snapshot: Snapshot,
  request: PlacementRequest,
  excluded: readonly ExcludedHost[],
  mayLeave: (server: HostedServer) => boolean = (server) => mayBePreempted(server, request),
): PreemptionPlan | null {
  const question = { snapshot, request, excluded };
  const plans: CostedPlan[] = [];
  const budget = { setsLeft: SETS_MAX };
  let least = true;
  let countMax = Infinity;
  for (const host of snapshot.hosts) {
    if (excluded.some(({ hostId }) => hostId === host.id)) continue;
    const servers = host.servers.filter((server) => mayLeave(server) && !isWanted(server, request));
    if (servers.length === 0 || !fitsWithout(question, host, servers)) continue;
    const found = fewestOf(question, host, servers, { countMax, budget });
    least &&= found.least;
    if (found.victims === null) continue;
    plans.push({ host, victims: found.victims, cost: costOf(host, found.victims) });
    // of a group, whether the plan holds shows only on the whole fleet: until then it rules out no other
    if (!request.host?.group) countMax = Math.min(countMax, found.victims.length);
  }
  const best = plans.sort(cheaperFirst).find((plan) => holds(question, plan));
  if (!best) return null;
  const { id: hostId, name: hostName, generation } = best.host;
  return { hostId, hostName, generation, victims: [...best.victims].sort((a, b) => (a.id < b.id ? -1 : 1)), least };
}

/** Never a server of the same or a higher priority, and never one that is on its way. */
export function mayBePreempted(server: HostedServer, { priority = 0 }: PlacementRequest): boolean {
  return server.preemptible && server.settled && server.priority < priority;
}

interface Question {
  readonly snapshot: Snapshot;
  readonly request: PlacementRequest;
  readonly excluded: readonly ExcludedHost[];
}

interface CostedPlan {
  readonly host: HostSnapshot;
  readonly victims: readonly HostedServer[];
  readonly cost: Cost;
}

/** What counts before names do. */
interface Cost {
  readonly priorities: number;
  readonly devices: number;
  readonly ids: string;
}

/** Who the request wants to be with does not leave for it; so the more others leave, the better it fits. */
function isWanted(server: HostedServer, { host }: PlacementRequest): boolean {
  if (host?.sameHost?.includes(server.id)) return true;
  return host?.group?.policy === 'affinity' && server.groupId === host.group.id;
}

interface Victims {
  readonly victims: readonly HostedServer[] | null;
  readonly least: boolean;
}

/** By size, each size in the order of its cost: the first set that does is the cheapest. */
function fewestOf(
  question: Question,
  host: HostSnapshot,
  servers: readonly HostedServer[],
  { countMax, budget }: { readonly countMax: number; readonly budget: { setsLeft: number } },
): Victims {
  let left = SETS_PER_HOST_MAX;
  for (let size = 1; size <= Math.min(servers.length, countMax); size++) {
    const count = setsOf(servers.length, size);
    left -= count;
    if (left < 0 || budget.setsLeft < count) {
      return { victims: putBack(question, host, servers, countMax), least: false };
    }
    budget.setsLeft -= count;
    const sets = [...subsets(servers, size)]
      .map((victims) => ({ victims, cost: costOf(host, victims) }))
      .sort((a, b) => cheaper(a.cost, b.cost));
    const first = sets.find(({ victims }) => fitsWithout(question, host, victims));
    if (first) return { victims: first.victims, least: true };
  }
  return { victims: null, least: true };
}

/** A set of which nobody can be left out; not always the smallest there is. */
function putBack(
  question: Question,
  host: HostSnapshot,
  servers: readonly HostedServer[],
  countMax: number,
): readonly HostedServer[] | null {
  const dearestFirst = [...servers].sort((a, b) => cheaper(costOf(host, [b]), costOf(host, [a])));
  let victims: readonly HostedServer[] = servers;
  for (const server of dearestFirst) {
    const fewer = victims.filter((other) => other !== server);
    if (fewer.length > 0 && fitsWithout(question, host, fewer)) victims = fewer;
  }
  return victims.length <= countMax ? victims : null;
}

function fitsWithout({ snapshot, request }: Question, host: HostSnapshot, victims: readonly HostedServer[]): boolean {
  return place({ hosts: [without(host, victims)], policy: snapshot.policy }, request, []).outcome === 'placed';
}

/** Decided on the fleet: what one host alone does not show are groups, whose members are elsewhere. */
function holds({ snapshot, request, excluded }: Question, { host, victims }: CostedPlan): boolean {
  const fork = new Fork(snapshot);
  fork.put(without(host, victims));
  const decision = fork.decide(request, excluded);
  return decision.outcome === 'placed' && decision.hostId === host.id;
}

function without(host: HostSnapshot, victims: readonly HostedServer[]): HostSnapshot {
  return victims.reduce((left, { id }) => withoutServer(left, id), host);
}

function costOf(host: HostSnapshot, victims: readonly HostedServer[]): Cost {
  const ids = victims.map(({ id }) => id).sort();
  return {
    priorities: victims.reduce((sum, { priority }) => sum + priority, 0),
    devices: host.devices.filter(({ owner }) => owner !== null && ids.includes(owner.serverId)).length,
    ids: ids.join(),
  };
}

function cheaperFirst(a: CostedPlan, b: CostedPlan): number {
  return (
    a.victims.length - b.victims.length ||
    a.cost.priorities - b.cost.priorities ||
    a.cost.devices - b.cost.devices ||
    (a.host.name < b.host.name ? -1 : 1)
  );
}

function cheaper(a: Cost, b: Cost): number {
  return a.priorities - b.priorities || a.devices - b.devices || (a.ids < b.ids ? -1 : 1);
}

/** How many sets of `size` there are among `count`. */
function setsOf(count: number, size: number): number {
  let sets = 1;
  for (let i = 0; i < size; i++) sets = (sets * (count - i)) / (i + 1);
  return sets;
}

function* subsets<T>(items: readonly T[], size: number): Generator<readonly T[]> {
  if (size === 0) {
    yield [];
    return;
  }
  for (let at = 0; at + size <= items.length; at++) {
    for (const rest of subsets(items.slice(at + 1), size - 1)) yield [items[at] as T, ...rest];
  }
}
