import type { HostScore } from '../decision.js';
import type { PlacementRequest } from '../request.js';
import type { HostSnapshot, PlacementPolicy } from '../snapshot.js';
import { bestFirst } from './best-first.js';
import { WEIGHERS } from './weighers.js';

export interface WeighedHost {
  readonly host: HostSnapshot;
  /** Every component of the host's total. */
  readonly score: () => HostScore;
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
 * Normalises each weigher's values over the hosts to 0…1 (all equal: 0), multiplies, adds up. Best first; equal ones in
 * the order of `hosts`, which is that of their names.
 *
 * @returns lazily: mostly only the first few are looked at
 */
export function* weigh(
  hosts: readonly HostSnapshot[],
  request: PlacementRequest,
  policy: PlacementPolicy,
): Generator<WeighedHost> {
  const columns = WEIGHERS.map(({ name, defaultMultiplier, raw }): Column => {
    const values = Float64Array.from(hosts, (host) => raw(host, request));
    const { low, high } = rangeOf(values);
    return {
      name,
      multiplier: policy.weigherMultipliers[name] ?? defaultMultiplier,
      raw: values,
      low,
      span: high - low,
    };
  });
  const totals = new Float64Array(hosts.length);
  for (const column of columns) {
    for (let index = 0; index < totals.length; index++) {
      totals[index] = (totals[index] ?? 0) + normalized(column, index) * column.multiplier;
    }
  }
  for (const index of bestFirst(totals)) {
    const host = hosts[index] as HostSnapshot;
    yield { host, score: () => scoreOf(host, index, totals[index] ?? 0, columns) };
  }
}

function rangeOf(values: Float64Array): { low: number; high: number } {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return { low, high };
}

function normalized({ raw, low, span }: Column, index: number): number {
  return span === 0 ? 0 : ((raw[index] ?? 0) - low) / span;
}

function scoreOf(host: HostSnapshot, index: number, total: number, columns: readonly Column[]): HostScore {
  const parts = columns.map((column) => {
    const value = normalized(column, index);
    return [column.name, { raw: column.raw[index] ?? 0, normalized: value, weighted: value * column.multiplier }];
  });
  return { host: host.name, total, parts: Object.fromEntries(parts) as HostScore['parts'] };
}
