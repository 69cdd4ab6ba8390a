import { BerthError } from '../../errors.js';
import type { NumaPolicy } from '../../pci/alias/numa-policy.js';
import type { Address } from '../../pci/address.js';
import type { DeviceType } from '../../pci/device.js';
import { novaError } from '../../pci/dialect.js';
import { novaBoolean, novaEquals, novaText } from '../../pci/nova/nova-values.js';

/** A free device as Nova's pools see it. */
export interface PooledDevice {
  readonly address: Address;
  readonly vendorId: string;
  readonly productId: string;
  readonly deviceType: DeviceType;
  readonly numaNode: number | null;
  readonly parentAddress: Address | null;
  /** Of a VF whose PF has an interface. */
  readonly parentIfname?: string | null;
  /** Of its device_spec entry, as written there. */
  readonly tags: Readonly<Record<string, unknown>>;
}

/** N devices of pools that satisfy any one of the specs, each of which names properties that a pool has to have. */
export interface PoolRequest {
  readonly count: number;
  readonly specs: readonly Readonly<Record<string, unknown>>[];
  /** null: legacy. */
  readonly numaPolicy: NumaPolicy | null;
}

/** Which cells of the host share a socket; null: the host does not say what cells it has. */
export type PoolTopology = readonly { readonly id: number; readonly socket: number | null }[] | null;

/** Equal free devices. */
export interface NovaPool {
  readonly key: Readonly<Record<string, unknown>>;
  count: number;
  /** In the order in which they came; null on the scheduler's side, which only counts. */
  readonly devices: PooledDevice[] | null;
}

/**
 * Free devices in pools, chosen as Nova 26.2 chooses them (`nova/pci/stats.py`), oddities included: pools with fewer tags
 * first, within a pool the device that came last.
 */
export class NovaPools {
  private list: NovaPool[] = [];

  /**
   * @param topology   of the host
   * @param relatives  which devices go when one is taken: of a PF its VFs, of a VF its PF
   */
  constructor(
    private readonly topology: PoolTopology,
    private readonly relatives: (device: PooledDevice) => readonly PooledDevice[] = () => [],
  ) {}

  /** The scheduler's copy of pools: counts without devices. Sorted stably by the number of keys. */
  static counted(pools: Iterable<{ key: NovaPool['key']; count: number }>, topology: PoolTopology): NovaPools {
    const counted = new NovaPools(topology);
    counted.list = [...pools].map(({ key, count }) => ({ key, count, devices: null })).sort(fewestKeysFirst);
    return counted;
  }

  /** In Nova's order, which decides who is taken first. */
  get pools(): readonly NovaPool[] {
    return this.list;
  }

  has(device: PooledDevice): boolean {
    return this.list.some((pool) => pool.devices?.includes(device));
  }

  add(device: PooledDevice): void {
    const key = poolKey(device);
    let pool = this.find(key);
    if (!pool) {
      pool = { key, count: 0, devices: [] };
      this.list = [...this.list, pool].sort(fewestKeysFirst);
    }
    pool.count += 1;
    pool.devices?.push(device);
  }

  /** @throws BerthError `device.not_pooled` when the pool that it belongs to is not there, or has it not */
  remove(device: PooledDevice): void {
    const pool = this.find(poolKey(device));
    if (!pool) throw novaError('device.not_pooled', 'PciDevicePoolEmpty', `${device.address} is in no pool`);
    const at = pool.devices?.indexOf(device) ?? -1;
    if (at < 0) throw novaError('device.not_pooled', null, `${device.address} is not in its pool`);
    pool.devices?.splice(at, 1);
    this.take(pool, 1);
  }

  /** Moves a device whose type is not that of its pool any more; other changes leave it where it is, as in Nova. */
  retype(device: PooledDevice): void {
    const pool = this.list.find(({ devices }) => devices?.includes(device));
    if (!pool || pool.key['dev_type'] === device.deviceType) return;
    pool.devices?.splice(pool.devices.indexOf(device), 1);
    this.take(pool, 1);
    this.add(device);
  }

  /** Whether the requests can all be served, by the counts alone. Nothing changes. */
  supports(requests: readonly PoolRequest[], cells: readonly number[] | null): boolean {
    try {
      this.schedulersCopy().apply(requests, cells);
      return true;
    } catch (error) {
      if (isRequestFailed(error)) return false;
      throw error;
    }
  }

  /** What the scheduler knows of these pools: counts, and tags as text. */
  schedulersCopy(): NovaPools {
    const pools = this.list.map(({ key, count }) => ({ key: textTags(key), count }));
    return NovaPools.counted(pools, this.topology);
  }

  /**
   * Counts the requests off, without regard to PFs and VFs.
   *
   * @throws BerthError `request.no_devices`; what was counted off before stays so
   */
  apply(requests: readonly PoolRequest[], cells: readonly number[] | null): void {
    for (const request of requests) {
      let left = request.count;
      for (const pool of this.serving(request, cells)) {
        left = this.take(pool, left);
        if (left === 0) break;
      }
    }
  }

  /**
   * Takes devices for the requests, in the order in which they are taken.
   *
   * @throws BerthError `request.no_devices`; devices taken before go back to the ends of their pools, but not their relatives
   */
  consume(requests: readonly PoolRequest[], cells: readonly number[] | null): PooledDevice[][] {
    const taken: PooledDevice[][] = [];
    for (const request of requests) {
      let pools: NovaPool[];
      try {
        pools = this.serving(request, cells);
      } catch (error) {
        if (isRequestFailed(error))
          taken
            .flat()
            .reverse()
            .forEach((device) => this.add(device));
        throw error;
      }
      taken.push(this.consumeOne(request, pools));
    }
    return taken;
  }

  private consumeOne(request: PoolRequest, pools: readonly NovaPool[]): PooledDevice[] {
    const taken: PooledDevice[] = [];
    let left = request.count;
    for (const pool of pools) {
      const count = Math.min(pool.count, left);
      left -= count;
      pool.count -= count;
      for (let i = 0; i < count; i++) {
        const device = pool.devices?.pop();
        if (!device)
          throw novaError('request.no_devices', null, 'a request for "PF or VF" took the PF away with its VF');
        for (const relative of this.relatives(device)) if (this.has(relative)) this.remove(relative);
        taken.push(device);
      }
      if (left === 0) break;
    }
    return taken;
  }

  /** The pools that serve one request, in the order in which they are emptied. */
  private serving(request: PoolRequest, cells: readonly number[] | null): NovaPool[] {
    let pools = enough(
      this.list.filter((pool) => fitsAny(pool, request.specs)),
      request,
    );
    if (cells !== null && cells.length > 0) pools = enough(this.near(pools, request, cells), request);
    if (!asksFor(request, 'dev_type', 'type-PF')) pools = pools.filter(({ key }) => key['dev_type'] !== 'type-PF');
    pools = enough(pools, request);
    if (!asksFor(request, 'dev_type', 'vdpa')) pools = pools.filter(({ key }) => key['dev_type'] !== 'vdpa');
    if (!asksRemoteManaged(request)) pools = pools.filter(({ key }) => !novaBoolean(key['remote_managed']));
    pools = enough(pools, request);
    if (pools.length === 0) throw requestFailed(request);
    return pools;
  }

  private near(pools: NovaPool[], { count, numaPolicy }: PoolRequest, cells: readonly number[]): NovaPool[] {
    const isLocal = ({ key }: NovaPool): boolean => cells.some((cell) => key['numa_node'] === cell);
    const local = pools.filter(isLocal);
    if (numaPolicy === 'required' || total(local) >= count) return local;
    if (numaPolicy === 'socket') return this.onSockets(pools, cells);
    const isClose = (pool: NovaPool): boolean => isLocal(pool) || (pool.key['numa_node'] ?? null) === null;
    const close = pools.filter(isClose);
    if (numaPolicy !== 'preferred' || total(close) >= count) return close;
    return [...close, ...pools.filter((pool) => !isClose(pool))];
  }

  private onSockets(pools: NovaPool[], cells: readonly number[]): NovaPool[] {
    if (!this.topology)
      throw novaError('numa_policy.invalid', null, 'policy socket: the host says nothing of its sockets');
    if (this.topology.some(({ socket }) => socket === null)) return [];
    const sockets = new Set(this.topology.filter(({ id }) => cells.includes(id)).map(({ socket }) => socket));
    const allowed = new Set<unknown>(this.topology.filter(({ socket }) => sockets.has(socket)).map(({ id }) => id));
    return pools.filter(({ key }) => allowed.has(key['numa_node']));
  }

  /** Counts down a pool; an emptied one goes. @returns what the pool could not give */
  private take(pool: NovaPool, count: number): number {
    if (pool.count > count) {
      pool.count -= count;
      return 0;
    }
    this.list = this.list.filter((other) => other !== pool);
    return count - pool.count;
  }

  /** Nova compares the number of keys, then the values of the wanted keys, "not there" being null. */
  private find(key: NovaPool['key']): NovaPool | undefined {
    const names = Object.keys(key);
    return this.list.find(
      (pool) =>
        Object.keys(pool.key).length === names.length &&
        names.every((name) => novaEquals(key[name] ?? null, propertyOf(pool, name))),
    );
  }
}

/** The key of the pool that a device belongs to. */
export function poolKey(device: PooledDevice): NovaPool['key'] {
  const ifname = device.parentIfname ? { parent_ifname: device.parentIfname } : {};
  const key: Record<string, unknown> = {
    product_id: device.productId,
    vendor_id: device.vendorId,
    numa_node: device.numaNode,
    dev_type: device.deviceType,
    ...device.tags,
    ...ifname,
  };
  if (device.deviceType !== 'type-PCI') key['remote_managed'] ??= 'false';
  return key;
}

/** Whether an error says that a request found too few devices, and nothing worse. */
export function isRequestFailed(error: unknown): boolean {
  return error instanceof BerthError && error.code === 'request.no_devices' && error.details['exception'] !== null;
}

function requestFailed(request: PoolRequest): Error {
  return novaError('request.no_devices', 'PciDeviceRequestFailed', `too few devices for a request of ${request.count}`);
}

function enough(pools: NovaPool[], request: PoolRequest): NovaPool[] {
  if (total(pools) < request.count) throw requestFailed(request);
  return pools;
}

function total(pools: readonly NovaPool[]): number {
  return pools.reduce((sum, pool) => sum + pool.count, 0);
}

function fitsAny(pool: NovaPool, specs: PoolRequest['specs']): boolean {
  return specs.some((spec) =>
    Object.entries(spec).every(([name, value]) => sameProperty(propertyOf(pool, name), value)),
  );
}

function sameProperty(has: unknown, wanted: unknown): boolean {
  if (typeof has === 'string' && typeof wanted === 'string') return has.toLowerCase() === wanted.toLowerCase();
  if (Array.isArray(has) && Array.isArray(wanted)) {
    return wanted.every((item) => has.some((other) => novaEquals(item, other)));
  }
  return novaEquals(has, wanted);
}

/** What a pool has not counts as null. */
function propertyOf(pool: NovaPool, name: string): unknown {
  return Object.hasOwn(pool.key, name) ? (pool.key[name] ?? null) : null;
}

function asksFor({ specs }: PoolRequest, name: string, value: string): boolean {
  return specs.some((spec) => spec[name] === value);
}

function asksRemoteManaged({ specs }: PoolRequest): boolean {
  return specs.some((spec) => novaBoolean(spec['remote_managed']));
}

function textTags(key: NovaPool['key']): NovaPool['key'] {
  const fixed = ['numa_node', 'count'];
  return Object.fromEntries(
    Object.entries(key).map(([name, value]) => [
      name,
      fixed.includes(name) || value === null || value === undefined ? value : novaText(value),
    ]),
  );
}

function fewestKeysFirst(a: NovaPool, b: NovaPool): number {
  return Object.keys(a.key).length - Object.keys(b.key).length;
}
