import type { HostSnapshot } from './snapshot.js';

/** The zone of a host that is in no aggregate with one. Source: Nova's `default_availability_zone`. */
export const DEFAULT_ZONE = 'nova';

/** What is true of a host of which nobody has said more. */
export const PLAIN_HOST: Pick<
  HostSnapshot,
  | 'reserved'
  | 'allocationRatios'
  | 'servers'
  | 'availabilityZone'
  | 'aggregates'
  | 'traits'
  | 'capabilities'
  | 'failedBuilds'
> = {
  reserved: { vcpus: 0, memoryMb: 0, diskGb: 0 },
  allocationRatios: null,
  servers: [],
  availabilityZone: DEFAULT_ZONE,
  aggregates: [],
  traits: [],
  capabilities: { architecture: null, hypervisorType: null, hypervisorVersion: null, cpuFeatures: [] },
  failedBuilds: 0,
};
