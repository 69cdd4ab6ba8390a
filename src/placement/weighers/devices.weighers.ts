import { isGraded } from '../alternatives.js';
import { freeTotal } from '../device-classes.js';
import type { JudgedRequest } from '../filters/filter.js';
import type { HostSnapshot } from '../snapshot.js';
import { bestUtility, freeCount } from '../supply.js';
import type { Weigher } from './weigher.js';

/**
 * Keeps devices for those who ask for them: a server without devices is drawn to hosts without, one with devices to the host
 * where the fewest of that kind would be left over, so that large sets stay whole. (Nova's looks at the same total of all kinds
 * for both.) Its multiplier outweighs RAM, CPU, disk and IO operations together; in Nova these draw plain servers to big empty GPU
 * hosts. It sees one host only, so it cannot know what is scarce in the fleet.
 */
export const pciWeigher: Weigher = {
  name: 'PCIWeigher',
  defaultMultiplier: 5,
  metadataKey: 'pci_weight_multiplier',
  policies: ['spread'],
  raw: pciRaw,
};

/**
 * Draws to the host with the better alternatives of an alias, before nearly all else; it is silent when no alias of the request
 * has utilities.
 */
export const alternativeWeigher: Weigher = {
  name: 'AlternativeWeigher',
  defaultMultiplier: 100,
  metadataKey: 'alternative_weight_multiplier',
  concerns: (request) => request.devices.some(isGraded),
  raw: (host, request) => request.devices.reduce((sum, wanted) => sum + bestUtility(host, wanted), 0),
};

function pciRaw(host: HostSnapshot, request: JudgedRequest): number {
  if (request.devices.length === 0) return -freeTotal(host);
  return -request.devices.reduce((sum, wanted) => sum + freeCount(host, wanted) - wanted.count, 0);
}
