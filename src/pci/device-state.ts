import { BerthError } from '../errors.js';
import { compareAddresses, type Address } from './address.js';
import { isVirtualFunction, type DeviceType } from './device.js';
import type { Dialect } from './dialect.js';

/**
 * The life of a device. In use (Nova's states, `nova/objects/pci_device.py`):
 *
 *   ┌─ free ────────┐   claim   ┌─────────┐  allocate  ┌───────────┐
 *   │   available ──┼──────────►│ claimed │───────────►│ allocated │
 *   │        │      │           └─────────┘            └───────────┘
 *   │        └──────┼─────────────── │ ──── allocate ────► │  ▲
 *   │   unclaimable │◄─── free ──────┴───────── free ──────┘
 *   │   unavailable │
 *   └───────────────┘
 *
 * A free device is `unavailable` while a relative is allocated, `unclaimable` while one is claimed or held, else
 * `available`. A PF's relatives are its VFs, a VF's relative is its PF.
 *
 * Gone, and held (ours):
 *
 *   free ───────────────────────────── remove ─────► removed ───── return ────► free
 *                                                       └───────── delete ────► deleted
 *   available ──────────────────────── reserve ────► reserved ──── unreserve ─► free
 *   claimed, allocated ─────────────── clean ──────► cleaning ──── cleaned ───► free
 *   free, reserved, cleaning ───────── fail ───────► failed ────── repair ────► free
 *   free, reserved, cleaning, failed ─ quarantine ─► quarantined ─ repair ────► free
 *
 * A held device blocks its relatives: VFs are the silicon of their PF, and a PF is not whole without its VFs. A device
 * in use keeps its status when it fails; whoever frees it fails it then. A held device that is not reported any more
 * stays held, so that pulling a card and putting it back lifts no quarantine.
 *
 * In the `nova` dialect the four events of Nova do what Nova does, to the letter: see {@link NOVA_TABLE}.
 */
export const DEVICE_STATUSES = [
  'available',
  'claimed',
  'allocated',
  'unclaimable',
  'unavailable',
  'reserved',
  'cleaning',
  'failed',
  'quarantined',
  'removed',
] as const;
/** A `deleted` device has no row in the ledger any more. */
export type DeviceStatus = (typeof DEVICE_STATUSES)[number] | 'deleted';

export type DeviceEvent =
  | 'claim'
  | 'allocate'
  | 'free'
  | 'remove'
  | 'return'
  | 'delete'
  | 'reserve'
  | 'unreserve'
  | 'clean'
  | 'cleaned'
  | 'fail'
  | 'quarantine'
  | 'repair';

/** What the table needs to know of a device. */
export interface DeviceState {
  readonly address: Address;
  readonly deviceType: DeviceType;
  readonly parentAddress: Address | null;
  readonly status: DeviceStatus;
  /** Id of the server that owns it, null when nobody does. */
  readonly ownerId: string | null;
}

type Statuses = readonly DeviceStatus[];

const FREE: Statuses = ['available', 'unclaimable', 'unavailable'];
const IN_USE: Statuses = ['claimed', 'allocated'];
const HELD: Statuses = ['reserved', 'cleaning', 'failed', 'quarantined'];
const GONE: Statuses = ['removed', 'deleted'];
const ANY: Statuses = [...FREE, ...IN_USE, ...HELD, ...GONE];

interface Rule {
  /** Statuses from which the event is allowed. */
  readonly from: Statuses;
  /** `available` means free: as free as the relatives let it be. */
  readonly to: DeviceStatus;
  /** Statuses that the PF's VFs may have. */
  readonly children: Statuses;
  /** Statuses that the VF's PF may have. */
  readonly parent: Statuses;
  /** What Nova makes of the relatives; `kept`: nothing. Without it they become what {@link settled} says. */
  readonly relatives?: NovaEffect | 'kept';
  /** A device that is not in use is taken although it has an owner. */
  readonly takesStrays?: true;
}

/** Every VF gets the status `to`; the PF if it has one of `parentFrom` and all its other VFs have one of `siblings`. */
interface NovaEffect {
  readonly to: DeviceStatus;
  readonly parentFrom: Statuses;
  readonly siblings: Statuses;
}

const STRICT_TABLE: Readonly<Record<DeviceEvent, Rule>> = {
  claim: { from: ['available'], to: 'claimed', children: [...FREE, ...GONE], parent: [...FREE, ...GONE] },
  // a relative that came to be held after the claim does not stop the server that has the device already
  allocate: {
    from: ['available', 'claimed'],
    to: 'allocated',
    children: [...FREE, ...GONE, ...HELD],
    parent: [...FREE, ...GONE, ...HELD],
  },
  free: { from: IN_USE, to: 'available', children: ANY, parent: ANY },
  remove: { from: FREE, to: 'removed', children: ANY, parent: ANY },
  return: { from: ['removed'], to: 'available', children: ANY, parent: ANY },
  delete: { from: ['removed'], to: 'deleted', children: ANY, parent: ANY },
  reserve: { from: ['available'], to: 'reserved', children: ANY, parent: ANY },
  unreserve: { from: ['reserved'], to: 'available', children: ANY, parent: ANY },
  clean: { from: IN_USE, to: 'cleaning', children: ANY, parent: ANY },
  cleaned: { from: ['cleaning'], to: 'available', children: ANY, parent: ANY },
  fail: { from: [...FREE, 'reserved', 'cleaning'], to: 'failed', children: ANY, parent: ANY },
  quarantine: { from: [...FREE, 'reserved', 'cleaning', 'failed'], to: 'quarantined', children: ANY, parent: ANY },
  repair: { from: ['failed', 'quarantined'], to: 'available', children: ANY, parent: ANY },
};

/**
 * Where Nova differs: a removed relative blocks a claim, a stuck VF a direct allocation; an `unavailable` VF is weakened
 * to `unclaimable` by a claim of its PF; a free makes every VF, and the PF after the last VF, available, whatever they
 * were: a removed device comes back; a removed sibling keeps the PF blocked; relatives keep the status that they have
 * got until the next of these events; a stray owner is overwritten.
 */
const NOVA_TABLE: Readonly<Record<DeviceEvent, Rule>> = {
  ...STRICT_TABLE,
  claim: {
    ...STRICT_TABLE.claim,
    children: FREE,
    parent: FREE,
    relatives: { to: 'unclaimable', parentFrom: ['available'], siblings: ANY },
    takesStrays: true,
  },
  allocate: {
    ...STRICT_TABLE.allocate,
    children: ['available', 'unclaimable'],
    parent: FREE,
    relatives: { to: 'unavailable', parentFrom: ANY, siblings: ANY },
    takesStrays: true,
  },
  free: { ...STRICT_TABLE.free, relatives: { to: 'available', parentFrom: ANY, siblings: ['available'] } },
  remove: { ...STRICT_TABLE.remove, relatives: 'kept' },
};

const TABLES: Readonly<Record<Dialect, Readonly<Record<DeviceEvent, Rule>>>> = {
  strict: STRICT_TABLE,
  nova: NOVA_TABLE,
};

type Devices = ReadonlyMap<Address, DeviceState>;

/**
 * Applies one event to one device of a host and to its relatives.
 *
 * @param devices all devices of the host by address; not changed
 * @param ownerId the server that claims, allocates, frees or cleans; for the last two, null skips the owner's check.
 *   null for all other events
 * @returns the devices that the event set, the device itself first, then its relatives in address order
 * @throws BerthError `device.unknown`, `device.invalid_status`, `device.invalid_owner`, or `device.relative_in_use`, whose
 *   details name the `relative` and its `kin`, PF or VF; then nothing has changed
 */
export function transition(
  devices: Devices,
  event: DeviceEvent,
  address: Address,
  ownerId: string | null,
  dialect: Dialect = 'strict',
): DeviceState[] {
  const device = devices.get(address);
  if (!device) throw new BerthError('device.unknown', `No device at ${address}`);
  const rule = TABLES[dialect][event];
  assertStatus(device, event, rule);
  assertOwner(device, event, rule, ownerId);
  assertRelatives(device, event, 'VF', rule.children, childrenOf(devices, device));
  assertRelatives(device, event, 'PF', rule.parent, parentOf(devices, device));

  const after = { ...device, status: rule.to, ownerId: IN_USE.includes(rule.to) ? ownerId : null };
  if (rule.relatives) return [after, ...setByNova(devices, device, rule.relatives)];
  const world = new Map(devices).set(address, after);
  const relatives = relativesOf(devices, device);
  const changed = relatives.map((relative) => settled(world, relative)).filter((state) => !relatives.includes(state));
  return [settled(world, after), ...changed];
}

/** Whether a server has a device in this status. */
export function isInUse(status: DeviceStatus): boolean {
  return IN_USE.includes(status);
}

/** Whether the ledger keeps a device in this status although it is not reported any more and nobody uses it. */
export function isHeld(status: DeviceStatus | undefined): boolean {
  return HELD.some((held) => held === status);
}

function assertStatus(device: DeviceState, event: DeviceEvent, rule: Rule): void {
  if (rule.from.includes(device.status)) return;
  throw new BerthError(
    'device.invalid_status',
    `Device ${device.address} is ${device.status}; to ${event} it, it has to be ${rule.from.join(' or ')}`,
    { details: { address: device.address, status: device.status, event } },
  );
}

/** A device in use is its owner's, any other is nobody's; and somebody has to be the owner of one that is taken. */
function assertOwner(device: DeviceState, event: DeviceEvent, rule: Rule, ownerId: string | null): void {
  const details = { address: device.address, owner_id: device.ownerId };
  if (IN_USE.includes(rule.to) && ownerId === null) {
    throw new BerthError('device.invalid_owner', `To ${event} ${device.address}, name the server`, { details });
  }
  const inUse = IN_USE.includes(device.status);
  const unasked = inUse ? ownerId === null : rule.takesStrays;
  if (unasked || device.ownerId === (inUse ? ownerId : null)) return;
  const owner = device.ownerId === null ? 'nobody' : `server ${device.ownerId}`;
  throw new BerthError('device.invalid_owner', `Device ${device.address} belongs to ${owner}`, { details });
}

function assertRelatives(
  device: DeviceState,
  event: DeviceEvent,
  kin: 'PF' | 'VF',
  allowed: Statuses,
  relatives: readonly DeviceState[],
): void {
  const blocker = relatives.find((relative) => !allowed.includes(relative.status));
  if (!blocker) return;
  throw new BerthError(
    'device.relative_in_use',
    `Cannot ${event} ${device.address}: its ${kin} ${blocker.address} is ${blocker.status}`,
    { details: { address: device.address, relative: blocker.address, kin, owner_id: blocker.ownerId } },
  );
}

/** A free device as free as its relatives let it be; any other as it is, the same object. */
export function settled(devices: Devices, device: DeviceState): DeviceState {
  if (!FREE.includes(device.status)) return device;
  const around = relativesOf(devices, device).map((relative) => relative.status);
  const status = around.includes('allocated')
    ? 'unavailable'
    : around.some((other) => other === 'claimed' || HELD.includes(other))
      ? 'unclaimable'
      : 'available';
  return status === device.status ? device : { ...device, status };
}

function setByNova(devices: Devices, device: DeviceState, effect: NovaEffect | 'kept'): DeviceState[] {
  if (effect === 'kept') return [];
  const parents = parentOf(devices, device).filter(
    (parent) => effect.parentFrom.includes(parent.status) && siblingsAre(effect.siblings, devices, parent, device),
  );
  return [...parents, ...childrenOf(devices, device)].map((relative) => ({ ...relative, status: effect.to }));
}

function siblingsAre(allowed: Statuses, devices: Devices, parent: DeviceState, device: DeviceState): boolean {
  return childrenOf(devices, parent)
    .filter((sibling) => sibling.address !== device.address)
    .every((sibling) => allowed.includes(sibling.status));
}

/** In address order: a PF comes before its VFs. */
function relativesOf(devices: Devices, device: DeviceState): DeviceState[] {
  return [...parentOf(devices, device), ...childrenOf(devices, device)];
}

/** A PF's VFs, in address order. */
function childrenOf(devices: Devices, device: DeviceState): DeviceState[] {
  if (isVirtualFunction(device)) return []; // saves looking through the whole host for each of many VFs
  return [...devices.values()]
    .filter((other) => other.parentAddress === device.address)
    .sort((a, b) => compareAddresses(a.address, b.address));
}

/** A VF's PF, if the host has it. */
function parentOf(devices: Devices, device: DeviceState): DeviceState[] {
  const parent = devices.get(device.parentAddress ?? '');
  return parent ? [parent] : [];
}
