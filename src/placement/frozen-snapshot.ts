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
 * A host as plain JSON, in two parts: facts are large and rarely change, the state is small and changes with every
 * claim. Every field is in one of them: one that is not named here is a fact.
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

/** The state of most devices: not written down. */
const FREE: DeviceState = { status: 'available', owner: null, missing: false };

/**
 * The host in plain JSON, for {@link thawHost}.
 *
 * @throws BerthError `internal.error` when it holds something that JSON cannot carry
 */
export function freezeHost(host: HostSnapshot): FrozenHost {
  const { generation, status, enabled, disabledReason, used, servers, failedBuilds, devices, ...facts } = host;
  const own: OwnState = { generation, status, enabled, disabledReason, used, servers, failedBuilds };
  const parts = devices.map(splitDevice);
  const notFree = parts.flatMap(([state, { address }]) => (isFree(state) ? [] : [[address, state] as const]));
  return {
    facts: freeze({ ...facts, devices: parts.map(([, known]) => known) }, 'host'),
    state: freeze({ ...own, devices: Object.fromEntries(notFree) }, 'host'),
  };
}

function splitDevice(device: SnapshotDevice): [DeviceState, DeviceFacts] {
  const { status, owner, missing, sharesUsed, reservation, ...facts } = device;
  const rare = { ...(sharesUsed !== undefined && { sharesUsed }), ...(reservation && { reservation }) };
  return [{ status, owner, missing, ...rare }, facts];
}

function isFree({ status, owner, missing, sharesUsed, reservation }: DeviceState): boolean {
  const isPlain = status === FREE.status && owner === FREE.owner && missing === FREE.missing;
  return isPlain && sharesUsed === undefined && reservation === undefined;
}

type DeviceFacts = Omit<SnapshotDevice, keyof DeviceState>;

/** Facts that were read back, ready to be joined with many states. */
export type HostFacts = Omit<HostSnapshot, keyof OwnState | 'devices'> & { readonly devices: readonly DeviceFacts[] };

type HostState = OwnState & { readonly devices: Readonly<Record<string, DeviceState>> };

/** Facts that were frozen, read back from JSON. */
export function thawFacts(facts: Frozen): HostFacts {
  return thaw(facts) as HostFacts;
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
