import { stockOf, WHOLE } from '../host-stock.js';
import type { Weigher } from './weigher.js';

/** What one device counts against vCPUs; of hosts that are made for devices, about what they have for each. */
const VCPUS_PER_DEVICE = 16;

/**
 * Draws to the host with the least left, vCPUs and devices of all kinds together, so that large sets stay whole elsewhere. What the
 * request takes is the same on every host and is left aside.
 */
export const bestFitWeigher: Weigher = {
  name: 'BestFitWeigher',
  defaultMultiplier: 1,
  metadataKey: 'best_fit_weight_multiplier',
  policies: ['best-fit'],
  raw: (host, _request, policy) => {
    const { vcpus, rests } = stockOf(host, policy);
    return -(vcpus / VCPUS_PER_DEVICE + rests.reduce((sum, rest) => sum + rest, 0) / WHOLE);
  },
};
