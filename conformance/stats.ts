import type { NumaPolicy } from '../src/pci/alias/numa-policy.js';
import type { DeviceType } from '../src/pci/device.js';
import { NovaPools, type PooledDevice, type PoolRequest, type PoolTopology } from '../src/placement/nova/pools.js';
import { answerOrError, isErrorAnswer } from './errors.js';

export interface RequestInput {
  readonly count: number;
  readonly spec: readonly Readonly<Record<string, unknown>>[];
  readonly numa_policy: NumaPolicy | null;
}

interface PooledDeviceInput {
  readonly address: string;
  readonly vendor_id: string;
  readonly product_id: string;
  readonly dev_type: DeviceType;
  readonly numa_node: number | null;
  readonly parent_addr: string | null;
  readonly parent_ifname?: string;
  readonly tags: Readonly<Record<string, unknown>>;
}

interface RequestStep {
  readonly op: 'support' | 'apply' | 'consume';
  readonly requests: readonly RequestInput[];
  readonly numa_cells: readonly number[] | null;
}

interface DeviceStep {
  readonly op: 'add' | 'remove';
  readonly devices: readonly string[];
}

interface StatsInput {
  readonly numa_topology: PoolTopology;
  readonly devices: readonly PooledDeviceInput[];
  readonly steps: readonly (RequestStep | DeviceStep)[];
}

/** Pools, and requests that consume them. */
export function answerStats({ numa_topology, devices: inputs, steps }: StatsInput): unknown {
  const devices = new Map(inputs.map((input) => [input.address, pooledDeviceOf(input)]));
  const pools = new NovaPools(numa_topology, relativesAmong(devices));
  for (const device of devices.values()) pools.add(device);
  const answer: { pools: unknown; steps: unknown[] } = { pools: poolsView(pools), steps: [] };
  for (const step of steps) {
    const said = stepAnswer(step, pools, devices);
    answer.steps.push(said);
    if (isErrorAnswer(said) && said.kind === 'crash') break;
  }
  return answer;
}

function stepAnswer(
  step: RequestStep | DeviceStep,
  pools: NovaPools,
  devices: ReadonlyMap<string, PooledDevice>,
): unknown {
  if ('devices' in step) {
    return withPools(pools, () => {
      for (const address of step.devices) pools[step.op](devices.get(address) as PooledDevice);
      return {};
    });
  }
  const requests = step.requests.map(poolRequestOf);
  if (step.op === 'support') return answerOrError(() => ({ support: pools.supports(requests, step.numa_cells) }));
  if (step.op === 'consume') {
    return withPools(pools, () => ({
      devices: pools.consume(requests, step.numa_cells).flatMap((taken) => taken.map(({ address }) => address)),
    }));
  }
  const copy = pools.schedulersCopy();
  return withPools(copy, () => {
    copy.apply(requests, step.numa_cells);
    return {};
  });
}

/** What was done, and the pools after it; after a crash nothing is known. */
function withPools(pools: NovaPools, act: () => object): unknown {
  const done = answerOrError(act);
  return isErrorAnswer(done) && done.kind === 'crash' ? done : { ...done, pools: poolsView(pools) };
}

/** Of a PF its VFs, of a VF its PF, in the order in which the devices are listed. */
export function relativesAmong(devices: ReadonlyMap<string, PooledDevice>): (device: PooledDevice) => PooledDevice[] {
  return (device) => {
    if (device.deviceType === 'type-PF')
      return [...devices.values()].filter((other) => other.parentAddress === device.address);
    const parent = device.deviceType === 'type-PCI' ? undefined : devices.get(device.parentAddress ?? '');
    return parent ? [parent] : [];
  };
}

export function poolRequestOf({ count, spec, numa_policy }: RequestInput): PoolRequest {
  return { count, specs: spec, numaPolicy: numa_policy };
}

/** Pools in their order; those of the scheduler have no devices. */
export function poolsView(pools: NovaPools): unknown[] {
  return pools.pools.map(({ key, count, devices }) => ({
    ...key,
    count,
    ...(devices && { devices: devices.map(({ address }) => address) }),
  }));
}

function pooledDeviceOf(input: PooledDeviceInput): PooledDevice {
  return {
    address: input.address,
    vendorId: input.vendor_id,
    productId: input.product_id,
    deviceType: input.dev_type,
    numaNode: input.numa_node,
    parentAddress: input.parent_addr,
    parentIfname: input.parent_ifname ?? null,
    tags: input.tags,
  };
}
