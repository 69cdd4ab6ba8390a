import type { HostScore } from '../decision.js';
import type { PlacementPolicy } from '../snapshot.js';
import { bestFirst } from './best-first.js';
import type { Weigher } from './weighers.js';

/** How hosts compare, by their index. */
export interface Weighing {
  /** Best first; equal ones in the order of their indexes. Lazily: mostly only the first few are looked at. */
  readonly ranked: Generator<number>;
  /** Every component of a host's total. */
  readonly scoreOf: (index: number, host: string) => HostScore;
}

/** One weigher's values, and what makes them comparable. */
interface Column {
  readonly name: string;
  readonly multiplier: number;
  readonly raw: Float64Array;
  readonly low: number;
  readonly span: number;
}

/**
 * Normalises each weigher's values over the hosts to 0…1 (all equal: 0), multiplies, adds up.
 *
 * @param weighers that have something to say
 * @param values for each weigher its value of each host
 * @param indexes of the hosts to weigh, ascending
 */
export function weigh(
  weighers: readonly Weigher[],
  values: readonly Float64Array[],
  indexes: Uint32Array,
  policy: PlacementPolicy,
): Weighing {
  const columns = weighers.map(({ name, defaultMultiplier }, at): Column => {
    const raw = values[at] as Float64Array;
    const multiplier = policy.weigherMultipliers[name] ?? defaultMultiplier;
    return { name, multiplier, raw, ...rangeOf(raw, indexes) };
  });
  const totals = new Float64Array(values[0]?.length ?? 0);
  for (const column of columns) addWeighted(totals, column, indexes);
  return {
    ranked: bestFirst(totals, indexes),
    scoreOf: (index, host) => ({ host, total: totals[index] as number, parts: partsOf(columns, index) }),
  };
}

function rangeOf(raw: Float64Array, indexes: Uint32Array): { low: number; span: number } {
  let low = Infinity;
  let high = -Infinity;
  for (const index of indexes) {
    const value = raw[index] as number;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return { low, span: high - low };
}

function addWeighted(totals: Float64Array, column: Column, indexes: Uint32Array): void {
  for (const index of indexes)
    totals[index] = (totals[index] as number) + normalized(column, index) * column.multiplier;
}

function normalized({ raw, low, span }: Column, index: number): number {
  return span === 0 ? 0 : ((raw[index] as number) - low) / span;
}

function partsOf(columns: readonly Column[], index: number): HostScore['parts'] {
  const parts = columns.map((column) => {
    const value = normalized(column, index);
    return [column.name, { raw: column.raw[index] as number, normalized: value, weighted: value * column.multiplier }];
  });
  return Object.fromEntries(parts) as HostScore['parts'];
}
