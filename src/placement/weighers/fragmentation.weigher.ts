import { takingsOf } from '../takings.js';
import type { Weigher } from './weigher.js';

/**
 * Draws to the host that loses least of what typical requests could use (`takings.ts`). Without a mix, while nothing is
 * known of what is asked for, all hosts are equal to it.
 */
export const fragmentationWeigher: Weigher = {
  name: 'FragmentationWeigher',
  defaultMultiplier: 1,
  metadataKey: 'fragmentation_weight_multiplier',
  policies: ['fragmentation', 'scarcity'],
  raw: (host, request, policy) => (policy.mix === undefined ? 0 : (takingsOf(host, request, policy)[0]?.score ?? 0)),
};
