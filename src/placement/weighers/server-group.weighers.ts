import { groupMembers } from '../filters/server-group.filters.js';
import type { JudgedRequest } from '../filters/filter.js';
import type { Weigher } from './weigher.js';

/** Draws a server to where most members of its group are already. */
export const softAffinityWeigher: Weigher = {
  name: 'ServerGroupSoftAffinityWeigher',
  defaultMultiplier: 1,
  metadataKey: 'soft_affinity_weight_multiplier',
  concerns: (request) => policyOf(request) === 'soft-affinity',
  raw: groupMembers,
};

/** Draws a server to where fewest members of its group are. */
export const softAntiAffinityWeigher: Weigher = {
  name: 'ServerGroupSoftAntiAffinityWeigher',
  defaultMultiplier: 1,
  metadataKey: 'soft_anti_affinity_weight_multiplier',
  concerns: (request) => policyOf(request) === 'soft-anti-affinity',
  raw: (host, request) => -groupMembers(host, request),
};

function policyOf({ host }: JudgedRequest): string | undefined {
  return host?.group?.policy;
}
