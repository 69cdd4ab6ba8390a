import { BerthError } from '../errors.js';
import type { HostSnapshot, SnapshotDevice } from './snapshot.js';

/** Plain JSON. */
export type Frozen =
  | null
  | boolean
  | number
  | string
  | readonly Frozen[]
  | {
      readonly [key: string]: Frozen;
    };

/**
 * A host as plain JSON, in parts. The build is large, and the same for all hosts that are built alike (`freezeBuild`). Facts rarely
 * change; the state is small and changes with every claim. Every field is in one of them: of a device one that is not named here
 * belongs to the build, of a host to the facts.
 */
export interface FrozenHost {
  readonly facts: Frozen;
  readonly state: Frozen;
}

/** What claims, heartbeats and operators change. */
type OwnState = Pick<
  HostSnapshot,
  'generation' | 'status' | 'enabled' | 'disabledReason' | 'used' | 'servers' | 'failedBuilds'
>;
type DeviceState = Pick<SnapshotDevice, 'status' | 'owner' | 'missing' | 'sharesUsed' | 'reservation'>;

/** What hosts that are built alike have in common. */
export type HostBuild = Pick<HostSnapshot, 'numaCells' | 'units' | 'groups' | 'topology'> & {
  readonly devices: readonly DeviceBuild[];
};
type DeviceBuild = Omit<SnapshotDevice, 'id' | keyof DeviceState>;

/** The state of most devices: not written down. */
const FREE: DeviceState = { status: 'available', owner: null, missing: false };

/**
 * The host in plain JSON, but for its build; for {@link thawHost}.
 *
 * @throws BerthError `internal.error` when it holds something that JSON cannot carry
 */
export function freezeHost(host: HostSnapshot): FrozenHost {
  const { generation, status, enabled, disabledReason, used, servers, failedBuilds, devices, ...others } = host;
  const own: OwnState = { generation, status, enabled, disabledReason, used, servers, failedBuilds };
  const { numaCells: _cells, units: _units, groups: _groups, topology: _topology, ...facts } = others;
  const notFree = devices.flatMap((device) => {
    const state = stateOf(device);
    return isFree(state) ? [] : [[device.address, state] as const];
  });
  return {
    facts: freeze({ ...facts, devices: devices.map(({ id }) => id) }, 'host'),
    state: freeze({ ...own, devices: Object.fromEntries(notFree) }, 'host'),
  };
}

/**
 * What the host shares with those that are built alike, for {@link thawBuild}.
 *
 * @throws BerthError `internal.error` when it holds something that JSON cannot carry
 */
export function freezeBuild({ numaCells, units, groups, topology, devices }: HostSnapshot): Frozen {
  return freeze({ numaCells, units, groups, topology, devices: devices.map(buildOf) } satisfies HostBuild, 'host');
}

/** Whether the two have the same build because it is made of the very same objects; false: it may be equal all the same. */
export function sharesBuild(a: HostSnapshot, b: HostSnapshot): boolean {
  const isOne =
    a.units === b.units && a.groups === b.groups && a.topology === b.topology && a.numaCells === b.numaCells;
  if (!isOne || a.devices.length !== b.devices.length) return false;
  return a.devices.every((device, at) => {
    const other = b.devices[at] as SnapshotDevice;
    return hasBuildOf(device, other) && hasBuildOf(other, device);
  });
}

/** Fields of a device that are no part of its host's build. */
const OWN = new Set<string>(['id', 'status', 'owner', 'missing', 'sharesUsed', 'reservation'] satisfies (
  'id' | keyof DeviceState
)[]);

function hasBuildOf(device: object, other: object): boolean {
  for (const key in device) {
    if (!OWN.has(key) && (device as Record<string, unknown>)[key] !== (other as Record<string, unknown>)[key])
      return false;
  }
  return true;
}

function stateOf({ status, owner, missing, sharesUsed, reservation }: SnapshotDevice): DeviceState {
  const rare = { ...(sharesUsed !== undefined && { sharesUsed }), ...(reservation && { reservation }) };
  return { status, owner, missing, ...rare };
}

function buildOf(device: SnapshotDevice): DeviceBuild {
  const { id: _id, status: _status, owner: _owner, missing: _missing, sharesUsed: _shares, ...more } = device;
  const { reservation: _reservation, ...build } = more;
  return build;
}

function isFree({ status, owner, missing, sharesUsed, reservation }: DeviceState): boolean {
  const isPlain = status === FREE.status && owner === FREE.owner && missing === FREE.missing;
  return isPlain && sharesUsed === undefined && reservation === undefined;
}

/** Build and facts that were read back, ready to be joined with many states. */
export type HostFacts = Omit<HostSnapshot, keyof OwnState | 'devices'> & {
  readonly devices: readonly Omit<SnapshotDevice, keyof DeviceState>[];
};

type HostState = OwnState & { readonly devices: Readonly<Record<string, DeviceState>> };

/** A build that was frozen, read back from JSON. */
export function thawBuild(build: Frozen): HostBuild {
  return thaw(build) as HostBuild;
}

/** Facts that were frozen, read back from JSON, with the host's build. */
export function thawFacts({ devices, ...build }: HostBuild, facts: Frozen): HostFacts {
  const { devices: ids, ...own } = thaw(facts) as Omit<HostSnapshot, keyof HostBuild> & { devices: readonly string[] };
  return {
    ...own,
    ...build,
    devices: devices.map((device, at) => ({ ...device, id: ids[at] as string })),
  } as HostFacts;
}

/** The host that was frozen. */
export function thawHost(facts: HostFacts, state: Frozen): HostSnapshot {
  const { devices: states, ...own } = thaw(state) as HostState;
  return {
    ...facts,
    ...own,
    devices: facts.devices.map((device) => ({ ...device, ...(states[device.address] ?? FREE) })),
  };
}

/** `{"$map": [[key, value], …]}` is a Map; an object with such a key of its own is `{"$object": [[key, value], …]}`. */
const MAP = '$map';
const OBJECT = '$object';

/** @param name of the field, for people */
function freeze(value: unknown, name: string): Frozen {
  // most of a host is, and is not copied
  if (isPlainJson(value)) return value;
  if (Array.isArray(value)) return value.map((item) => freeze(item, name));
  if (value instanceof Map) return { [MAP]: freezeEntries([...value], name) };
  if (typeof value !== 'object' || value === null || !isPlainObject(value)) {
    throw new BerthError('internal.error', `${name} cannot be kept as JSON: ${Object.prototype.toString.call(value)}`);
  }
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  if (entries.some(([key]) => isOurs(key))) return { [OBJECT]: freezeEntries(entries, name) };
  return Object.fromEntries(entries.map(([key, item]) => [key, freeze(item, key)]));
}

/** Whether JSON carries the value as it is, but for fields that are undefined. */
function isPlainJson(value: unknown): value is Frozen {
  if (typeof value === 'string' || typeof value === 'boolean' || value === null) return true;
  if (typeof value !== 'object') return typeof value === 'number' && Number.isFinite(value);
  if (Array.isArray(value)) return value.every(isPlainJson);
  if (!isPlainObject(value)) return false;
  for (const key of Object.keys(value)) {
    const item: unknown = (value as Record<string, unknown>)[key];
    if (isOurs(key) || (item !== undefined && !isPlainJson(item))) return false;
  }
  return true;
}

function isPlainObject(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function isOurs(key: string): boolean {
  return key === MAP || key === OBJECT;
}

function freezeEntries(entries: readonly (readonly unknown[])[], name: string): Frozen {
  return entries.map((pair) => pair.map((part) => freeze(part, name)));
}

function thaw(value: Frozen): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (isList(value)) return value.map(thaw);
  if (MAP in value) return new Map(thaw(value[MAP] as Frozen) as [unknown, unknown][]);
  if (OBJECT in value) return Object.fromEntries(thaw(value[OBJECT] as Frozen) as [string, unknown][]);
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, thaw(item)]));
}

function isList(value: object): value is readonly Frozen[] {
  return Array.isArray(value);
}
