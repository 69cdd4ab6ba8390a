import { aliasMatches } from '../pci/alias/alias-match.js';
import { ratiosOf } from './allocation-ratios.js';
import { shapeOf, type HostShape } from './host-shape.js';
import type { Demand } from './request-mix.js';
import type { HostSnapshot, PlacementPolicy, SnapshotDevice } from './snapshot.js';

/** A device that nobody has a part of, in thousandths. */
export const WHOLE = 1000;

/** What a host has left, as far as it matters for how devices and vCPUs go together. */
export interface HostStock {
  readonly vcpus: number;
  /** By the place of the device: what of it can be given, in thousandths. */
  readonly rests: readonly number[];
  /** By the place of the device: what kind it is. */
  readonly kinds: readonly DeviceKind[];
}

/** Devices that every demand takes, or none does. */
export interface DeviceKind {
  readonly key: string;
  /** Any one of them. */
  readonly device: SnapshotDevice;
}

/** What a host has left. The same object as long as it is asked of the same host. */
export function stockOf(host: HostSnapshot, policy: PlacementPolicy): HostStock {
  const { cpu } = ratiosOf(host, policy);
  const known = stocks.get(host);
  if (known?.cpu === cpu) return known.stock;
  const vcpus = (host.capacity.vcpus - host.reserved.vcpus) * cpu - host.used.vcpus;
  const stock = { vcpus, rests: host.devices.map((device) => restOf(host, device)), kinds: kindsOf(host) };
  stocks.set(host, { cpu, stock });
  return stock;
}

const stocks = new WeakMap<HostSnapshot, { readonly cpu: number; readonly stock: HostStock }>();

/** What can be given of a device: all of it, what other shares leave, or nothing. */
export function restOf({ units }: HostSnapshot, device: SnapshotDevice): number {
  const { address, status, missing, sharesUsed = 0, reservation } = device;
  const unit = units.get(address);
  if (status !== 'available' || missing || reservation || !unit || unit.blockedBy !== null) return 0;
  return WHOLE - sharesUsed;
}

/** What a demand needs of each of its devices, in thousandths. */
export function needOf({ share = WHOLE }: Demand): number {
  return share;
}

/** Whether the demand takes devices of the kind. */
export function takesKind(demand: Demand, kind: DeviceKind): boolean {
  let known = taken.get(kind);
  if (!known) taken.set(kind, (known = new WeakMap()));
  let takes = known.get(demand.specs);
  if (takes === undefined) known.set(demand.specs, (takes = aliasMatches(demand.specs, kind.device)));
  return takes;
}

const taken = new WeakMap<DeviceKind, WeakMap<Demand['specs'], boolean>>();

/** Kinds are objects of which there is one each, so that what is known of one is known for all hosts. */
const KINDS_MAX = 10_000;
const kindOf = new Map<string, DeviceKind>();
const kindsOfShape = new WeakMap<HostShape, readonly DeviceKind[]>();

function kindsOf(host: HostSnapshot): readonly DeviceKind[] {
  const shape = shapeOf(host);
  let kinds = kindsOfShape.get(shape);
  if (!kinds) kindsOfShape.set(shape, (kinds = shape.model.devices.map(kindFor)));
  return kinds;
}

function kindFor(device: SnapshotDevice): DeviceKind {
  const key = JSON.stringify([
    ...[device.vendorId, device.productId, device.deviceType, device.numaNode, device.resourceClass, device.traits],
    Object.entries(device.tags).sort(([a], [b]) => (a < b ? -1 : 1)),
    device.attributes.key,
  ]);
  const kind = kindOf.get(key) ?? { key, device };
  // forgetting costs time, never truth
  if (kindOf.size >= KINDS_MAX) kindOf.clear();
  kindOf.set(key, kind);
  return kind;
}
