import type { Decision, HostRejection, HostScore } from './decision.js';
import type { HostFit } from './fit-host.js';
import type { FilterContext, JudgedRequest } from './filters/filter.js';
import { retryFilter } from './filters/retry.filter.js';
import { groupHostsOf } from './filters/server-group.filters.js';
import { judge, type Judgements } from './judgements.js';
import { fitHostAsNova } from './nova/fit-host.js';
import type { Refusal } from './refusals.js';
import type { ExcludedHost, PlacementRequest } from './request.js';
import { hostsOfReservation, noDeviceKept } from './reserved-devices.js';
import type { HostSnapshot, Snapshot } from './snapshot.js';

const SCORES_KEPT = 10;
/**
 * Distinct causes told in full, and of how many hosts of each what is named there; hosts beyond are counted by the codes of
 * their causes, so that a record stays small. Of a placement less: it is not what people come to ask about.
 */
const TOLD = { causes: 50, named: 5 } as const;
const TOLD_WHEN_PLACED = { causes: 10, named: 1 } as const;

/**
 * Decides: filters drop hosts and keep the reason, weighers order the rest, and the first host on which the devices fit
 * together is the answer. Pure: no clock, no chance; the same snapshot and request give the same answer, byte for byte.
 *
 * @param excluded hosts that this server must not be tried on again
 */
export function place(snapshot: Snapshot, request: PlacementRequest, excluded: readonly ExcludedHost[]): Decision {
  if (request.reservation !== undefined) return placeReserved(snapshot, request, excluded);
  return placeOn(snapshot, request, { excluded, groupHosts: groupHostsOf(snapshot.hosts, request) });
}

/** Only on devices that the reservation keeps: no other host, and nothing else of these, is looked at. */
function placeReserved(snapshot: Snapshot, request: PlacementRequest, excluded: readonly ExcludedHost[]): Decision {
  const hosts = hostsOfReservation(snapshot.hosts, request);
  if (hosts.length === 0) return noDeviceKept(snapshot.hosts, request);
  return placeOn({ ...snapshot, hosts }, request, { excluded, groupHosts: groupHostsOf(snapshot.hosts, request) });
}

type Bounds = Pick<FilterContext, 'excluded' | 'groupHosts'>;

function placeOn(snapshot: Snapshot, request: PlacementRequest, { excluded, groupHosts }: Bounds): Decision {
  const { hosts, policy } = snapshot;
  const context = { request: judgedOf(request), policy, groupHosts };
  const judgements = judge(hosts, { ...context, excluded: [] });
  const out = leftOut(hosts, { ...context, excluded });
  for (const index of judgements.ranking.ranked()) {
    if (out.has(index)) continue;
    const host = hosts[index] as HostSnapshot;
    const fit = policy.compat === 'nova' ? fitHostAsNova(host, request, policy) : judgements.fits.of(host);
    if (fit.fits) return placement(snapshot, judgements, index, fit, out);
    out.set(index, fit);
  }
  const rejections = rejectionsOf(hosts, judgements, out, TOLD);
  return {
    outcome: 'rejected',
    message: summary(rejections, hosts.length),
    rejections,
    hostsConsidered: hosts.length,
  };
}

const judgedRequests = new WeakMap<PlacementRequest, JudgedRequest>();

/** The same object for the same request: what is known of it is known by that. */
function judgedOf(request: PlacementRequest): JudgedRequest {
  let judged = judgedRequests.get(request);
  if (!judged) {
    const { serverName: _hidden, ...rest } = request;
    judgedRequests.set(request, (judged = rest));
  }
  return judged;
}

/**
 * The hosts that this one server is kept from, by index. They are judged, and weighed against, like all others: what is known
 * for a kind of request serves all servers of the kind, also those that have failed somewhere.
 */
function leftOut(hosts: readonly HostSnapshot[], context: FilterContext): Map<number, Refusal> {
  const out = new Map<number, Refusal>();
  for (const { hostId } of context.excluded) {
    const index = hosts.findIndex(({ id }) => id === hostId);
    const host = hosts[index];
    if (host) out.set(index, { filter: retryFilter.name, reasons: retryFilter.explain(host, context) });
  }
  return out;
}

function placement(
  { hosts }: Snapshot,
  judgements: Judgements,
  index: number,
  { fits: _fits, ...given }: HostFit,
  out: ReadonlyMap<number, Refusal>,
): Decision {
  const { id, name, generation } = hosts[index] as HostSnapshot;
  return {
    outcome: 'placed',
    hostId: id,
    hostName: name,
    generation,
    ...given,
    scores: scoresOf(hosts, judgements, out),
    rejections: rejectionsOf(hosts, judgements, out, TOLD_WHEN_PLACED),
    hostsConsidered: hosts.length,
  };
}

/** The winner's first, then those of the hosts that come next. */
function scoresOf(
  hosts: readonly HostSnapshot[],
  { ranking }: Judgements,
  out: ReadonlyMap<number, Refusal>,
): HostScore[] {
  const scores: HostScore[] = [];
  for (const index of ranking.ranked()) {
    if (out.has(index)) continue;
    scores.push(ranking.scoreOf(index, hosts[index]?.name ?? ''));
    if (scores.length === SCORES_KEPT) break;
  }
  return scores;
}

/** @param out hosts that turned out not to serve, or that the server is kept from */
function rejectionsOf(
  hosts: readonly HostSnapshot[],
  { refusals, explain, judgeAgain }: Judgements,
  out: ReadonlyMap<number, Refusal>,
  limits: Parameters<Judgements['refusals']['told']>[1],
): readonly HostRejection[] {
  for (const [index, refusal] of out) refusals.put(index, refusal);
  const told = refusals.told(hosts, limits, (index) => out.get(index) ?? explain(hosts[index] as HostSnapshot));
  for (const index of out.keys()) judgeAgain(index, hosts[index] as HostSnapshot);
  return told;
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
