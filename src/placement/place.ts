import type { Decision, HostRejection, Reason } from './decision.js';
import { filterChain } from './filters/filters.js';
import type { Filter, FilterContext } from './filters/filter.js';
import { fitHost } from './fit-host.js';
import type { ExcludedHost, PlacementRequest } from './request.js';
import type { HostSnapshot, Snapshot } from './snapshot.js';
import { weigh } from './weighers/weigh.js';

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
  const no: TurnedDown[] = [];
  const candidates = filterHosts(snapshot.hosts, context, no);
  const { ranked, scoreOf } = weigh(candidates, request, snapshot.policy);
  for (const { host } of ranked) {
    const fit = fitHost(host, request);
    if (!fit.fits) {
      no.push({ host, filter: fit.filter, explain: () => fit.reasons });
      continue;
    }
    const turnedDown = new Set(no.map((entry) => entry.host));
    const runners = ranked.filter((entry) => !turnedDown.has(entry.host)).slice(0, SCORES_KEPT);
    return {
      outcome: 'placed',
      hostId: host.id,
      hostName: host.name,
      generation: host.generation,
      devices: fit.devices,
      numaCells: fit.numaCells,
      scores: runners.map((entry) => scoreOf(entry.host)),
      rejections: grouped(no, EXPLAINED_WHEN_PLACED),
      hostsConsidered: snapshot.hosts.length,
    };
  }
  const rejections = grouped(no, Infinity);
  return {
    outcome: 'rejected',
    message: summary(rejections, snapshot.hosts.length),
    rejections,
    hostsConsidered: snapshot.hosts.length,
  };
}

interface TurnedDown {
  readonly host: HostSnapshot;
  readonly filter: string;
  readonly explain: () => readonly Reason[];
}

function filterHosts(hosts: readonly HostSnapshot[], context: FilterContext, no: TurnedDown[]): HostSnapshot[] {
  let left = [...hosts];
  for (const filter of filterChain(context.policy.filters)) {
    const passed: HostSnapshot[] = [];
    for (const host of left) {
      if (filter.passes(host, context)) passed.push(host);
      else no.push(turnedDown(filter, host, context));
    }
    left = passed;
  }
  return left;
}

function turnedDown(filter: Filter, host: HostSnapshot, context: FilterContext): TurnedDown {
  return { host, filter: filter.name, explain: () => filter.explain(host, context) };
}

/** Hosts with one filter and the same reasons become one entry; beyond `explained` hosts only the filter is told. */
function grouped(no: readonly TurnedDown[], explained: number): HostRejection[] {
  const groups = new Map<string, { filter: string; reasons: readonly Reason[]; hosts: string[] }>();
  for (const [index, entry] of no.entries()) {
    const reasons = index < explained ? entry.explain() : [];
    const key = `${entry.filter}\n${reasons.map((reason) => `${reason.code} ${reason.message}`).join('\n')}`;
    const group = groups.get(key);
    if (group) group.hosts.push(entry.host.name);
    else groups.set(key, { filter: entry.filter, reasons, hosts: [entry.host.name] });
  }
  return [...groups.values()]
    .map(({ filter, reasons, hosts }) => ({
      filter,
      hosts: hosts.sort().slice(0, HOSTS_NAMED_MAX),
      hostCount: hosts.length,
      reasons,
    }))
    .sort((a, b) => b.hostCount - a.hostCount || ((a.hosts[0] ?? '') < (b.hosts[0] ?? '') ? -1 : 1));
}

/** One sentence on the cause that came nearest to a "yes": a host with busy GPUs says more than ten without any. */
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
