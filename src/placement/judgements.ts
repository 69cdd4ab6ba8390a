import { filterChain } from './filters/filters.js';
import type { Filter, FilterContext } from './filters/filter.js';
import type { HostSnapshot } from './snapshot.js';
import { WEIGHERS, type Weigher } from './weighers/weighers.js';

/** How many kinds of requests are remembered for one list of hosts: roughly, one for each flavor in use. */
const KINDS_MAX = 64;

/** What filters and weighers say of each host, by the host's index. */
export interface Judgements {
  readonly chain: readonly Filter[];
  /** Place in `chain` of the first filter that turned the host down; `chain.length` when all let it pass. */
  readonly verdicts: Uint8Array;
  /** Those that have something to say of the request. */
  readonly weighers: readonly Weigher[];
  /** For each weigher its value of each host; only of hosts that passed. */
  readonly values: readonly Float64Array[];
}

/**
 * Asks filters and weighers about each host.
 *
 * What they say of a host is remembered as long as the list has that very object at that place, for each kind of
 * request: a flavor is asked for again and again, and between two decisions one host of thousands has changed. Only
 * time depends on it, for filters and weighers see nothing but their arguments.
 */
export function judge(hosts: readonly HostSnapshot[], context: FilterContext): Judgements {
  const census = censusOf(hosts);
  const memo = memoFor(census, context);
  for (let index = 0; index < hosts.length; index++) {
    const version = census.versions[index] as number;
    if (memo.versions[index] === version) continue;
    judgeHost(memo, index, hosts[index] as HostSnapshot, context);
    memo.versions[index] = version;
  }
  return memo;
}

/** Which host objects a list had when it was last looked at; kept once a list, so that memos hold on to no old hosts. */
interface Census {
  readonly hosts: HostSnapshot[];
  /** A new number whenever there is another object at this place. Never 0. */
  versions: Float64Array;
  lastVersion: number;
  /** By kind of request, the one used longest ago first. */
  readonly memos: Map<string, Memo>;
}

/** Judgements, and the versions of the hosts that they are about; 0: not judged yet. */
interface Memo extends Judgements {
  readonly versions: Float64Array;
}

const censuses = new WeakMap<readonly HostSnapshot[], Census>();

function censusOf(hosts: readonly HostSnapshot[]): Census {
  const census = censuses.get(hosts) ?? { hosts: [], versions: new Float64Array(0), lastVersion: 0, memos: new Map() };
  censuses.set(hosts, census);
  if (census.versions.length !== hosts.length) {
    census.versions = resized(census.versions, hosts.length);
    census.hosts.length = Math.min(census.hosts.length, hosts.length);
    census.memos.clear();
  }
  for (let index = 0; index < hosts.length; index++) {
    const host = hosts[index] as HostSnapshot;
    if (census.hosts[index] === host) continue;
    census.hosts[index] = host;
    census.versions[index] = ++census.lastVersion;
  }
  return census;
}

function resized(numbers: Float64Array, length: number): Float64Array {
  const copy = new Float64Array(length);
  copy.set(numbers.subarray(0, length));
  return copy;
}

function memoFor({ memos, versions }: Census, context: FilterContext): Memo {
  // a server that has failed on a host is alone of its kind
  if (context.excluded.length > 0) return emptyMemo(context, versions.length);
  const kind = JSON.stringify([context.request, context.policy]);
  const memo = memos.get(kind) ?? emptyMemo(context, versions.length);
  memos.delete(kind);
  memos.set(kind, memo);
  for (const oldest of memos.keys()) {
    if (memos.size <= KINDS_MAX) break;
    memos.delete(oldest);
  }
  return memo;
}

function emptyMemo({ policy, request }: FilterContext, length: number): Memo {
  const weighers = WEIGHERS.filter(({ concerns }) => concerns?.(request) ?? true);
  return {
    chain: filterChain(policy.filters),
    versions: new Float64Array(length),
    verdicts: new Uint8Array(length),
    weighers,
    values: weighers.map(() => new Float64Array(length)),
  };
}

function judgeHost(
  { chain, verdicts, weighers, values }: Memo,
  index: number,
  host: HostSnapshot,
  context: FilterContext,
): void {
  const verdict = chain.findIndex((filter) => !filter.passes(host, context));
  verdicts[index] = verdict < 0 ? chain.length : verdict;
  if (verdict >= 0) return;
  for (const [at, weigher] of weighers.entries()) {
    (values[at] as Float64Array)[index] = weigher.raw(host, context.request, context.policy);
  }
}
