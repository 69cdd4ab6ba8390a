import type { PlacementPolicy, Resources } from '../snapshot.js';
import type { Filter, FilterContext } from './filter.js';

type Resource = keyof Resources;

const RATIOS: Readonly<Record<Resource, (policy: PlacementPolicy) => number>> = {
  vcpus: (policy) => policy.cpuAllocationRatio,
  memoryMb: (policy) => policy.ramAllocationRatio,
  diskGb: (policy) => policy.diskAllocationRatio,
};

/** vCPUs left, with `cpu_allocation_ratio`. */
export const coreFilter = resourceFilter('CoreFilter', 'vcpus', 'vcpus', 'vCPUs');
/** Memory left, with `ram_allocation_ratio`. */
export const ramFilter = resourceFilter('RamFilter', 'memoryMb', 'memory', 'MiB of memory');
/** Disk left, with `disk_allocation_ratio`. */
export const diskFilter = resourceFilter('DiskFilter', 'diskGb', 'disk', 'GiB of disk');

function resourceFilter(name: string, resource: Resource, noun: string, unit: string): Filter {
  return {
    name,
    passes: ({ capacity, used }, context) =>
      wanted(resource, context) <= limit(resource, capacity, context) - used[resource],
    explain: ({ capacity, used }, context) => {
      const total = limit(resource, capacity, context);
      const free = Math.max(0, total - used[resource]);
      return [
        {
          code: `${noun}.not_enough`,
          message: `${wanted(resource, context)} ${unit} wanted, ${free} of ${total} free`,
          details: { wanted: wanted(resource, context), free, total },
        },
      ];
    },
  };
}

function wanted(resource: Resource, { request }: FilterContext): number {
  return request[resource];
}

function limit(resource: Resource, capacity: Resources, { policy }: FilterContext): number {
  return Math.floor(capacity[resource] * RATIOS[resource](policy));
}
