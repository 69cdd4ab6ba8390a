import { filterChain } from './filters/filters.js';
import type { Filter, FilterContext } from './filters/filter.js';
import { pciPassthroughFilter } from './filters/pci-passthrough.filter.js';
import { fitHost } from './fit-host.js';
import { Fits } from './fits.js';
import { Conditions } from './conditions.js';
import { takeChanges } from './host-list.js';
import { policyNameOf } from './placement-policies.js';
import { Refusals, type Refusal } from './refusals.js';
import type { PlacementRequest } from './request.js';
import type { HostSnapshot, PlacementPolicy } from './snapshot.js';
import { multiplierOf } from './weighers/multipliers.js';
import { Ranking } from './weighers/ranking.js';
import { WEIGHERS, type Weigher } from './weighers/weighers.js';

/** How many kinds of requests are remembered for one list of hosts: roughly, one for each flavor in use. */
const KINDS_MAX = 512;
/** And how many judgements of single hosts in all, so that memory stays small for very many hosts. */
const JUDGEMENTS_MAX = 1_000_000;
const KINDS_MIN = 4;

/** What filters and weighers say of the hosts, for one kind of request. */
export interface Judgements {
  /** Those that may serve; in the strict dialect the devices fit together on every one of them. */
  readonly ranking: Ranking;
  /** The others. */
  readonly refusals: Refusals;
  readonly fits: Fits;
  /** Why a host of the refused ones is refused, as it is now. */
  readonly explain: (host: HostSnapshot) => Refusal;
  /** Forgets what was put among the refusals for one server only. */
  readonly judgeAgain: (index: number, host: HostSnapshot) => void;
}

/**
 * Asks filters and weighers about each host, and whether the devices fit; of no server in particular.
 *
 * What they say of a host is remembered as long as the list has that very object at that place, for each kind of
 * request: a flavor is asked for again and again, and between two decisions one host of thousands has changed. Only
 * time depends on it, for filters and weighers see nothing but their arguments.
 */
export function judge(hosts: readonly HostSnapshot[], context: FilterContext): Judgements {
  const census = censusOf(hosts);
  const memo = memoFor(census, context, hosts.length);
  for (const index of census.changedSince(memo.seen)) judgeHost(memo, index, hosts[index] as HostSnapshot);
  memo.seen = census.lastChange;
  return memo;
}

/** Judgements up to a change of the census; −1: of nothing yet. */
interface Memo extends Judgements {
  /** Of the first request of the kind; others say the same. */
  readonly context: FilterContext;
  readonly chain: readonly Filter[];
  readonly weighers: readonly Weigher[];
  /** What each weigher counts where no aggregate says something else. */
  readonly multipliers: readonly number[];
  /** Why devices cannot be had, by the condition of the host's: to tell which hosts have equal reasons. */
  readonly deviceReasons: Map<string, Refusal>;
  readonly conditions: Conditions;
  seen: number;
}

const DEVICE_REASONS_MAX = 20_000;

/** Which host objects a list has, and which places of it have changed; kept once a list, so that memos hold on to no old hosts. */
class Census {
  /** By kind of request, the one used longest ago first. */
  readonly memos = new Map<string, Memo>();
  private hosts: (HostSnapshot | null)[] = [];
  /** Places that have changed, in the order in which it was seen; the first is change number `firstChange`. */
  private changes: number[] = [];
  private firstChange = 0;

  get lastChange(): number {
    return this.firstChange + this.changes.length;
  }

  look(hosts: readonly HostSnapshot[]): void {
    const places = takeChanges(hosts);
    const isOther = this.hosts.length !== hosts.length;
    if (isOther) this.restart(hosts.length);
    if (places && !isOther) for (const index of places) this.compare(hosts, index);
    else for (let index = 0; index < hosts.length; index++) this.compare(hosts, index);
    if (this.changes.length > 4 * hosts.length + 1000) {
      this.firstChange += this.changes.length;
      this.changes = [];
    }
  }

  private compare(hosts: readonly HostSnapshot[], index: number): void {
    const host = hosts[index] as HostSnapshot;
    if (this.hosts[index] === host) return;
    this.hosts[index] = host;
    this.changes.push(index);
  }

  /** Places that have changed since a change, each once; all, when that is too long ago. */
  changedSince(change: number): readonly number[] {
    if (change < this.firstChange) return [...this.hosts.keys()];
    if (change === this.lastChange) return [];
    if (change === this.lastChange - 1) return this.changes.slice(-1);
    return [...new Set(this.changes.slice(change - this.firstChange))];
  }

  private restart(length: number): void {
    this.memos.clear();
    this.hosts = Array.from({ length }, () => null);
    this.firstChange += this.changes.length;
    this.changes = [];
  }
}

const censuses = new WeakMap<readonly HostSnapshot[], Census>();

function censusOf(hosts: readonly HostSnapshot[]): Census {
  let census = censuses.get(hosts);
  if (!census) censuses.set(hosts, (census = new Census()));
  census.look(hosts);
  return census;
}

function memoFor({ memos }: Census, context: FilterContext, hosts: number): Memo {
  const { request, policy, groupHosts } = context;
  const kind = `${requestNumbers.of(request)} ${policyNumbers.of(policy)} ${groupHosts ? JSON.stringify(groupHosts) : ''}`;
  const known = memos.get(kind);
  const memo = known ?? emptyMemo(context, hosts);
  memos.delete(kind);
  memos.set(kind, memo);
  if (known) return known;
  const most = Math.max(KINDS_MIN, Math.min(KINDS_MAX, Math.floor(JUDGEMENTS_MAX / (hosts + 1))));
  for (const oldest of memos.keys()) {
    if (memos.size <= most) break;
    memos.delete(oldest);
  }
  return memo;
}

/** Numbers for equal things: short, and to be had at a glance for an object that was asked for before. */
class Numbers<T extends object> {
  private readonly byObject = new WeakMap<T, number>();
  private readonly byText = new Map<string, number>();
  private last = 0;

  constructor(private readonly textOf: (thing: T) => string) {}

  of(thing: T): number {
    let number = this.byObject.get(thing);
    if (number === undefined) this.byObject.set(thing, (number = this.byTextOf(thing)));
    return number;
  }

  private byTextOf(thing: T): number {
    const text = this.textOf(thing);
    const number = this.byText.get(text) ?? ++this.last;
    // a number is never given twice: forgetting costs time, never truth
    if (this.byText.size >= NUMBERS_MAX) this.byText.clear();
    this.byText.set(text, number);
    return number;
  }
}

const NUMBERS_MAX = 4096;
const requestNumbers = new Numbers<FilterContext['request']>((request) => JSON.stringify(request));
const policyNumbers = new Numbers<PlacementPolicy>((policy) => JSON.stringify(policy, withMixNumber));

/** A mix is long, and the same object for very many decisions. */
function withMixNumber(this: unknown, key: string, value: unknown): unknown {
  if (key !== 'mix' || typeof value !== 'object' || value === null) return value;
  const number = mixNumbers.get(value) ?? ++lastMix;
  mixNumbers.set(value, number);
  return number;
}

const mixNumbers = new WeakMap<object, number>();
let lastMix = 0;

function emptyMemo(context: FilterContext, hosts: number): Memo {
  const { policy, request } = context;
  const name = policyNameOf(request.devices, policy.placementPolicies);
  const weighers = WEIGHERS.filter(
    ({ concerns, policies }) => (concerns?.(request) ?? true) && (policies?.includes(name) ?? true),
  );
  const chain = filterChain(policy.filters);
  const fits = new Fits({ ...request, serverName: '' } satisfies PlacementRequest, policy);
  const multipliers = weighers.map((weigher) => multiplierOf({ aggregates: [] }, weigher, policy));
  const columns = weighers.map(({ name }, at) => ({ name, multiplier: multipliers[at] as number }));
  const memo: Memo = {
    ...{
      context,
      chain,
      weighers,
      multipliers,
      fits,
      seen: -1,
      deviceReasons: new Map(),
      conditions: new Conditions(request.devices),
    },
    ranking: new Ranking(columns, hosts, policy.tieSeed),
    refusals: new Refusals(),
    explain: (host) => refusalOf(chain, host, context),
    judgeAgain: (index, host) => judgeHost(memo, index, host),
  };
  return memo;
}

function judgeHost(memo: Memo, index: number, host: HostSnapshot): void {
  const { context, ranking, refusals, weighers, multipliers } = memo;
  const refusal = likeRefusalOf(memo, host);
  if (refusal) {
    ranking.drop(index);
    refusals.put(index, refusal);
    return;
  }
  refusals.remove(index);
  const { request, policy } = context;
  ranking.set(
    index,
    weighers.map((weigher) => weigher.raw(host, request, policy)),
    host.aggregates.length === 0 ? multipliers : weighers.map((weigher) => multiplierOf(host, weigher, policy)),
  );
}

/** As {@link refusalOf}, but what the reasons tell in detail may be of another host with the same reasons. */
function likeRefusalOf({ chain, context, fits, deviceReasons, conditions }: Memo, host: HostSnapshot): Refusal | null {
  const filter = chain.find((one) => !one.passes(host, context));
  if (filter !== pciPassthroughFilter) return filter ? refusedBy(filter, host, context) : misfitOf(fits, host, context);
  const key = conditions.of(host);
  const known = deviceReasons.get(key) ?? refusedBy(filter, host, context);
  if (deviceReasons.size >= DEVICE_REASONS_MAX) deviceReasons.clear();
  deviceReasons.set(key, known);
  return known;
}

/** Why a host that is refused is refused, in its own words: nothing is taken from another host. */
function refusalOf(chain: readonly Filter[], host: HostSnapshot, context: FilterContext): Refusal {
  const filter = chain.find((one) => !one.passes(host, context));
  if (filter) return refusedBy(filter, host, context);
  const fit = fitHost(host, { ...context.request, serverName: '' }, context.policy);
  return fit.fits ? { filter: '', reasons: [] } : fit;
}

function refusedBy(filter: Filter, host: HostSnapshot, context: FilterContext): Refusal {
  return { filter: filter.name, reasons: filter.explain(host, context) };
}

/** In the nova dialect the last word, whether the devices fit, is asked of the hosts in the order of their weight, as Nova does. */
function misfitOf(fits: Fits, host: HostSnapshot, { policy }: FilterContext): Refusal | null {
  if (policy.compat === 'nova') return null;
  const fit = fits.of(host);
  return fit.fits ? null : fit;
}
