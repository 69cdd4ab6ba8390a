import type { HostScore } from '../decision.js';
import { BlockExtremes } from './block-extremes.js';
import { Leaders } from './leaders.js';

/** So many of the best are found at once. */
const BEST_MAX = 10;

/** One weigher's values, and what makes them comparable. */
interface Column {
  readonly name: string;
  /** By host; NaN for one that does not take part. */
  readonly raw: Float64Array;
  readonly extremes: BlockExtremes;
  /** The range that the totals were made with. */
  low: number;
  high: number;
  /** What it counts for a host; and for the few hosts for which it counts something else. */
  readonly multiplier: number;
  readonly otherwise: Map<number, number>;
}

/**
 * How the hosts that may serve compare: each weigher's values normalised over them to 0…1 (all equal: 0), multiplied, added
 * up. Kept while single hosts change; all totals are made anew only when a range has changed. What it says does not depend
 * on how it came to know it.
 *
 * Plain passes over arrays of numbers: with ten thousand hosts they cost less than any tree would that has to be kept.
 */
export class Ranking {
  private readonly columns: readonly Column[];
  /** NaN for one that does not take part. */
  private readonly totals: Float64Array;
  /** The totals without the last column, whose range changes most often: that of what is asked for. */
  private readonly subtotals: Float64Array;
  private readonly leaders: Leaders;
  private changed: number[] = [];
  private isSettled = false;
  /** Of hosts that have not changed since. */
  private readonly scores = new Map<number, HostScore>();

  /**
   * @param hosts    how many there are
   * @param tieSeed see `PlacementPolicy`
   */
  constructor(
    weighers: readonly { readonly name: string; readonly multiplier: number }[],
    hosts: number,
    tieSeed: number | undefined = 0,
  ) {
    this.columns = weighers.map(({ name, multiplier }) => {
      const raw = new Float64Array(hosts).fill(NaN);
      return { name, multiplier, otherwise: new Map(), raw, extremes: new BlockExtremes(raw), low: NaN, high: NaN };
    });
    this.totals = new Float64Array(hosts).fill(NaN);
    this.subtotals = new Float64Array(hosts);
    this.leaders = new Leaders(this.totals, hosts > 0 ? tieSeed % hosts : 0);
  }

  /** The host does not take part any more. */
  drop(index: number): void {
    if (Number.isNaN(this.totals[index])) return;
    for (const column of this.columns) change(column, index, NaN, column.multiplier);
    this.totals[index] = NaN;
    this.leaders.touch(index);
    this.scores.delete(index);
    this.isSettled = false;
  }

  /**
   * The host takes part with these values.
   *
   * @param values      of each weigher
   * @param multipliers of each weigher, for this host
   */
  set(index: number, values: readonly number[], multipliers: readonly number[]): void {
    let isOther = Number.isNaN(this.totals[index]);
    for (let at = 0; at < this.columns.length; at++) {
      if (change(this.columns[at] as Column, index, values[at] as number, multipliers[at] as number)) isOther = true;
    }
    if (!isOther) return;
    // a total that is not a number takes no part; any other is right until it is added up anew
    if (Number.isNaN(this.totals[index])) this.totals[index] = 0;
    this.changed.push(index);
    this.scores.delete(index);
    this.isSettled = false;
  }

  /** Best first; equal ones in the order of their indexes, from the one that `tieSeed` says on, and round. */
  *ranked(): Generator<number> {
    this.settle();
    const best = this.leaders.first(BEST_MAX).slice(0, BEST_MAX);
    yield* best;
    if (best.length < BEST_MAX) return;
    const others = [...this.totals.keys()].filter((index) => !Number.isNaN(this.totals[index]));
    yield* others.sort((a, b) => this.leaders.compare(a, b)).slice(BEST_MAX);
  }

  /** Every component of a host's total. The same object as long as nothing of it changes. */
  scoreOf(index: number, host: string): HostScore {
    this.settle();
    const known = this.scores.get(index);
    if (known?.host === host) return known;
    const score = this.addedUp(index, host);
    this.scores.set(index, score);
    return score;
  }

  private addedUp(index: number, host: string): HostScore {
    const parts: Record<string, HostScore['parts'][string]> = {};
    for (const column of this.columns) {
      const { name, raw, low, high } = column;
      const value = raw[index] as number;
      const normalized = high === low ? 0 : (value - low) / (high - low);
      parts[name] = { raw: value, normalized, weighted: weightedOf(column, index) };
    }
    return { host, total: this.totals[index] as number, parts };
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
    for (const index of this.changed) this.addUp(index);
    this.changed = [];
    if (firstOld > last) return;
    if (firstOld < last) this.addSubtotals();
    this.addLast();
    this.leaders.forget();
    this.scores.clear();
    // hosts with multipliers of their own were added up with the common ones
    for (const { otherwise } of this.columns) for (const index of otherwise.keys()) this.addUp(index);
  }

  private addUp(index: number): void {
    if (Number.isNaN(this.totals[index])) return;
    const last = this.columns.at(-1);
    let total = 0;
    for (const column of this.columns) {
      if (column === last) this.subtotals[index] = total;
      total += weightedOf(column, index);
    }
    this.totals[index] = total;
    this.leaders.touch(index);
  }

  private addSubtotals(): void {
    const { subtotals } = this;
    subtotals.fill(0);
    for (const column of this.columns.slice(0, -1)) {
      if (column.high === column.low) continue;
      const { raw, low } = column;
      const scale = scaleOf(column, column.multiplier);
      for (let index = 0; index < subtotals.length; index++) {
        subtotals[index] = (subtotals[index] as number) + ((raw[index] as number) - low) * scale;
      }
    }
  }

  private addLast(): void {
    const { subtotals, totals } = this;
    const column = this.columns.at(-1) as Column;
    const { raw, low, high } = column;
    const scale = high === low ? 0 : scaleOf(column, column.multiplier);
    for (let index = 0; index < totals.length; index++) {
      totals[index] = (subtotals[index] as number) + ((raw[index] as number) - low) * scale;
    }
  }
}

/** @returns whether it was something else */
function change({ raw, extremes, multiplier, otherwise }: Column, index: number, value: number, own: number): boolean {
  const isOther = raw[index] !== value;
  if (isOther) {
    raw[index] = value;
    extremes.touch(index);
  }
  if (otherwise.size === 0 && own === multiplier) return isOther;
  const before = otherwise.get(index) ?? multiplier;
  if (own === multiplier) otherwise.delete(index);
  else otherwise.set(index, own);
  return isOther || own !== before;
}

function weightedOf(column: Column, index: number): number {
  const multiplier = column.otherwise.size === 0 ? column.multiplier : column.otherwise.get(index);
  const scale = scaleOf(column, multiplier ?? column.multiplier);
  return column.high === column.low ? 0 : ((column.raw[index] as number) - column.low) * scale;
}

function scaleOf({ low, high }: Column, multiplier: number): number {
  return multiplier / (high - low);
}
