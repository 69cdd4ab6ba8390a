import { bestFitWeigher } from './best-fit.weigher.js';
import { alternativeWeigher, pciWeigher } from './devices.weighers.js';
import { fragmentationWeigher } from './fragmentation.weigher.js';
import { buildFailureWeigher, cpuWeigher, diskWeigher, ioOpsWeigher, ramWeigher } from './resources.weighers.js';
import { softAffinityWeigher, softAntiAffinityWeigher } from './server-group.weighers.js';
import type { Weigher } from './weigher.js';

export type { Weigher } from './weigher.js';

/**
 * Every weigher there is, Nova's by Nova's names; adding one is a file and a line here. What looks at free devices is last: its
 * range changes most often, and `ranking.ts` adds the last one up by itself.
 */
export const WEIGHERS: readonly Weigher[] = [
  ramWeigher,
  cpuWeigher,
  diskWeigher,
  ioOpsWeigher,
  buildFailureWeigher,
  softAffinityWeigher,
  softAntiAffinityWeigher,
  alternativeWeigher,
  bestFitWeigher,
  fragmentationWeigher,
  pciWeigher,
];

export const WEIGHER_NAMES: readonly string[] = WEIGHERS.map((weigher) => weigher.name);
