import { BerthError } from '../src/errors.js';
import { type DeviceEvent, transition } from '../src/pci/device-state.js';
import { NovaPools, type PoolTopology } from '../src/placement/nova/pools.js';
import { firstMatch, novaDeviceOf, novaHostOf, readEntries, type SysfsInput } from './device-spec.js';
import { answerOrError, isErrorAnswer } from './errors.js';
import { poolRequestOf, poolsView, type RequestInput } from './stats.js';
import { type DeviceRow, type ReportedInput, type TagSource, TrackedDevice } from './tracked-device.js';

interface TrackerInput {
  readonly device_spec: readonly string[];
  readonly sysfs: SysfsInput;
  readonly numa_topology: PoolTopology;
  readonly steps: readonly Step[];
}

type Step =
  | { readonly op: 'report'; readonly devices: readonly ReportedInput[] }
  | {
      readonly op: 'claim';
      readonly instance: string;
      readonly requests: readonly RequestInput[];
      readonly numa_cells: readonly number[] | null;
    }
  | { readonly op: 'allocate' | 'free'; readonly instance: string }
  | { readonly op: 'free_device'; readonly address: string; readonly instance: string }
  | { readonly op: 'clean'; readonly instances: readonly string[] }
  | { readonly op: 'restart' };

/** A compute host over time: the whitelist, the pools and the state table together. */
export function answerTracker({ device_spec, sysfs, numa_topology, steps }: TrackerInput): unknown {
  const host = novaHostOf(sysfs);
  const source: TagSource = { specs: readEntries(device_spec, host), host };
  const database = new Map<string, DeviceRow>();
  let tracker = new Tracker(source, numa_topology, database);
  const answers: unknown[] = [];
  for (const step of steps) {
    const said = answerOrError(() => {
      if (step.op !== 'restart') return tracker.take(step);
      tracker = new Tracker(source, numa_topology, database);
      return {};
    });
    if (isErrorAnswer(said) && said.kind === 'crash') return { steps: [...answers, said] };
    tracker.save();
    answers.push({ ...said, ...tracker.view() });
  }
  return { steps: answers };
}

/** Devices of instances, in the order in which they were claimed. */
type Usage = Map<string, TrackedDevice[]>;

class Tracker {
  private devices: TrackedDevice[];
  private readonly pools: NovaPools;
  private readonly claims: Usage = new Map();
  private readonly allocations: Usage = new Map();

  constructor(
    private readonly source: TagSource,
    topology: PoolTopology,
    private readonly database: Map<string, DeviceRow>,
  ) {
    this.devices = [...database.values()].map((row) => new TrackedDevice(row, source));
    this.pools = new NovaPools(topology, (device) => this.relativesOf(device as TrackedDevice));
    this.tieFamilies();
    for (const device of this.devices) {
      if (device.status === 'available') this.pools.add(device);
      const usage = device.status === 'claimed' ? this.claims : device.status === 'allocated' ? this.allocations : null;
      if (usage && device.ownerId !== null) usage.set(device.ownerId, [...(usage.get(device.ownerId) ?? []), device]);
    }
  }

  take(step: Exclude<Step, { op: 'restart' }>): object {
    switch (step.op) {
      case 'report':
        this.report(step.devices);
        return {};
      case 'claim':
        return { claimed: this.claim(step.instance, step.requests, step.numa_cells).map(({ address }) => address) };
      case 'allocate':
        this.allocate(step.instance);
        return {};
      case 'free':
        this.freeInstance(step.instance);
        return {};
      case 'free_device':
        this.freeDevice(step.address, step.instance);
        return {};
      case 'clean':
        for (const usage of [this.claims, this.allocations]) this.clean(usage, step.instances);
        return {};
    }
  }

  /** Deletes what was removed. Nova walks over a list that it takes from, so the next device is passed over. */
  save(): void {
    for (let at = 0; at < this.devices.length; at++) {
      const device = this.devices[at] as TrackedDevice;
      if (device.status !== 'removed') {
        this.database.set(device.address, device.row);
        continue;
      }
      this.database.delete(device.address);
      device.status = 'deleted';
      this.devices.splice(at, 1);
    }
  }

  view(): object {
    const addresses = (usage: Usage): object =>
      Object.fromEntries([...usage].map(([instance, devices]) => [instance, devices.map(({ address }) => address)]));
    return {
      pools: poolsView(this.pools),
      devices: this.devices.map(({ address, status, ownerId }) => [address, status, ownerId]),
      claims: addresses(this.claims),
      allocations: addresses(this.allocations),
    };
  }

  private report(all: readonly ReportedInput[]): void {
    const reported = new Map<string, ReportedInput>();
    for (const values of all) {
      // of two at one address the first counts
      if (this.isCovered(values) && !reported.has(values.address)) reported.set(values.address, values);
    }
    for (const device of this.devices) {
      const values = reported.get(device.address);
      if (!values) this.remove(device);
      else if (device.inUse) device.waiting = values;
      else {
        device.update(values);
        this.pools.retype(device);
      }
      reported.delete(device.address);
    }
    for (const values of reported.values()) {
      const device = new TrackedDevice({ values, status: 'available', ownerId: null }, this.source);
      this.devices.push(device);
      this.pools.add(device);
    }
    this.tieFamilies();
  }

  /** A domain that is too large hides the device, any other fault of its address ends the report. */
  private isCovered(device: ReportedInput): boolean {
    try {
      return firstMatch(this.source.specs, novaDeviceOf(device), this.source.host) !== null;
    } catch (error) {
      if (error instanceof BerthError && error.details['exception'] === 'PciConfigInvalidSpec') return false;
      throw error;
    }
  }

  private remove(device: TrackedDevice): void {
    try {
      this.change('remove', device, null);
    } catch (error) {
      if (error instanceof BerthError) return;
      throw error;
    }
    if (this.pools.has(device)) this.pools.remove(device);
  }

  private claim(instance: string, inputs: readonly RequestInput[], cells: readonly number[] | null): TrackedDevice[] {
    if (this.devices.length === 0 || inputs.length === 0) return [];
    const taken = this.pools.consume(inputs.map(poolRequestOf), cells).flat() as TrackedDevice[];
    for (const device of taken) this.change('claim', device, instance);
    if (taken.length > 0) this.claims.set(instance, taken);
    return taken;
  }

  private allocate(instance: string): void {
    const devices = this.claims.get(instance) ?? [];
    this.claims.delete(instance);
    for (const device of devices) this.change('allocate', device, instance);
    if (devices.length > 0) this.allocations.set(instance, [...(this.allocations.get(instance) ?? []), ...devices]);
  }

  private freeInstance(instance: string): void {
    for (const [usage, status] of [
      [this.allocations, 'allocated'],
      [this.claims, 'claimed'],
    ] as const) {
      if (!usage.delete(instance)) continue;
      for (const device of this.devices) if (device.status === status && device.ownerId === instance) this.free(device);
    }
  }

  private freeDevice(address: string, instance: string): void {
    const device = this.devices.find((other) => other.address === address);
    if (!device || device.ownerId !== instance) return;
    for (const usage of [this.allocations, this.claims]) {
      const rest = (usage.get(instance) ?? []).filter((other) => other !== device);
      if (rest.length > 0) usage.set(instance, rest);
      else usage.delete(instance);
    }
    this.free(device);
  }

  private clean(usage: Usage, instances: readonly string[]): void {
    for (const [instance, devices] of [...usage]) {
      if (instances.includes(instance)) continue;
      usage.delete(instance);
      for (const device of devices) this.free(device);
    }
  }

  private free(device: TrackedDevice): void {
    const [self, ...relatives] = this.change('free', device, null);
    if (device.waiting) device.update(device.waiting);
    device.waiting = null;
    for (const freed of [...relatives, self]) if (freed) this.pools.add(freed);
  }

  /** @returns the devices that changed, the device itself first */
  private change(event: DeviceEvent, device: TrackedDevice, instance: string | null): TrackedDevice[] {
    const byAddress = new Map(this.devices.map((other) => [other.address, other]));
    const states = new Map(this.devices.map((other) => [other.address, other.state]));
    return transition(states, event, device.address, instance, 'nova').map((state) => {
      const changed = byAddress.get(state.address) as TrackedDevice;
      changed.take(state);
      return changed;
    });
  }

  /** Sorts, and ties VFs to PFs; what is gone is left as it was. */
  private tieFamilies(): void {
    this.devices.sort((a, b) => (a.address < b.address ? -1 : 1));
    const pfs = new Map<string, TrackedDevice>();
    for (const device of this.devices) {
      if (!device.isThere) continue;
      if (device.deviceType === 'type-PF') pfs.set(device.address, device);
      const isChild = device.deviceType === 'type-VF' || device.deviceType === 'vdpa';
      device.parent = isChild ? (pfs.get(device.parentAddress ?? '') ?? null) : null;
    }
  }

  private relativesOf(device: TrackedDevice): TrackedDevice[] {
    if (device.deviceType === 'type-PF')
      return this.devices.filter((other) => other.isThere && other.parent === device);
    return device.parent ? [device.parent] : [];
  }
}
