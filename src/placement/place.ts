import type { Decision, HostRejection, HostScore, Reason } from './decision.js';
import { filterChain } from './filters/filters.js';
import type { Filter, FilterContext } from './filters/filter.js';
import { fitHost } from './fit-host.js';
import type { ExcludedHost, PlacementRequest } from './request.js';
import type { HostSnapshot, Snapshot } from './snapshot.js';
import { weigh, type WeighedHost } from './weighers/weigh.js';

/** How many turned-down hosts of a successful placement are explained; a rejection explains all. */
const EXPLAINED_WHEN_PLACED = 50;
const HOSTS_NAMED_MAX = 20;
const SCORES_KEPT = 10;

/**
 * Decides: filters drop hosts and keep the reason, weighers order the rest, and the first host on which the devices fit
 * together is the answer. Pure: no clock, no chance; the same snapshot and request give the same answer, byte for byte.
 *
 * @param excluded hosts that this server must not be tried on again
 */
export function place(snapshot: Snapshot, request: PlacementRequest, excluded: readonly ExcludedHost[]): Decision {
  const context: FilterContext = { request, policy: snapshot.policy, excluded };
  const { passed, no } = filterHosts(snapshot.hosts, context);
  const ranked = weigh(passed, request, snapshot.policy);
  for (const first of ranked) {
    const fit = fitHost(first.host, request);
    if (!fit.fits) {
      no.push({ host: first.host, filter: fit.filter, explain: () => fit.reasons });
      continue;
    }
    return {
      outcome: 'placed',
      hostId: first.host.id,
      hostName: first.host.name,
      generation: first.host.generation,
      devices: fit.devices,
      numaCells: fit.numaCells,
      scores: [first.score(), ...nextScores(ranked, SCORES_KEPT - 1)],
      rejections: grouped(no, context, EXPLAINED_WHEN_PLACED),
      hostsConsidered: snapshot.hosts.length,
    };
  }
  const rejections = grouped(no, context, Infinity);
  return {
    outcome: 'rejected',
    message: summary(rejections, snapshot.hosts.length),
    rejections,
    hostsConsidered: snapshot.hosts.length,
  };
}

/** The hosts that would have come next. */
function nextScores(ranked: Iterator<WeighedHost>, countMax: number): HostScore[] {
  const scores: HostScore[] = [];
  for (let next = ranked.next(); !next.done; next = ranked.next()) {
    scores.push(next.value.score());
    if (scores.length === countMax) break;
  }
  return scores;
}

interface TurnedDown {
  readonly host: HostSnapshot;
  readonly filter: string;
  readonly explain: Filter['explain'];
}

/** Asks the filters of each host in turn, up to the first "no". @returns `no`: in the order of the filters, then of the hosts */
function filterHosts(
  hosts: readonly HostSnapshot[],
  context: FilterContext,
): { passed: HostSnapshot[]; no: TurnedDown[] } {
  const chain = filterChain(context.policy.filters);
  const passed: HostSnapshot[] = [];
  const noOf = chain.map((): TurnedDown[] => []);
  for (const host of hosts) {
    const at = chain.findIndex((filter) => !filter.passes(host, context));
    const filter = chain[at];
    if (filter) noOf[at]?.push({ host, filter: filter.name, explain: filter.explain });
    else passed.push(host);
  }
  return { passed, no: noOf.flat() };
}

interface RejectionDraft {
  readonly filter: string;
  readonly reasons: readonly Reason[];
  readonly hosts: string[];
  hostCount: number;
}

/** Hosts with one filter and the same reasons become one entry; beyond `explained` hosts only the filter is told. */
function grouped(no: readonly TurnedDown[], context: FilterContext, explained: number): HostRejection[] {
  const groups = new Map<string, RejectionDraft>();
  for (const [index, { host, filter, explain }] of no.entries()) {
    const reasons = index < explained ? explain(host, context) : [];
    const key = reasons.reduce((text, reason) => `${text}\n${reason.code} ${reason.message}`, filter);
    const group = groups.get(key) ?? { filter, reasons, hosts: [], hostCount: 0 };
    if (group.hostCount === 0) groups.set(key, group);
    addHost(group, host.name);
  }
  return [...groups.values()].sort(
    (a, b) => b.hostCount - a.hostCount || ((a.hosts[0] ?? '') < (b.hosts[0] ?? '') ? -1 : 1),
  );
}

/** Counts a host, and names it if it is one of the first by name. Hosts mostly come in that order. */
function addHost(group: RejectionDraft, name: string): void {
  group.hostCount++;
  if (group.hosts.length === HOSTS_NAMED_MAX && name > (group.hosts.at(-1) ?? '')) return;
  group.hosts.push(name);
  group.hosts.sort().splice(HOSTS_NAMED_MAX);
}

function summary(rejections: readonly HostRejection[], hosts: number): string {
  const telling =
    rejections.find((entry) => !entry.reasons.some((reason) => DISTANT.test(reason.code))) ?? rejections[0];
  if (!telling) return 'No host has reported yet.';
  const why = telling.reasons.map((reason) => reason.message).join('; ') || telling.filter;
  const where = telling.hostCount === 1 ? `host ${telling.hosts[0]}` : `${telling.hostCount} hosts`;
  const rest = hosts - telling.hostCount;
  const more = rest === 0 ? '' : `; ${rest} other host${rest === 1 ? '' : 's'} for other causes`;
  return `No valid host: ${why} (${telling.filter}, ${where})${more}.`;
}

/** Causes of hosts that never were candidates. */
const DISTANT = /^(?:host\.|device\.none_matching$)/;
