import type { AliasGroup } from '../pci/alias/alias-fields.js';
import { aliasMatches } from '../pci/alias/alias-match.js';
import type { DeviceType } from '../pci/device.js';
import { isHeld, type DeviceStatus } from '../pci/device-state.js';
import { isFree } from './device-classes.js';
import type { DeviceRequest } from './request.js';
import type { DeviceReservation, HostSnapshot, SnapshotDevice } from './snapshot.js';

/** How many servers one sentence names before it only counts them. */
const NAMED_MAX = 5;
/** How many classes the details of a reason keep. */
const CLASSES_KEPT = 32;

/** What keeps a device from being had. `text` is safe for everybody; `named` is the same with names and addresses. */
export interface Obstacle {
  readonly kind: 'in_use' | 'held' | 'reserved' | 'relative' | 'iommu_group' | 'group' | 'missing';
  /** The code of a reason that has no other obstacle to tell of. */
  readonly code: string;
  readonly text: string;
  readonly named: string;
  /** Name of the server that has it; null: none has, or not it. */
  readonly server: string | null;
}

/**
 * What keeps a device from being had; null: nothing, it is free.
 *
 * @param group the request takes whole slots or cards
 */
export function obstacleOf(host: HostSnapshot, device: SnapshotDevice, group: AliasGroup | null): Obstacle | null {
  if (device.owner) return inUse(device.owner.serverName);
  if (isHeld(device.status)) return obstacle('held', 'device.held', alike(device.status));
  const gone = device.missing || device.status === 'removed' || device.status === 'deleted';
  // the VFs of a PF that is handed over are gone as long as it is
  if (device.status === 'unclaimable' || device.status === 'unavailable' || (gone && pfInUse(host, device))) {
    return obstacle('relative', 'device.relative_in_use', relativeInUse(host, device));
  }
  if (gone) return obstacle('missing', 'device.missing', alike('not reported by the host any more'));
  if (device.reservation) return obstacle('reserved', 'device.reserved', reservedFor(device.reservation));
  if (!isFree(device)) return inUse(null);
  return unsafe(host, device) ?? (group && notWhole(host, device, group));
}

function inUse(server: string | null): Obstacle {
  const named = server === null ? 'in use' : `in use by ${server}`;
  return { ...obstacle('in_use', 'device.all_in_use', { text: 'in use', named }), server };
}

function obstacle(kind: Obstacle['kind'], code: string, told: Told, prefix = ''): Obstacle {
  return { kind, code, text: `${prefix}${told.text}`, named: `${prefix}${told.named}`, server: null };
}

/** A sentence for everybody, and one for whoever may see names. */
interface Told {
  readonly text: string;
  readonly named: string;
}

/** Who names the reservation is told of the time, administrators also of the name. */
function reservedFor({ name, until, isOpen, isRelative, isOutside }: DeviceReservation): Told {
  if (isOutside) return alike('not of the reservation');
  const what = isRelative ? 'blocked: its PF, or a VF of it, is reserved' : 'reserved';
  const when = `until ${until}${isOpen || isRelative ? '' : ', for a window that has not begun'}`;
  return { text: `${what} ${when}`, named: `${what} by ${name} ${when}` };
}

function pfInUse(host: HostSnapshot, device: SnapshotDevice): boolean {
  return host.devices.some((other) => other.address === device.parentAddress && other.owner !== null);
}

function relativeInUse(host: HostSnapshot, device: SnapshotDevice): Told {
  const isPf = device.deviceType === 'type-PF';
  const relatives = host.devices.filter((other) =>
    isPf ? other.parentAddress === device.address : other.address === device.parentAddress,
  );
  const users = relatives.flatMap(({ owner }) => owner ?? []);
  const what = (count: number): string => (isPf ? `${count} of its VFs ${count === 1 ? 'is' : 'are'}` : 'its PF is');
  if (users.length > 0) {
    const text = `blocked: ${what(users.length)} in use`;
    return { text, named: `${text} by ${listed(users.map(({ serverName }) => serverName))}` };
  }
  const held = relatives.filter((other) => isHeld(other.status));
  return alike(`blocked: ${what(held.length)} ${listed(held.map(({ status }) => status))}`);
}

/** Why a device's IOMMU group cannot be handed over now, null when it can. */
function unsafe(host: HostSnapshot, device: SnapshotDevice): Obstacle | null {
  const told = blockerOf(host, device);
  return told && obstacle('iommu_group', 'device.iommu_group', told, 'not safe to hand over: ');
}

function blockerOf(host: HostSnapshot, device: SnapshotDevice): Told | null {
  const unit = host.units.get(device.address);
  if (!unit) return alike('its IOMMU group is not known');
  if (unit.blockedBy !== null) {
    // without a group there is nothing in it that could be named
    if (unit.iommuGroup === null) return alike(unit.blockedBy);
    return { text: 'its IOMMU group cannot be handed over whole', named: unit.blockedBy };
  }
  if (unit.members.length === 1) return null;
  const taken = host.devices.find((other) => unit.members.includes(other.address) && !isFree(other));
  if (!taken || taken.address === device.address) return null;
  return {
    text: `its IOMMU group also holds a device that is ${wordFor(taken)}`,
    named: `IOMMU group ${unit.iommuGroup} also holds ${taken.address}, which is ${wordFor(taken)}`,
  };
}

function wordFor({ status, reservation }: SnapshotDevice): string {
  return status === 'available' && reservation ? 'reserved' : status;
}

function alike(text: string): Told {
  return { text, named: text };
}

/** Why a device that is free itself is not free as a whole slot or card. */
function notWhole(host: HostSnapshot, device: SnapshotDevice, kind: AliasGroup): Obstacle | null {
  const group = host.groups[kind].get(device.address);
  if (!group) return null;
  const cause = (told: Told): Obstacle => obstacle('group', 'device.group', told, 'not whole: ');
  if (group.blockedBy !== null) {
    const text = `its ${kind} also has a function that is not offered; offer it as well`;
    return cause({ text, named: group.blockedBy });
  }
  for (const address of group.members) {
    const member = host.devices.find((other) => other.address === address);
    const state = member ? stateOf(host, member) : alike('gone');
    if (!state) continue;
    return cause({
      text: `its ${kind} also has a function that is ${state.text}`,
      named: `its ${kind} also has ${address}, which is ${state.named}`,
    });
  }
  return null;
}

/** What goes on after "which is"; null: free. */
function stateOf(host: HostSnapshot, device: SnapshotDevice): Told | null {
  if (device.owner) return { text: 'in use', named: `in use by ${device.owner.serverName}` };
  if (device.missing) return alike('not reported any more');
  if (isFree(device)) return unsafe(host, device);
  return alike(device.status === 'available' ? (device.reservation ? 'reserved' : 'in use') : device.status);
}

/** Equal devices of one host, counted by what keeps them from being had. The numbers add up to `total`. */
interface ClassCounts {
  readonly vendor_id: string;
  readonly product_id: string;
  readonly device_type: DeviceType;
  readonly numa_node: number | null;
  total: number;
  free: number;
  in_use: number;
  /** By status. */
  readonly held: Partial<Record<DeviceStatus, number>>;
  /** Kept for a reservation, or a relative of what is; left out where there are none. */
  kept_by_reservation?: number;
  blocked_by_relative: number;
  blocked_by_iommu_group: number;
  /** Free, but not all of the slot or card that is wanted whole. */
  not_whole: number;
  missing: number;
}

const COUNTED_AS = {
  in_use: 'in_use',
  relative: 'blocked_by_relative',
  iommu_group: 'blocked_by_iommu_group',
  group: 'not_whole',
  missing: 'missing',
} as const;

/** The classes of devices that match one of the requests. */
export function classesFor(host: HostSnapshot, requests: readonly DeviceRequest[]): ReturnType<typeof classCounts> {
  const specs = requests.flatMap((request) => request.specs);
  const matching = host.devices.filter((device) => aliasMatches(specs, device));
  return classCounts(
    matching,
    matching.map((device) => obstacleOf(host, device, null)),
  );
}

/** How many devices of each class there are and what became of them, in the order of ids, type and node; at most 32 classes. */
export function classCounts(
  devices: readonly SnapshotDevice[],
  obstacles: readonly (Obstacle | null)[],
): readonly ClassCounts[] {
  const classes = new Map<string, ClassCounts>();
  for (const [at, device] of devices.entries()) {
    const key = [device.vendorId, device.productId, device.deviceType, nodeKey(device.numaNode)].join(' ');
    const counts = classes.get(key) ?? noneOf(device);
    classes.set(key, counts);
    const obstacle = obstacles[at] ?? null;
    counts.total++;
    if (obstacle === null) counts.free++;
    else if (obstacle.kind === 'held') counts.held[device.status] = (counts.held[device.status] ?? 0) + 1;
    else if (obstacle.kind === 'reserved') addKept(counts);
    else counts[COUNTED_AS[obstacle.kind]]++;
  }
  const inOrder = [...classes].sort(([a], [b]) => (a < b ? -1 : 1));
  return inOrder.slice(0, CLASSES_KEPT).map(([, counts]) => counts);
}

function addKept(counts: ClassCounts): void {
  counts.kept_by_reservation = (counts.kept_by_reservation ?? 0) + 1;
}

/** Sorts by number, the unknown node last. */
function nodeKey(node: number | null): string {
  return node === null ? '~' : String(node).padStart(4, '0');
}

function noneOf({ vendorId, productId, deviceType, numaNode }: SnapshotDevice): ClassCounts {
  return {
    ...{ vendor_id: vendorId, product_id: productId, device_type: deviceType, numa_node: numaNode },
    ...{ total: 0, free: 0, in_use: 0, held: {}, blocked_by_relative: 0, blocked_by_iommu_group: 0 },
    ...{ not_whole: 0, missing: 0 },
  };
}

/** `a, b and c`, each once; beyond five only how many more. */
export function listed(all: readonly string[]): string {
  const names = [...new Set(all)];
  const shown = names.slice(0, NAMED_MAX);
  const more = names.length - shown.length;
  if (more > 0) return `${shown.join(', ')} and ${more} more`;
  return shown.length < 2 ? (shown[0] ?? '') : `${shown.slice(0, -1).join(', ')} and ${shown.at(-1)}`;
}
