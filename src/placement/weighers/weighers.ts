import { isGraded } from '../alternatives.js';
import { freeTotal } from '../device-classes.js';
import type { JudgedRequest } from '../filters/filter.js';
import type { HostSnapshot, PlacementPolicy } from '../snapshot.js';
import { bestUtility, freeCount } from '../supply.js';

/** How good is this host? More is better; the absolute size does not matter, values are normalised over the hosts. */
export interface Weigher {
  readonly name: string;
  readonly defaultMultiplier: number;
  /** Whether it has something to say; always, when left out. */
  readonly concerns?: (request: JudgedRequest) => boolean;
  readonly raw: (host: HostSnapshot, request: JudgedRequest, policy: PlacementPolicy) => number;
}

/**
 * Nova's weighers. PCIWeigher looks at what is asked for: a server without devices is drawn to hosts without, one with
 * devices to the host where the fewest of that kind would be left over, so that large sets stay whole. Its multiplier
 * outweighs the other three together; in Nova, RAM, CPU and disk draw plain servers to big empty GPU hosts.
 *
 * AlternativeWeigher draws to the host with the better alternatives of an alias, and decides before all others; it is silent when
 * no alias of the request has utilities.
 */
export const WEIGHERS: readonly Weigher[] = [
  { name: 'RAMWeigher', defaultMultiplier: 1, raw: ({ capacity, used }) => capacity.memoryMb - used.memoryMb },
  { name: 'CPUWeigher', defaultMultiplier: 1, raw: ({ capacity, used }) => capacity.vcpus - used.vcpus },
  { name: 'DiskWeigher', defaultMultiplier: 1, raw: ({ capacity, used }) => capacity.diskGb - used.diskGb },
  { name: 'PCIWeigher', defaultMultiplier: 4, raw: pciRaw },
  {
    name: 'AlternativeWeigher',
    defaultMultiplier: 100,
    concerns: (request) => request.devices.some(isGraded),
    raw: (host, request) => request.devices.reduce((sum, wanted) => sum + bestUtility(host, wanted), 0),
  },
];

export const WEIGHER_NAMES: readonly string[] = WEIGHERS.map((weigher) => weigher.name);

function pciRaw(host: HostSnapshot, request: JudgedRequest): number {
  if (request.devices.length === 0) return -freeTotal(host);
  return -request.devices.reduce((sum, wanted) => sum + freeCount(host, wanted) - wanted.count, 0);
}
