import { createHash } from 'node:crypto';
import { type Address, compareAddresses } from '../../../pci/address.js';
import { defaultResourceClass } from '../../../pci/device-spec/device-spec-fields.js';
import { ratiosOf } from '../../../placement/allocation-ratios.js';
import type { HostSnapshot, PlacementPolicy, SnapshotDevice } from '../../../placement/snapshot.js';

/** How much of a class a provider has, in Placement's words. */
export interface Inventory {
  readonly total: number;
  /** Not to be had, and nobody's. */
  readonly reserved: number;
  readonly min_unit: number;
  readonly max_unit: number;
  readonly step_size: number;
  readonly allocation_ratio: number;
}

/** A host, or a PCI device or PF below it with its VFs. */
export interface Provider {
  readonly uuid: string;
  readonly name: string;
  readonly generation: number;
  /** null: it is a host. */
  readonly parent: string | null;
  readonly root: string;
  readonly host: HostSnapshot;
  /** Of the device, or of the PF; null: it is a host. */
  readonly address: Address | null;
  /** What its inventories count. */
  readonly devices: readonly SnapshotDevice[];
  readonly inventories: ReadonlyMap<string, Inventory>;
  readonly usages: ReadonlyMap<string, number>;
  readonly traits: readonly string[];
  /** Ids of aggregates; of hosts only. */
  readonly aggregates: readonly string[];
}

/** What the tree of a host depends on beside the host. */
export interface TreeContext {
  readonly policy: PlacementPolicy;
  /** Ids of devices that are being given back: nobody's any more, and not to be had yet. */
  readonly leaving: ReadonlySet<string>;
  /** Host id → ids of its aggregates. */
  readonly aggregates: ReadonlyMap<string, readonly string[]>;
}

/** The host's provider, then those of its devices in address order, named as Nova's PCI in Placement names them. */
export function treeOf(host: HostSnapshot, context: TreeContext): Provider[] {
  return [rootOf(host, context), ...cardsOf(host).map((card) => childOf(host, card, context.leaving))];
}

/** The class under which a device is counted. */
export function classOf(device: Pick<SnapshotDevice, 'resourceClass' | 'vendorId' | 'productId'>): string {
  return device.resourceClass ?? defaultResourceClass(device);
}

/** How much of a class can be given out in all. */
export function capacityOf({ total, reserved, allocation_ratio }: Inventory): number {
  return Math.max(0, Math.floor((total - reserved) * allocation_ratio));
}

function rootOf(host: HostSnapshot, { policy, aggregates }: TreeContext): Provider {
  const { capacity, reserved, used } = host;
  const ratios = ratiosOf(host, policy);
  const amounts = [
    ['VCPU', capacity.vcpus, reserved.vcpus, ratios.cpu, used.vcpus],
    ['MEMORY_MB', capacity.memoryMb, reserved.memoryMb, ratios.ram, used.memoryMb],
    ['DISK_GB', capacity.diskGb, reserved.diskGb, ratios.disk, used.diskGb],
  ] as const;
  // Placement has no inventory of nothing
  const present = amounts.filter(([, total]) => total > 0);
  return {
    ...{ uuid: host.id, name: host.name, generation: host.generation, parent: null, root: host.id },
    ...{ host, address: null, devices: [] },
    inventories: new Map(present.map(([name, total, kept, ratio]) => [name, inventory(total, kept, ratio)])),
    usages: new Map(present.map(([name, , , , taken]) => [name, taken])),
    traits: sorted([...host.traits, 'COMPUTE_NODE', ...(host.enabled ? [] : ['COMPUTE_STATUS_DISABLED'])]),
    aggregates: aggregates.get(host.id) ?? [],
  };
}

function inventory(total: number, reserved: number, ratio: number): Inventory {
  return { total, reserved, min_unit: 1, max_unit: total, step_size: 1, allocation_ratio: ratio };
}

/** A PCI device, or a PF with what is offered of itself and of its VFs. */
interface Card {
  readonly address: Address;
  readonly uuid: string;
  readonly devices: readonly SnapshotDevice[];
}

const known = new WeakMap<HostSnapshot, readonly Card[]>();

/** Kept with the host as it is: a look-up by uuid asks every host. */
export function cardsOf(host: HostSnapshot): readonly Card[] {
  let cards = known.get(host);
  if (!cards) known.set(host, (cards = cardsNow(host)));
  return cards;
}

function cardsNow(host: HostSnapshot): Card[] {
  const tracked = host.devices.filter(isTracked);
  return [...grouped(tracked, ({ parentAddress, address }) => parentAddress ?? address)]
    .sort(([a], [b]) => compareAddresses(a, b))
    .map(([address, devices]) => ({ address, uuid: uuidIn(host.id, address), devices }));
}

/** Devices of physical networks are for ports only: Nova does not show them to Placement either. */
function isTracked({ tags }: SnapshotDevice): boolean {
  return (tags['physical_network'] ?? '') === '';
}

function childOf(host: HostSnapshot, { address, uuid, devices }: Card, leaving: ReadonlySet<string>): Provider {
  const classes = grouped(devices, classOf);
  const inUse = (device: SnapshotDevice): boolean => device.owner !== null && !leaving.has(device.id);
  const amounts = [...classes].map(([name, all]) => {
    const used = all.filter(inUse).length;
    const free = all.filter(isFree).length;
    return { name, total: all.length, used, reserved: all.length - used - free };
  });
  return {
    ...{ uuid, name: `${host.name}_${address.toUpperCase()}`, generation: host.generation },
    ...{ parent: host.id, root: host.id, host, address, devices },
    inventories: new Map(amounts.map(({ name, total, reserved }) => [name, inventory(total, reserved, 1)])),
    usages: new Map(amounts.map(({ name, used }) => [name, used])),
    traits: sorted([...commonTraits(devices), 'COMPUTE_MANAGED_PCI_DEVICE']),
    aggregates: [],
  };
}

/** Whether somebody who names no reservation may have it. */
function isFree({ status, owner, missing, reservation, sharesUsed }: SnapshotDevice): boolean {
  const isKept = reservation !== undefined && !reservation.isOutside;
  return status === 'available' && owner === null && !missing && !isKept && (sharesUsed ?? 0) === 0;
}

/** What is true of all of them: who asks a provider for a trait must get it whichever VF it is. */
function commonTraits([first, ...rest]: readonly SnapshotDevice[]): string[] {
  return (first?.traits ?? []).filter((trait) => rest.every(({ traits }) => traits.includes(trait)));
}

function grouped<K, T>(items: readonly T[], keyOf: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const item of items) {
    const others = groups.get(keyOf(item));
    if (others) others.push(item);
    else groups.set(keyOf(item), [item]);
  }
  return groups;
}

function sorted(names: readonly string[]): string[] {
  return [...new Set(names)].sort();
}

/** A UUID, version 5 (RFC 9562): the same name in the same space has the same one for ever. */
function uuidIn(space: string, name: string): string {
  const hash = createHash('sha1')
    .update(Buffer.from(space.replaceAll('-', ''), 'hex'))
    .update(name)
    .digest();
  hash[6] = ((hash[6] as number) & 0x0f) | 0x50;
  hash[8] = ((hash[8] as number) & 0x3f) | 0x80;
  const hex = hash.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join('-');
}
