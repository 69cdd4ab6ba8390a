import { BerthError } from '../errors.js';
import { compareAddresses, type Address } from './address.js';
import type { DeviceType } from './device.js';

/**
 * The life of a device (Nova's states and rules: `nova/objects/pci_device.py`).
 *
 *                  claim                 allocate
 *   ┌───────────┐ ─────────► ┌─────────┐ ─────────► ┌───────────┐
 *   │ available │            │ claimed │            │ allocated │
 *   └───────────┘ ◄───────── └─────────┘            └───────────┘
 *     │  ▲  ▲  ▲     free                    free         │
 *     │  │  │  └───────────────────────────────────────────┘
 *     │  │  └── a relative was freed ──┬───────────────┐
 *     │  │                             │               │
 *     │  │   a relative is claimed  ┌─────────────┐  ┌─────────────┐
 *     │  │  ───────────────────────►│ unclaimable │─►│ unavailable │   a relative is allocated
 *     │  │                          └─────────────┘  └─────────────┘
 *     │  └ return ─┐                       │ remove         │ remove
 *     │ remove   ┌─────────┐ ◄─────────────┴────────────────┘
 *     └────────► │ removed │
 *                └─────────┘
 *
 * A PF's relatives are its VFs, a VF's relative is its PF. Berth mends one thing: a device that is `removed` is not made
 * available by a relative's release.
 */
export const DEVICE_STATUSES = ['available', 'claimed', 'allocated', 'unclaimable', 'unavailable', 'removed'] as const;
export type DeviceStatus = (typeof DEVICE_STATUSES)[number];

export type DeviceEvent = 'claim' | 'allocate' | 'free' | 'remove' | 'return';

/** What the table needs to know of a device. */
export interface DeviceState {
  readonly address: Address;
  readonly deviceType: DeviceType;
  readonly parentAddress: Address | null;
  readonly status: DeviceStatus;
  /** Id of the server that owns it, null when nobody does. */
  readonly ownerId: string | null;
}

interface Rule {
  /** Statuses from which the event is allowed. */
  readonly from: readonly DeviceStatus[];
  readonly to: DeviceStatus;
  /** Statuses that the PF's VFs may have; null: they do not matter. */
  readonly children: readonly DeviceStatus[] | null;
  /** Statuses that the VF's PF may have. */
  readonly parent: readonly DeviceStatus[] | null;
  /** What free relatives become. */
  readonly relatives: DeviceStatus | null;
}

export const DEVICE_TABLE: Readonly<Record<DeviceEvent, Rule>> = {
  claim: {
    from: ['available'],
    to: 'claimed',
    children: ['available', 'unclaimable', 'unavailable', 'removed'],
    parent: ['available', 'unclaimable', 'unavailable', 'removed'],
    relatives: 'unclaimable',
  },
  allocate: {
    from: ['available', 'claimed'],
    to: 'allocated',
    children: ['available', 'unclaimable', 'unavailable', 'removed'],
    parent: ['available', 'unclaimable', 'unavailable', 'removed'],
    relatives: 'unavailable',
  },
  free: { from: ['claimed', 'allocated'], to: 'available', children: null, parent: null, relatives: 'available' },
  remove: {
    from: ['available', 'unclaimable', 'unavailable'],
    to: 'removed',
    children: null,
    parent: null,
    relatives: null,
  },
  return: { from: ['removed'], to: 'available', children: null, parent: null, relatives: null },
};

/**
 * Applies one event to one device of a host and to its relatives.
 *
 * @param devices all devices of the host by address; not changed
 * @param ownerId the server; for `free`, null skips the owner's check
 * @returns the devices that changed, the device itself first, then relatives in address order
 * @throws BerthError `device.unknown`, `device.invalid_status`, `device.invalid_owner`, `device.relative_in_use`;
 *   then nothing has changed
 */
export function transition(
  devices: ReadonlyMap<Address, DeviceState>,
  event: DeviceEvent,
  address: Address,
  ownerId: string | null,
): DeviceState[] {
  const device = devices.get(address);
  if (!device) throw new BerthError('device.unknown', `No device at ${address}`);
  const rule = DEVICE_TABLE[event];
  assertStatus(device, event, rule);
  assertOwner(device, event, ownerId);
  const children = childrenOf(devices, device);
  const parent = parentOf(devices, device);
  assertRelatives(device, event, rule.children, children);
  assertRelatives(device, event, rule.parent, parent ? [parent] : []);

  const owned = event === 'claim' || event === 'allocate';
  const changed: DeviceState[] = [{ ...device, status: rule.to, ownerId: owned ? ownerId : null }];
  if (rule.relatives === null)
    return event === 'return' ? returned(changed[0] as DeviceState, children, parent) : changed;
  for (const child of children) changed.push(...relativeAfter(child, rule.relatives));
  if (parent && (event !== 'free' || siblingsAreFree(devices, device))) {
    changed.push(...relativeAfter(parent, rule.relatives));
  }
  return changed;
}

function assertStatus(device: DeviceState, event: DeviceEvent, rule: Rule): void {
  if (rule.from.includes(device.status)) return;
  throw new BerthError(
    'device.invalid_status',
    `Device ${device.address} is ${device.status}; to ${event} it, it has to be ${rule.from.join(' or ')}`,
    { details: { address: device.address, status: device.status, event } },
  );
}

function assertOwner(device: DeviceState, event: DeviceEvent, ownerId: string | null): void {
  if (device.ownerId === null || device.ownerId === ownerId || (event === 'free' && ownerId === null)) return;
  throw new BerthError('device.invalid_owner', `Device ${device.address} belongs to server ${device.ownerId}`, {
    details: { address: device.address, owner_id: device.ownerId },
  });
}

function assertRelatives(
  device: DeviceState,
  event: DeviceEvent,
  allowed: readonly DeviceStatus[] | null,
  relatives: readonly DeviceState[],
): void {
  const blocker = allowed && relatives.find((relative) => !allowed.includes(relative.status));
  if (!blocker) return;
  const kin = device.deviceType === 'type-PF' ? 'its VF' : 'its PF';
  throw new BerthError(
    'device.relative_in_use',
    `Cannot ${event} ${device.address}: ${kin} ${blocker.address} is ${blocker.status}`,
    { details: { address: device.address, relative: blocker.address, owner_id: blocker.ownerId } },
  );
}

function childrenOf(devices: ReadonlyMap<Address, DeviceState>, device: DeviceState): DeviceState[] {
  if (device.deviceType !== 'type-PF') return [];
  return [...devices.values()]
    .filter((other) => other.parentAddress === device.address)
    .sort((a, b) => compareAddresses(a.address, b.address));
}

function parentOf(devices: ReadonlyMap<Address, DeviceState>, device: DeviceState): DeviceState | undefined {
  return device.parentAddress === null ? undefined : devices.get(device.parentAddress);
}

function siblingsAreFree(devices: ReadonlyMap<Address, DeviceState>, device: DeviceState): boolean {
  return [...devices.values()]
    .filter((other) => other.parentAddress === device.parentAddress && other.address !== device.address)
    .every((sibling) => sibling.status === 'available' || sibling.status === 'removed');
}

/** A relative that is free follows; one that somebody owns, or that is gone, keeps its status. */
function relativeAfter(relative: DeviceState, status: DeviceStatus): DeviceState[] {
  const free: readonly DeviceStatus[] = ['available', 'unclaimable', 'unavailable'];
  // claimed → unclaimable must not weaken what an allocation has made unavailable
  const weaker = status === 'unclaimable' && relative.status === 'unavailable';
  if (!free.includes(relative.status) || weaker || relative.status === status) return [];
  return [{ ...relative, status }];
}

/** A device that comes back is as free as its relatives let it be. */
function returned(
  device: DeviceState,
  children: readonly DeviceState[],
  parent: DeviceState | undefined,
): DeviceState[] {
  const relatives = parent ? [parent, ...children] : children;
  const status = relatives.some((relative) => relative.status === 'allocated')
    ? 'unavailable'
    : relatives.some((relative) => relative.status === 'claimed')
      ? 'unclaimable'
      : 'available';
  return [{ ...device, status }];
}
