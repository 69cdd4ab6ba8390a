import type { HostScore } from '../decision.js';
import type { PlacementRequest } from '../request.js';
import type { HostSnapshot, PlacementPolicy } from '../snapshot.js';
import { WEIGHERS } from './weighers.js';

export interface WeighedHost {
  readonly host: HostSnapshot;
  readonly total: number;
}

export interface Weighing {
  /** Best first; equal ones in name order. */
  readonly ranked: readonly WeighedHost[];
  /** Every component of a host's total. */
  readonly scoreOf: (host: HostSnapshot) => HostScore;
}

/** Normalises each weigher's values over the hosts to 0…1 (all equal: 0), multiplies, adds up. */
export function weigh(hosts: readonly HostSnapshot[], request: PlacementRequest, policy: PlacementPolicy): Weighing {
  const columns = WEIGHERS.map((weigher) => {
    const raw = hosts.map((host) => weigher.raw(host, request));
    const low = raw.reduce((a, b) => Math.min(a, b), Infinity);
    const span = raw.reduce((a, b) => Math.max(a, b), -Infinity) - low;
    const multiplier = policy.weigherMultipliers[weigher.name] ?? weigher.defaultMultiplier;
    return { name: weigher.name, raw, low, span, multiplier };
  });
  const normalized = (column: (typeof columns)[number], index: number): number =>
    column.span === 0 ? 0 : ((column.raw[index] ?? 0) - column.low) / column.span;
  const totals = hosts.map((host, index) => ({
    host,
    index,
    total: columns.reduce((sum, column) => sum + normalized(column, index) * column.multiplier, 0),
  }));
  const scoreOf = (host: HostSnapshot): HostScore => {
    const index = hosts.indexOf(host);
    const parts = columns.map((column) => {
      const value = normalized(column, index);
      return [column.name, { raw: column.raw[index] ?? 0, normalized: value, weighted: value * column.multiplier }];
    });
    return {
      host: host.name,
      total: totals[index]?.total ?? 0,
      parts: Object.fromEntries(parts) as HostScore['parts'],
    };
  };
  // the snapshot is in name order, and a stable sort keeps it among equals
  return { ranked: [...totals].sort((a, b) => b.total - a.total || a.index - b.index), scoreOf };
}
