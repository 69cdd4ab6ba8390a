import type { Decision, HostRejection, HostScore } from './decision.js';
import type { HostFit } from './fit-host.js';
import { groupHostsOf } from './filters/server-group.filters.js';
import { judge, type Judgements } from './judgements.js';
import { fitHostAsNova } from './nova/fit-host.js';
import type { Refusal } from './refusals.js';
import type { ExcludedHost, PlacementRequest } from './request.js';
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
  const { hosts, policy } = snapshot;
  const { serverName: _hidden, ...judged } = request;
  const judgements = judge(hosts, { request: judged, policy, excluded, groupHosts: groupHostsOf(hosts, judged) });
  const failed = new Map<number, Refusal>();
  for (const index of judgements.ranking.ranked()) {
    const host = hosts[index] as HostSnapshot;
    const fit = policy.compat === 'nova' ? fitHostAsNova(host, request, policy) : judgements.fits.of(host);
    if (fit.fits) return placement(snapshot, judgements, index, fit, failed);
    failed.set(index, fit);
  }
  const rejections = rejectionsOf(hosts, judgements, failed, TOLD);
  return {
    outcome: 'rejected',
    message: summary(rejections, hosts.length),
    rejections,
    hostsConsidered: hosts.length,
  };
}

function placement(
  { hosts }: Snapshot,
  judgements: Judgements,
  index: number,
  { fits: _fits, ...given }: HostFit,
  failed: ReadonlyMap<number, Refusal>,
): Decision {
  const { id, name, generation } = hosts[index] as HostSnapshot;
  return {
    outcome: 'placed',
    hostId: id,
    hostName: name,
    generation,
    ...given,
    scores: scoresOf(hosts, judgements, failed),
    rejections: rejectionsOf(hosts, judgements, failed, TOLD_WHEN_PLACED),
    hostsConsidered: hosts.length,
  };
}

/** The winner's first, then those of the hosts that come next. */
function scoresOf(
  hosts: readonly HostSnapshot[],
  { ranking }: Judgements,
  failed: ReadonlyMap<number, Refusal>,
): HostScore[] {
  const scores: HostScore[] = [];
  for (const index of ranking.ranked()) {
    if (failed.has(index)) continue;
    scores.push(ranking.scoreOf(index, hosts[index]?.name ?? ''));
    if (scores.length === SCORES_KEPT) break;
  }
  return scores;
}

/** @param failed hosts of the ranking on which the devices turned out not to fit */
function rejectionsOf(
  hosts: readonly HostSnapshot[],
  { refusals, explain }: Judgements,
  failed: ReadonlyMap<number, Refusal>,
  limits: Parameters<Judgements['refusals']['told']>[1],
): readonly HostRejection[] {
  for (const [index, refusal] of failed) refusals.put(index, refusal);
  const told = refusals.told(hosts, limits, (index) => failed.get(index) ?? explain(hosts[index] as HostSnapshot));
  for (const index of failed.keys()) refusals.remove(index);
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
