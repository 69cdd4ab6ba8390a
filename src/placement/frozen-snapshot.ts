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
 * A host as plain JSON, in two parts: facts are large and rarely change, the state is small and changes with every claim.
 * Every field is in one of them: one that is not named here is a fact.
 */
export interface FrozenHost {
  readonly facts: Frozen;
  readonly state: Frozen;
}

/** What claims, heartbeats and operators change. */
const HOST_STATE = [
  'generation',
  'status',
  'enabled',
  'disabledReason',
  'used',
  'servers',
  'failedBuilds',
] as const satisfies readonly (keyof HostSnapshot)[];

const DEVICE_STATE = ['status', 'owner', 'missing', 'sharesUsed'] as const satisfies readonly (keyof SnapshotDevice)[];

type DeviceState = Pick<SnapshotDevice, (typeof DEVICE_STATE)[number]>;

/** The state of most devices: not written down. */
const FREE: DeviceState = { status: 'available', owner: null, missing: false };

/**
 * The host in plain JSON, for {@link thawHost}.
 *
 * @throws BerthError `internal.error` when it holds something that JSON cannot carry
 */
export function freezeHost(host: HostSnapshot): FrozenHost {
  const [state, { devices, ...facts }] = split(host, HOST_STATE);
  const parts = devices.map((device) => split(device, DEVICE_STATE));
  const notFree = parts.flatMap(([own, { address }]) => (isFree(own) ? [] : [[address, own] as const]));
  return {
    facts: freeze({ ...facts, devices: parts.map(([, known]) => known) }, 'host'),
    state: freeze({ ...state, devices: Object.fromEntries(notFree) }, 'host'),
  };
}

function isFree({ status, owner, missing, ...more }: DeviceState): boolean {
  const isPlain = status === FREE.status && owner === FREE.owner && missing === FREE.missing;
  return isPlain && Object.values(more).every((value) => value === undefined);
}

/** Facts that were read back, ready to be joined with many states. */
export type HostFacts = Omit<HostSnapshot, (typeof HOST_STATE)[number] | 'devices'> & {
  readonly devices: readonly Omit<SnapshotDevice, keyof DeviceState>[];
};

type HostState = Pick<HostSnapshot, (typeof HOST_STATE)[number]> & {
  readonly devices: Readonly<Record<string, DeviceState>>;
};

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

/** The named fields, and all others. */
function split<T extends object, K extends keyof T>(whole: T, keys: readonly K[]): [Pick<T, K>, Omit<T, K>] {
  const entries = Object.entries(whole);
  const isNamed = (key: string): boolean => (keys as readonly string[]).includes(key);
  return [
    Object.fromEntries(entries.filter(([key]) => isNamed(key))) as Pick<T, K>,
    Object.fromEntries(entries.filter(([key]) => !isNamed(key))) as Omit<T, K>,
  ];
}

/** `{"$map": [[key, value], …]}` is a Map; an object with such a key of its own is `{"$object": [[key, value], …]}`. */
const MAP = '$map';
const OBJECT = '$object';

/** @param name of the field, for people */
function freeze(value: unknown, name: string): Frozen {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  if (Array.isArray(value)) return value.map((item) => freeze(item, name));
  if (value instanceof Map) return { [MAP]: freezeEntries([...value], name) };
  if (typeof value !== 'object' || !isPlain(value)) {
    throw new BerthError('internal.error', `${name} cannot be kept as JSON: ${Object.prototype.toString.call(value)}`);
  }
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  if (MAP in value || OBJECT in value) return { [OBJECT]: freezeEntries(entries, name) };
  return Object.fromEntries(entries.map(([key, item]) => [key, freeze(item, key)]));
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function freezeEntries(entries: readonly (readonly [unknown, unknown])[], name: string): Frozen {
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
