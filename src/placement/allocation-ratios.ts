import type { AllocationRatios, HostSnapshot, PlacementPolicy } from './snapshot.js';

/** Virtual for physical on this host: what it says itself, else what the settings say. */
export function ratiosOf(
  { allocationRatios }: Pick<HostSnapshot, 'allocationRatios'>,
  { cpuAllocationRatio: cpu, ramAllocationRatio: ram, diskAllocationRatio: disk }: PlacementPolicy,
): AllocationRatios {
  return allocationRatios ?? { cpu, ram, disk };
}
