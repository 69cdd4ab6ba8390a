import { aliasMatches } from '../pci/alias/alias-match.js';
import type { Address } from '../pci/address.js';
import { pieceOf } from './constraints.js';
import type { DeviceRequest } from './request.js';
import type { HostSnapshot, SnapshotDevice } from './snapshot.js';

/**
 * Isolation units that nothing tells apart, counted together: eight equal GPUs are one class of eight, and a decision
 * never has to look at 8! orders of them.
 *
 * A unit is what can only be handed over whole: one device, or all offered devices of an IOMMU group.
 */
export interface DeviceClass {
  /** Free units in address order; each lists its members in address order. */
  readonly units: readonly (readonly SnapshotDevice[])[];
  /** The first unit: what is true of its members is true of all units, but for addresses and ids. */
  readonly members: readonly SnapshotDevice[];
  /** PFs that are members; taking one excludes every VF of it. */
  readonly pfs: readonly Address[];
  /** PFs of VFs that are members; taking one excludes the PF. */
  readonly parents: readonly Address[];
  /** PFs of its VFs that could still be handed out whole: better not to break into one. */
  readonly breaks: readonly Address[];
}

/** What only some constraints tell devices apart by: their slot, their card. */
export type Piece = 'slot' | 'card';

const caches: Readonly<Record<string, WeakMap<HostSnapshot, readonly DeviceClass[]>>> = {
  '': new WeakMap(),
  slot: new WeakMap(),
  card: new WeakMap(),
  'slot,card': new WeakMap(),
};

/**
 * The classes of what is free on a host, fewest tags first, then in address order. Computed once for each snapshot.
 *
 * @param pieces what else has to be equal, in the order slot, card
 */
export function deviceClasses(host: HostSnapshot, pieces: readonly Piece[] = []): readonly DeviceClass[] {
  const cache = caches[pieces.join()] as (typeof caches)[string];
  const known = cache.get(host);
  if (known) return known;
  const classes = classesOf(host, pieces);
  cache.set(host, classes);
  return classes;
}

/** Free: available, still there, nothing of it given out as shares, kept for nobody. */
export function isFree(device: SnapshotDevice): boolean {
  return device.status === 'available' && !device.missing && !device.sharesUsed && !device.reservation;
}

function classesOf(host: HostSnapshot, pieces: readonly Piece[]): readonly DeviceClass[] {
  const byAddress = new Map(host.devices.map((device) => [device.address, device]));
  const pfsWithVfs = pfsWithVfsOf(host);
  const groups = new Map<string, SnapshotDevice[][]>();
  const seen = new Set<Address>();
  for (const device of host.devices) {
    const unit = host.units.get(device.address);
    if (!unit || unit.blockedBy !== null || seen.has(device.address)) continue;
    unit.members.forEach((address) => seen.add(address));
    const members = unit.members.map((address) => byAddress.get(address));
    if (!members.every((member) => member !== undefined && isFree(member))) continue;
    const key = members.map((member) => classKey(host, member as SnapshotDevice, pfsWithVfs, pieces)).join('|');
    const units = groups.get(key);
    if (units) units.push(members as SnapshotDevice[]);
    else groups.set(key, [members as SnapshotDevice[]]);
  }
  return [...groups.values()].map((units) => classFrom(units, byAddress, pfsWithVfs)).sort(fewestTagsFirst);
}

/** Equal devices of one class are also equally near to all others. */
function classKey(
  host: HostSnapshot,
  device: SnapshotDevice,
  pfsWithVfs: ReadonlySet<Address | null>,
  pieces: readonly Piece[],
): string {
  const near = host.topology.get(device.address)?.PIX ?? '';
  return [memberKey(device, pfsWithVfs), near, ...pieces.map((piece) => pieceOf(piece, host, device))].join(' ');
}

/** PFs that have VFs; and null. */
export function pfsWithVfsOf(host: HostSnapshot): ReadonlySet<Address | null> {
  return new Set(host.devices.map((device) => device.parentAddress));
}

/** Two members with one key are interchangeable in every decision, but for the slot or card that they are part of. */
export function memberKey(device: SnapshotDevice, pfsWithVfs: ReadonlySet<Address | null>): string {
  const ownCard = pfsWithVfs.has(device.address) ? device.address : null;
  return JSON.stringify([
    device.vendorId,
    device.productId,
    device.deviceType,
    device.numaNode,
    device.parentAddress ?? ownCard,
    device.resourceClass,
    device.traits,
    Object.entries(device.tags).sort(([a], [b]) => (a < b ? -1 : 1)),
    device.attributes.key,
  ]);
}

function classFrom(
  units: SnapshotDevice[][],
  byAddress: ReadonlyMap<Address, SnapshotDevice>,
  pfsWithVfs: ReadonlySet<Address | null>,
): DeviceClass {
  const members = units[0] as SnapshotDevice[];
  const parents = members.flatMap((member) => (member.parentAddress === null ? [] : [member.parentAddress]));
  return {
    units,
    members,
    pfs: members.filter((member) => pfsWithVfs.has(member.address)).map((member) => member.address),
    parents,
    breaks: parents.filter((parent) => isWhole(byAddress.get(parent))),
  };
}

function isWhole(pf: SnapshotDevice | undefined): boolean {
  return pf?.status === 'available' && !pf.reservation;
}

function tagCount(group: DeviceClass): number {
  return group.members.reduce((sum, member) => sum + Object.keys(member.tags).length, 0);
}

function fewestTagsFirst(a: DeviceClass, b: DeviceClass): number {
  return tagCount(a) - tagCount(b);
}

/** Which members of a class's units satisfy a request: their positions. */
export function matchingPositions(group: DeviceClass, request: DeviceRequest): number[] {
  return group.members.flatMap((member, position) => (aliasMatches(request.specs, member) ? [position] : []));
}

/** How many devices of a host are free, whatever they are. */
export function freeTotal(host: HostSnapshot): number {
  let count = 0;
  for (const device of host.devices) if (isFree(device)) count++;
  return count;
}
