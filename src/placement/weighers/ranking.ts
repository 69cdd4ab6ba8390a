import type { HostScore } from '../decision.js';
import { BlockExtremes } from './block-extremes.js';
import { Leaders } from './leaders.js';
import { Peers } from './peers.js';

/** So many of the best are found at once. */
const BEST_MAX = 10;

/** One weigher's values, and what makes them comparable. */
interface Column {
  readonly name: string;
  /** By the number of equal hosts; NaN for one that nobody has. */
  readonly raw: Float64Array;
  readonly extremes: BlockExtremes;
  /** The range that the totals were made with. */
  low: number;
  high: number;
  /** What it counts for a host; and for the few for which it counts something else. */
  readonly multiplier: number;
  readonly otherwise: Map<number, number>;
}

/**
 * How the hosts that may serve compare: each weigher's values normalised over them to 0…1 (all equal: 0), multiplied, added
 * up. Kept while single hosts change; all totals are made anew only when a range has changed. What it says does not depend
 * on how it came to know it.
 *
 * Hosts for which all weighers say the same have one total, under one number. What remains are plain passes over arrays of numbers:
 * where ten thousand hosts all differ they cost less than any tree would that has to be kept.
 */
export class Ranking {
  private readonly columns: readonly Column[];
  /** Members are turns: how far a host is from the one that comes first of equal ones. */
  private readonly peers: Peers;
  private readonly start: number;
  /** NaN for a number that nobody has. */
  private readonly totals: Float64Array;
  /** The totals without the last column, whose range changes most often: that of what is asked for. */
  private readonly subtotals: Float64Array;
  private readonly leaders: Leaders;
  private changed: number[] = [];
  private isSettled = false;
  /** The first hosts in order, until something changes. */
  private best: readonly number[] | null = null;
  /** Of hosts that have not changed since; and what equal ones have in common. */
  private readonly scores = new Map<number, HostScore>();
  private readonly parts = new Map<number, HostScore['parts']>();

  /**
   * @param hosts    how many there are
   * @param tieSeed see `PlacementPolicy`
   */
  constructor(
    weighers: readonly { readonly name: string; readonly multiplier: number }[],
    private readonly hosts: number,
    tieSeed: number | undefined = 0,
  ) {
    this.columns = weighers.map(({ name, multiplier }) => {
      const raw = new Float64Array(hosts).fill(NaN);
      return { name, multiplier, otherwise: new Map(), raw, extremes: new BlockExtremes(raw), low: NaN, high: NaN };
    });
    this.start = hosts > 0 ? tieSeed % hosts : 0;
    this.peers = new Peers(hosts);
    this.totals = new Float64Array(hosts).fill(NaN);
    this.subtotals = new Float64Array(hosts);
    this.leaders = new Leaders(this.totals, this.peers.firsts);
  }

  /** The host does not take part any more. */
  drop(index: number): void {
    const turn = this.turnOf(index);
    if (this.peers.numberOf(turn) < 0) return;
    const { number, isGone } = this.peers.leave(turn);
    if (isGone) {
      for (const column of this.columns) change(column, number, NaN, column.multiplier);
      this.totals[number] = NaN;
      this.parts.delete(number);
    }
    this.leaders.touch(number);
    this.scores.delete(index);
    this.unsettle();
  }

  /**
   * The host takes part with these values.
   *
   * @param values      of each weigher
   * @param multipliers of each weigher, for this host
   */
  set(index: number, values: readonly number[], multipliers: readonly number[]): void {
    const turn = this.turnOf(index);
    const key = this.keyOf(values, multipliers);
    const before = this.peers.numberOf(turn);
    if (before >= 0 && this.peers.keyOf(before) === key) return;
    this.drop(index);
    const { number, isNew } = this.peers.join(turn, key);
    if (isNew) {
      this.columns.forEach((column, at) => change(column, number, values[at] as number, multipliers[at] as number));
      // a total that is not a number takes no part; any other is right until it is added up anew
      this.totals[number] = 0;
      this.changed.push(number);
    } else if (this.peers.firsts[number] === turn) {
      this.leaders.touch(number);
    }
    this.unsettle();
  }

  /** Best first; equal ones in the order of their indexes, from the one that `tieSeed` says on, and round. */
  *ranked(): Generator<number> {
    this.settle();
    const best = (this.best ??= this.findBest());
    yield* best;
    if (best.length === BEST_MAX) yield* this.all().slice(BEST_MAX);
  }

  /** Every component of a host's total. The same object as long as nothing of it changes. */
  scoreOf(index: number, host: string): HostScore {
    this.settle();
    const known = this.scores.get(index);
    if (known?.host === host) return known;
    const number = this.peers.numberOf(this.turnOf(index));
    const parts = this.parts.get(number) ?? this.partsOf(number);
    this.parts.set(number, parts);
    const score = { host, total: this.totals[number] as number, parts };
    this.scores.set(index, score);
    return score;
  }

  private partsOf(number: number): HostScore['parts'] {
    const parts: Record<string, HostScore['parts'][string]> = {};
    for (const column of this.columns) {
      const { name, raw, low, high } = column;
      const value = raw[number] as number;
      const normalized = high === low ? 0 : (value - low) / (high - low);
      parts[name] = { raw: value, normalized, weighted: weightedOf(column, number) };
    }
    return parts;
  }

  /** Of equally good numbers, those with the least first members have the best: no more than `BEST_MAX` need be looked at. */
  private findBest(): readonly number[] {
    const numbers = this.leaders.first(BEST_MAX, this.peers.end).slice(0, BEST_MAX);
    const best: number[] = [];
    for (let at = 0, end = 0; at < numbers.length && best.length < BEST_MAX; at = end) {
      const total = this.totals[numbers[at] as number];
      while (end < numbers.length && this.totals[numbers[end] as number] === total) end++;
      best.push(...this.membersOf(numbers.slice(at, end), BEST_MAX));
    }
    return best.slice(0, BEST_MAX);
  }

  /** All hosts, best first. */
  private all(): number[] {
    const byTotal = new Map<number, number[]>();
    for (let number = 0; number < this.peers.end; number++) {
      const total = this.totals[number] as number;
      if (Number.isNaN(total)) continue;
      const equal = byTotal.get(total);
      if (equal) equal.push(number);
      else byTotal.set(total, [number]);
    }
    const inOrder = [...byTotal].sort(([a], [b]) => b - a);
    return inOrder.flatMap(([, numbers]) => this.membersOf(numbers, this.hosts));
  }

  /** Indexes of the hosts with these equally good numbers, in order; of each number the first so many. */
  private membersOf(numbers: readonly number[], count: number): number[] {
    const turns = numbers.flatMap((number) => this.peers.first(number, count));
    if (numbers.length > 1) turns.sort((a, b) => a - b);
    return turns.map((turn) => (turn + this.start) % this.hosts);
  }

  private keyOf(values: readonly number[], multipliers: readonly number[]): string {
    const isCommon = this.columns.every(({ multiplier }, at) => multipliers[at] === multiplier);
    return isCommon ? values.join() : `${values.join()} ${multipliers.join()}`;
  }

  private turnOf(index: number): number {
    return index < this.start ? index - this.start + this.hosts : index - this.start;
  }

  private unsettle(): void {
    this.isSettled = false;
    this.best = null;
  }

  private settle(): void {
    if (this.isSettled) return;
    this.isSettled = true;
    const last = this.columns.length - 1;
    let firstOld = Infinity;
    for (let at = 0; at <= last; at++) {
      const column = this.columns[at] as Column;
      const { low, high } = column.extremes;
      if (low === column.low && high === column.high) continue;
      [column.low, column.high, firstOld] = [low, high, Math.min(firstOld, at)];
    }
    for (const number of this.changed) this.addUp(number);
    this.changed = [];
    if (firstOld > last) return;
    if (firstOld < last) this.addSubtotals();
    this.addLast();
    this.leaders.forget();
    this.scores.clear();
    this.parts.clear();
    // hosts with multipliers of their own were added up with the common ones
    for (const { otherwise } of this.columns) for (const number of otherwise.keys()) this.addUp(number);
  }

  private addUp(number: number): void {
    if (Number.isNaN(this.totals[number])) return;
    const last = this.columns.at(-1);
    let total = 0;
    for (const column of this.columns) {
      if (column === last) this.subtotals[number] = total;
      total += weightedOf(column, number);
    }
    this.totals[number] = total;
    this.leaders.touch(number);
  }

  private addSubtotals(): void {
    const { subtotals } = this;
    const { end } = this.peers;
    subtotals.fill(0, 0, end);
    for (const column of this.columns.slice(0, -1)) {
      if (column.high === column.low) continue;
      const { raw, low } = column;
      const scale = scaleOf(column, column.multiplier);
      for (let number = 0; number < end; number++) {
        subtotals[number] = (subtotals[number] as number) + ((raw[number] as number) - low) * scale;
      }
    }
  }

  private addLast(): void {
    const { subtotals, totals } = this;
    const { end } = this.peers;
    const column = this.columns.at(-1) as Column;
    const { raw, low, high } = column;
    const scale = high === low ? 0 : scaleOf(column, column.multiplier);
    for (let number = 0; number < end; number++) {
      totals[number] = (subtotals[number] as number) + ((raw[number] as number) - low) * scale;
    }
  }
}

function change({ raw, extremes, multiplier, otherwise }: Column, number: number, value: number, own: number): void {
  raw[number] = value;
  extremes.touch(number);
  if (own === multiplier) otherwise.delete(number);
  else otherwise.set(number, own);
}

function weightedOf(column: Column, number: number): number {
  const multiplier = column.otherwise.size === 0 ? column.multiplier : column.otherwise.get(number);
  const scale = scaleOf(column, multiplier ?? column.multiplier);
  return column.high === column.low ? 0 : ((column.raw[number] as number) - column.low) * scale;
}

function scaleOf({ low, high }: Column, multiplier: number): number {
  return multiplier / (high - low);
}
