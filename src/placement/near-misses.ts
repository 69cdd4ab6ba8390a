import type { AliasSpec } from '../pci/alias/alias.js';
import { isOfKind, misfitOf, type Misfit } from '../pci/alias/alias-match.js';
import type { Address } from '../pci/address.js';
import type { DeviceRequest } from './request.js';
import type { SnapshotDevice } from './snapshot.js';

/** How many conditions one reason tells, and how many devices it names for each. */
const CONDITIONS_MAX = 5;
const NAMED_MAX = 3;

/** Devices of the kind that is asked for which miss the same condition. */
export interface NearMiss extends Misfit {
  /** Index of the alternative. */
  readonly alternative: number;
  readonly addresses: readonly Address[];
}

/**
 * Which condition keeps devices of the right kind (ids, type, class) from a request: of each device the first condition of
 * the first alternative that is about its kind. Devices that only an exclusive tag keeps away are left out.
 *
 * @param others  devices that are of the kind and do not satisfy the request
 */
export function nearMisses(others: readonly SnapshotDevice[], { specs }: DeviceRequest): NearMiss[] {
  const misses = new Map<string, NearMiss & { addresses: Address[] }>();
  for (const device of others) {
    const first = firstMisfit(specs, device);
    if (!first) continue;
    const { alternative, misfit } = first;
    const key = `${alternative} ${misfit.verdict} ${misfit.condition}\n${misfit.because}`;
    const miss = misses.get(key);
    if (miss) miss.addresses.push(device.address);
    else misses.set(key, { ...misfit, alternative, addresses: [device.address] });
  }
  return [...misses.values()];
}

/** null when an alternative has nothing against the device but an exclusive tag. */
function firstMisfit(specs: readonly AliasSpec[], device: SnapshotDevice): Found | null {
  let first: Found | null = null;
  for (let alternative = 0; alternative < specs.length; alternative++) {
    const spec = specs[alternative] as AliasSpec;
    if (!isOfKind(spec, device)) continue;
    const misfit = misfitOf(spec, device);
    if (!misfit) return null;
    first ??= { alternative, misfit };
  }
  return first;
}

interface Found {
  readonly alternative: number;
  readonly misfit: Misfit;
}

/**
 * `selector: device.link_width >= 16 is false for 2 devices (0000:81:00.0, 0000:82:00.0): link_width is 8`.
 *
 * @param named with the addresses, which are not for everybody
 */
export function missTexts(misses: readonly NearMiss[], { specs }: DeviceRequest, named: boolean): string[] {
  const told = misses.slice(0, CONDITIONS_MAX).map((miss) => {
    const which = specs.length > 1 ? `alternative ${miss.alternative + 1}: ` : '';
    return `${which}${miss.condition} ${miss.verdict} ${devicesText(miss.addresses, named)}: ${miss.because}`;
  });
  const more = misses.length - told.length;
  return more > 0 ? [...told, `${more} more conditions that are not met`] : told;
}

function devicesText(addresses: readonly Address[], named: boolean): string {
  const first = addresses.slice(0, NAMED_MAX).join(', ');
  const more = addresses.length > NAMED_MAX ? ', …' : '';
  return `${addresses.length} device${addresses.length === 1 ? '' : 's'}${named ? ` (${first}${more})` : ''}`;
}
