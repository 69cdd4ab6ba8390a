import type { HostRejection, Reason } from './decision.js';
import type { HostSnapshot } from './snapshot.js';

const HOSTS_NAMED_MAX = 20;

/** A "no" to one host. */
export interface Refusal {
  readonly filter: string;
  readonly reasons: readonly Reason[];
}

/** Hosts that one filter turned down for equal reasons. */
interface Group {
  readonly key: string;
  /** Filter and codes: what is left of it when there are too many causes to tell. */
  readonly short: string;
  /** Ascending. */
  readonly indexes: number[];
  /** The last refusal that was put into it: who comes with the same object need not be compared. */
  refusal: Refusal;
  /** What was last told of it; null when that has changed since. */
  told: HostRejection | null;
  /** What was last told as its reasons; null when a host that they are of has changed since. */
  reasons: ToldReasons | null;
}

/** The reasons of the first host of a group, with the names of so many. */
interface ToldReasons extends Refusal {
  readonly named: number;
}

/**
 * The hosts that cannot serve, with equal reasons counted together; kept while single hosts change. Of a group the reasons
 * are told as they are of its first host, and the names of the first few.
 */
export class Refusals {
  private readonly groupOf = new Map<number, Group>();
  private readonly groups = new Map<string, Group>();
  /** What was last told of all; null when that has changed since. */
  private all: { readonly limits: Limits; readonly told: readonly HostRejection[] } | null = null;

  put(index: number, refusal: Refusal): void {
    const before = this.groupOf.get(index);
    const group = before?.refusal === refusal ? before : this.groupFor(refusal);
    if (before === group) {
      // of those who are only counted nothing is told
      if (index <= (group.indexes[HOSTS_NAMED_MAX - 1] ?? Infinity)) this.changed(group, index);
      return;
    }
    this.remove(index);
    this.groupOf.set(index, group);
    insert(group.indexes, index);
    this.changed(group, index);
  }

  remove(index: number): void {
    const group = this.groupOf.get(index);
    if (!group) return;
    this.groupOf.delete(index);
    this.changed(group, index);
    group.indexes.splice(placeOf(group.indexes, index), 1);
    if (group.indexes.length === 0) this.groups.delete(group.key);
  }

  /**
   * What is told of it: the largest groups in full, the others counted by filter and codes, largest first.
   *
   * @param explain the reasons of one host that is among them, as they are now
   */
  told(hosts: readonly HostSnapshot[], limits: Limits, explain: (index: number) => Refusal): readonly HostRejection[] {
    if (this.all?.limits !== limits) this.all = { limits, told: this.tellAll(hosts, limits, explain) };
    return this.all.told;
  }

  private tellAll(
    hosts: readonly HostSnapshot[],
    limits: Limits,
    explain: (index: number) => Refusal,
  ): readonly HostRejection[] {
    const full = largest(this.groups.values(), limits.causes);
    const inFull = new Set(full);
    const rest = [...this.groups.values()].filter((group) => !inFull.has(group));
    const entries = full.map((group) => ({
      first: firstOf(group),
      rejection: tell(group, hosts, limits.named, explain),
    }));
    return [...entries, ...merged(rest, hosts)]
      .sort((a, b) => b.rejection.hostCount - a.rejection.hostCount || a.first - b.first)
      .map(({ rejection }) => rejection);
  }

  private groupFor(refusal: Refusal): Group {
    const { filter, reasons } = refusal;
    const key = reasons.reduce((text, { code, message }) => `${text}\n${code} ${message}`, filter);
    let group = this.groups.get(key);
    if (group) group.refusal = refusal;
    else {
      group = { key, short: shortKey(filter, reasons), indexes: [], refusal, told: null, reasons: null };
      this.groups.set(key, group);
    }
    return group;
  }

  /** A host of the group is another, or comes, or goes. */
  private changed(group: Group, index: number): void {
    this.all = null;
    group.told = null;
    if (group.reasons && index <= (group.indexes[group.reasons.named - 1] ?? Infinity)) group.reasons = null;
  }
}

/** How many groups are told in full, and of how many hosts of each what is named. */
interface Limits {
  readonly causes: number;
  readonly named: number;
}

function shortKey(filter: string, reasons: readonly Reason[]): string {
  return [filter, ...reasons.map(({ code }) => code)].join('\n');
}

function firstOf({ indexes }: Group): number {
  return indexes[0] as number;
}

/** The groups with the most hosts; of equal ones those whose first host comes first. */
function largest(groups: Iterable<Group>, count: number): Group[] {
  const best: Group[] = [];
  for (const group of groups) {
    if (best.length === count && !isLarger(group, best.at(-1) as Group)) continue;
    let at = best.length;
    while (at > 0 && isLarger(group, best[at - 1] as Group)) at--;
    best.splice(at, 0, group);
    if (best.length > count) best.pop();
  }
  return best;
}

function isLarger(a: Group, b: Group): boolean {
  return a.indexes.length - b.indexes.length > 0 || (a.indexes.length === b.indexes.length && firstOf(a) < firstOf(b));
}

function tell(
  group: Group,
  hosts: readonly HostSnapshot[],
  named: number,
  explain: (index: number) => Refusal,
): HostRejection {
  const { indexes, told } = group;
  let { reasons: known } = group;
  if (told && known?.named === named) return told;
  if (known?.named !== named) known = reasonsOf(group, named, explain);
  const { filter, reasons } = known;
  const rejection = { filter, hosts: namesOf(indexes, hosts), hostCount: indexes.length, reasons };
  [group.reasons, group.told] = [known, rejection];
  return rejection;
}

function reasonsOf({ indexes }: Group, named: number, explain: (index: number) => Refusal): ToldReasons {
  const [first, ...others] = indexes.slice(0, named).map(explain) as [Refusal, ...Refusal[]];
  const reasons = first.reasons.map((reason, at) => {
    const names = [reason, ...others.map((other) => other.reasons[at])].flatMap((one) => one?.names ?? []);
    return names.length > 0 ? { ...reason, names } : reason;
  });
  return { named, filter: first.filter, reasons };
}

/** Groups that are only counted, by filter and codes. */
function merged(
  groups: readonly Group[],
  hosts: readonly HostSnapshot[],
): { readonly first: number; readonly rejection: HostRejection }[] {
  const byShort = new Map<string, number[][]>();
  for (const { short, indexes } of groups) {
    const lists = byShort.get(short);
    if (lists) lists.push(indexes);
    else byShort.set(short, [indexes]);
  }
  return [...byShort].map(([short, lists]) => {
    const [filter = '', ...codes] = short.split('\n');
    const indexes = lists.flatMap((list) => list.slice(0, HOSTS_NAMED_MAX)).sort((a, b) => a - b);
    const hostCount = lists.reduce((sum, list) => sum + list.length, 0);
    const reasons = codes.map((code) => ({ code, message: `${code}, each host in its own way`, details: {} }));
    return {
      first: indexes[0] as number,
      rejection: { filter, hosts: namesOf(indexes, hosts), hostCount, reasons },
    };
  });
}

/** Hosts are in name order, and so are their indexes. */
function namesOf(indexes: readonly number[], hosts: readonly HostSnapshot[]): string[] {
  return indexes.slice(0, HOSTS_NAMED_MAX).map((index) => hosts[index]?.name ?? '');
}

function insert(indexes: number[], index: number): void {
  if (indexes.length === 0 || (indexes.at(-1) as number) < index) indexes.push(index);
  else indexes.splice(placeOf(indexes, index), 0, index);
}

/** Where the index is, or belongs. */
function placeOf(indexes: readonly number[], index: number): number {
  let [from, to] = [0, indexes.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if ((indexes[middle] as number) < index) from = middle + 1;
    else to = middle;
  }
  return from;
}
