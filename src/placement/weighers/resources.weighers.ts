import { ratiosOf } from '../allocation-ratios.js';
import { ioOpsOf } from '../filters/host-load.filters.js';
import type { Weigher } from './weigher.js';

/** Draws to the host with most free memory. */
export const ramWeigher: Weigher = {
  name: 'RAMWeigher',
  defaultMultiplier: 1,
  metadataKey: 'ram_weight_multiplier',
  policies: ['spread'],
  raw: ({ capacity, reserved, used }) => capacity.memoryMb - reserved.memoryMb - used.memoryMb,
};

/** Draws to the host with most free vCPUs, by its allocation ratio. */
export const cpuWeigher: Weigher = {
  name: 'CPUWeigher',
  defaultMultiplier: 1,
  metadataKey: 'cpu_weight_multiplier',
  policies: ['spread'],
  raw: (host, _request, policy) =>
    (host.capacity.vcpus - host.reserved.vcpus) * ratiosOf(host, policy).cpu - host.used.vcpus,
};

/** Draws to the host with most free disk. */
export const diskWeigher: Weigher = {
  name: 'DiskWeigher',
  defaultMultiplier: 1,
  metadataKey: 'disk_weight_multiplier',
  policies: ['spread'],
  raw: ({ capacity, reserved, used }) => capacity.diskGb - reserved.diskGb - used.diskGb,
};

/** Keeps away from hosts with many servers on the way there or from there: its multiplier is negative. */
export const ioOpsWeigher: Weigher = {
  name: 'IoOpsWeigher',
  defaultMultiplier: -1,
  metadataKey: 'io_ops_weight_multiplier',
  policies: ['spread'],
  raw: ioOpsOf,
};

/** Keeps away from hosts on which the last builds failed, whatever else speaks for them. */
export const buildFailureWeigher: Weigher = {
  name: 'BuildFailureWeigher',
  defaultMultiplier: 1_000_000,
  metadataKey: 'build_failure_weight_multiplier',
  subtracts: true,
  raw: ({ failedBuilds }) => failedBuilds,
};
