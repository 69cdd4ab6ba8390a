import type { Decision, HostRejection, Reason } from './decision.js';
import type { Filter, FilterContext } from './filters/filter.js';
import { fitHost } from './fit-host.js';
import { fitHostAsNova } from './nova/fit-host.js';
import { judge, type Judgements } from './judgements.js';
import type { ExcludedHost, PlacementRequest } from './request.js';
import type { HostSnapshot, Snapshot } from './snapshot.js';
import { weigh } from './weighers/weigh.js';

/** How many turned-down hosts of a successful placement are explained; a rejection explains all. */
const EXPLAINED_WHEN_PLACED = 50;
const HOSTS_NAMED_MAX = 20;
const SCORES_KEPT = 10;
/** Distinct causes told in full; hosts beyond are counted by the codes of their causes, so that a record stays small. */
const CAUSES_MAX = 50;

/**
 * Decides: filters drop hosts and keep the reason, weighers order the rest, and the first host on which the devices fit
 * together is the answer. Pure: no clock, no chance; the same snapshot and request give the same answer, byte for byte.
 *
 * @param excluded hosts that this server must not be tried on again
 */
export function place(snapshot: Snapshot, request: PlacementRequest, excluded: readonly ExcludedHost[]): Decision {
  const { hosts, policy } = snapshot;
  const { serverName: _hidden, ...judged } = request;
  const context: FilterContext = { request: judged, policy, excluded };
  const judgements = judge(hosts, context);
  const { ranked, scoreOf } = weigh(judgements.weighers, judgements.values, passedBy(judgements), policy);
  const no = turnedDown(judgements);
  for (const index of ranked) {
    const host = hosts[index] as HostSnapshot;
    const fit = policy.compat === 'nova' ? fitHostAsNova(host, request) : fitHost(host, request);
    if (!fit.fits) {
      no.push({ index, filter: fit.filter, explain: () => fit.reasons });
      continue;
    }
    return {
      outcome: 'placed',
      hostId: host.id,
      hostName: host.name,
      generation: host.generation,
      devices: fit.devices,
      numaCells: fit.numaCells,
      scores: [index, ...firstOf(ranked, SCORES_KEPT - 1)].map((at) => scoreOf(at, hosts[at]?.name ?? '')),
      rejections: grouped(no, hosts, context, EXPLAINED_WHEN_PLACED),
      hostsConsidered: hosts.length,
    };
  }
  const rejections = grouped(no, hosts, context, Infinity);
  return {
    outcome: 'rejected',
    message: summary(rejections, hosts.length),
    rejections,
    hostsConsidered: hosts.length,
  };
}
function passedBy({ chain, verdicts }: Judgements): Uint32Array {
  const indexes = new Uint32Array(verdicts.length);
  let count = 0;
  for (let index = 0; index < verdicts.length; index++) if (verdicts[index] === chain.length) indexes[count++] = index;
  return indexes.subarray(0, count);
}

interface TurnedDown {
  /** The host's. */
  readonly index: number;
  readonly filter: string;
  readonly explain: Filter['explain'];
}

/** In the order of the filters, then of the hosts. */
function turnedDown({ chain, verdicts }: Judgements): TurnedDown[] {
  const byFilter = chain.map((): TurnedDown[] => []);
  for (let index = 0; index < verdicts.length; index++) {
    const at = verdicts[index] as number;
    const filter = chain[at];
    if (filter) byFilter[at]?.push({ index, filter: filter.name, explain: filter.explain });
  }
  return byFilter.flat();
}

/** Takes what comes next, at most `countMax`. */
function firstOf(indexes: Iterator<number>, countMax: number): number[] {
  const taken: number[] = [];
  while (taken.length < countMax) {
    const { done, value } = indexes.next();
    if (done === true) break;
    taken.push(value);
  }
  return taken;
}

interface Group {
  readonly filter: string;
  readonly reasons: readonly Reason[];
  readonly indexes: number[];
}

/** Hosts with one filter and the same reasons become one entry; beyond `explained` hosts only the filter is told. */
function grouped(
  no: readonly TurnedDown[],
  hosts: readonly HostSnapshot[],
  context: FilterContext,
  explained: number,
): HostRejection[] {
  const groups = new Map<string, Group>();
  for (const [at, { index, filter, explain }] of no.entries()) {
    const reasons = at < explained ? explain(hosts[index] as HostSnapshot, context) : [];
    const full = reasons.reduce((text, reason) => `${text}\n${reason.code} ${reason.message}`, filter);
    const inFull = groups.has(full) || groups.size < CAUSES_MAX;
    const key = inFull ? full : reasons.reduce((text, reason) => `${text}\n${reason.code}`, filter);
    const group = groups.get(key);
    if (group) group.indexes.push(index);
    else groups.set(key, { filter, reasons: inFull ? reasons : reasons.map(codeOnly), indexes: [index] });
  }
  return [...groups.values()]
    .map((group) => rejectionOf(group, hosts))
    .sort((a, b) => b.hostCount - a.hostCount || ((a.hosts[0] ?? '') < (b.hosts[0] ?? '') ? -1 : 1));
}

function codeOnly({ code }: Reason): Reason {
  return { code, message: `${code}, each host in its own way`, details: {} };
}

function rejectionOf({ filter, reasons, indexes }: Group, hosts: readonly HostSnapshot[]): HostRejection {
  // hosts are in name order, and so are their indexes
  const first = indexes.sort((a, b) => a - b).slice(0, HOSTS_NAMED_MAX);
  return { filter, hosts: first.map((index) => hosts[index]?.name ?? ''), hostCount: indexes.length, reasons };
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
