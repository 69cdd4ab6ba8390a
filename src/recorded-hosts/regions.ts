import type { Bar } from './description.js';
import type { PlacedFunction } from './placed-function.js';

/** Where the three kinds of region begin; a host of any size fits. */
const PORTS_START = 0x1000;
const LOW_START = 0x9000_0000;
const HIGH_START = 0x0380_0000_0000;
const SRIOV_REGION = 7;

/**
 * Gives each BAR an address, as firmware does: aligned to its size, one after the other. By address of the function,
 * then by index of the BAR; a PF's index 7 and above are the regions of all its VFs.
 */
export function allocateRegions(functions: readonly PlacedFunction[]): Map<string, Map<number, number>> {
  const next = { ports: PORTS_START, low: LOW_START, high: HIGH_START };
  const take = (bar: Bar, count: number): number => {
    const pool = bar.kind === 'io' ? 'ports' : bar.kind === 'memory' ? 'low' : 'high';
    const start = Math.ceil(next[pool] / bar.bytes) * bar.bytes;
    next[pool] = start + bar.bytes * count;
    return start;
  };
  const regions = new Map<string, Map<number, number>>();
  for (const { address, card, physicalFunction } of functions) {
    if (physicalFunction !== null) continue;
    const own = card.bars.map((bar) => [bar.index, take(bar, 1)] as const);
    const { totalVfs = 0, vf } = card.sriov ?? {};
    const forVfs = (vf?.bars ?? []).map((bar) => [SRIOV_REGION + bar.index, take(bar, totalVfs)] as const);
    regions.set(address, new Map([...own, ...forVfs]));
  }
  for (const { address, card, physicalFunction, vfIndex } of functions) {
    if (physicalFunction === null) continue;
    const parent = regions.get(physicalFunction.address);
    const own = card.bars.map(
      (bar) => [bar.index, (parent?.get(SRIOV_REGION + bar.index) ?? 0) + bar.bytes * (vfIndex ?? 0)] as const,
    );
    regions.set(address, new Map(own));
  }
  return regions;
}
