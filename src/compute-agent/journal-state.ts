import { BerthError, messageOf } from '../errors.js';
import { normalizeAddress, type Address } from '../pci/address.js';
import { isNetdevName, type NetdevRecord } from './netdev/netdev-record.js';

/** A device as it was before the agent touched it. */
export interface DeviceRecord {
  readonly address: Address;
  readonly vendorId: string;
  readonly productId: string;
  /** null: it had none. The driver that the claim wants: another tool had bound it, and it stays so. */
  readonly originalDriver: string | null;
  readonly originalNetdevs: readonly string[];
  /** What an operator had written to `driver_override`; null: nothing. */
  readonly originalOverride: string | null;
  /** Of a PF: how many VFs it had when the agent removed them, at least 1; absent: the agent removed none. */
  readonly originalVfs?: number;
  /** The module of the driver that it had, where its name is another one. */
  readonly originalModule?: string;
  /** false: bound by somebody else before, and neither bound nor given back. Absent: the agent binds it. */
  readonly managed?: boolean;
  /** The driver that it is bound to; absent: vfio-pci. */
  readonly vfioDriver?: string;
  /** It stays with its own driver, and this is the interface that a container may take. Absent: it is handed over by vfio. */
  readonly netdev?: NetdevRecord;
}

/** What the claim waits for, until a program lets go of the device. */
export interface BlockedStep {
  readonly address: Address;
  readonly step: string;
  /** Milliseconds since 1970. */
  readonly since: number;
}

/** `preparing` → `prepared` → `releasing`, or straight from `preparing` to `releasing` when a step failed. */
export interface ClaimRecord {
  readonly claimId: string;
  readonly serverId: string;
  readonly state: 'preparing' | 'prepared' | 'releasing';
  readonly devices: readonly DeviceRecord[];
  /** Absent: nothing is known to block it. */
  readonly blocked?: BlockedStep;
}

export interface JournalState {
  readonly version: 1;
  /** Of the agent's last life. */
  readonly epoch: number;
  readonly claims: readonly ClaimRecord[];
  /** Ids of claims that are never prepared again, oldest first. */
  readonly released: readonly string[];
  /** The numbers of these claims, one for each; 0: its release did not say. */
  readonly releasedNumbers: readonly number[];
  /** The highest number of a claim that is no longer among the released: no claim up to it is begun any more. */
  readonly forgottenUpTo: number;
  /** Of this journal since it was begun; another one after it was lost. null: not made up yet. */
  readonly incarnation: string | null;
}

export const EMPTY_JOURNAL: JournalState = {
  ...{ version: 1, epoch: 0, claims: [], released: [], releasedNumbers: [], forgottenUpTo: 0, incarnation: null },
};

/** NumVFs has 16 bits (PCIe base specification, SR-IOV extended capability). */
const VFS_MAX = 65_535;

/** Ethernet's has 6 bytes, InfiniBand's 20. */
const HARDWARE_ADDRESS = /^[0-9a-f]{2}(?::[0-9a-f]{2}){0,31}$/;

const STATES: readonly unknown[] = ['preparing', 'prepared', 'releasing'] satisfies ClaimRecord['state'][];

/** The journal in a file's text, or what is wrong with it. */
export function readJournal(
  text: string,
): { readonly state: JournalState; readonly problem: null } | { readonly state: null; readonly problem: string } {
  try {
    return { state: journalOf(JSON.parse(text)), problem: null };
  } catch (error) {
    return { state: null, problem: messageOf(error) };
  }
}

function journalOf(value: unknown): JournalState {
  const { version, epoch, claims, released, ...later } = objectOf(value, 'journal');
  if (version !== 1) throw broken('version is not 1');
  if (!Number.isSafeInteger(epoch) || (epoch as number) < 0) throw broken('epoch is not a number');
  const ids = listOf(released, 'released').map((id) => textOf(id, 'released'));
  return {
    version,
    epoch: epoch as number,
    claims: listOf(claims, 'claims').map(claimOf),
    released: ids,
    ...fencesOf(later, ids.length),
  };
}

/** Agents up to 0.1 write none of it, and numbers do not fit any more when one of them has written in between. */
function fencesOf(
  { releasedNumbers = [], forgottenUpTo = 0, incarnation = null }: Record<string, unknown>,
  count: number,
) {
  const numbers = listOf(releasedNumbers, 'releasedNumbers').map((number) => numberOf(number, 'releasedNumbers'));
  return {
    releasedNumbers: numbers.length === count ? numbers : Array.from({ length: count }, () => 0),
    forgottenUpTo: Math.max(
      numberOf(forgottenUpTo, 'forgottenUpTo'),
      ...(numbers.length === count ? [] : [0, ...numbers]),
    ),
    incarnation: incarnation === null ? null : textOf(incarnation, 'incarnation'),
  };
}

function claimOf(value: unknown): ClaimRecord {
  const { claimId, serverId, state, devices, blocked } = objectOf(value, 'claim');
  if (!STATES.includes(state)) throw broken(`claim state ${JSON.stringify(state)} is not known`);
  return {
    claimId: textOf(claimId, 'claimId'),
    serverId: textOf(serverId, 'serverId'),
    state: state as ClaimRecord['state'],
    devices: listOf(devices, 'devices').map(deviceOf),
    ...(blocked === undefined ? {} : { blocked: blockedOf(blocked) }),
  };
}

function blockedOf(value: unknown): BlockedStep {
  const { address, step, since } = objectOf(value, 'blocked');
  return {
    address: normalizeAddress(textOf(address, 'address')),
    step: textOf(step, 'step'),
    since: numberOf(since, 'since'),
  };
}

function deviceOf(value: unknown): DeviceRecord {
  const { address, vendorId, productId, originalDriver, originalNetdevs, originalOverride, ...later } = objectOf(
    value,
    'device',
  );
  return {
    // An address becomes part of a path to write to.
    address: normalizeAddress(textOf(address, 'address')),
    vendorId: textOf(vendorId, 'vendorId'),
    productId: textOf(productId, 'productId'),
    originalDriver: originalDriver === null ? null : textOf(originalDriver, 'originalDriver'),
    originalNetdevs: listOf(originalNetdevs, 'originalNetdevs').map((name) => textOf(name, 'originalNetdevs')),
    originalOverride: originalOverride === null ? null : textOf(originalOverride, 'originalOverride'),
    ...laterFieldsOf(later),
  };
}

/** What not every version has written. */
function laterFieldsOf({ originalVfs, originalModule, managed, vfioDriver, netdev }: Record<string, unknown>) {
  if (managed !== undefined && typeof managed !== 'boolean') throw broken('managed is neither true nor false');
  return {
    ...(originalVfs === undefined ? {} : { originalVfs: vfsOf(originalVfs) }),
    ...(originalModule === undefined ? {} : { originalModule: textOf(originalModule, 'originalModule') }),
    ...(managed === undefined ? {} : { managed }),
    ...(vfioDriver === undefined ? {} : { vfioDriver: textOf(vfioDriver, 'vfioDriver') }),
    ...(netdev === undefined ? {} : { netdev: netdevOf(netdev) }),
  };
}

/** Names and addresses become words for `ip`. */
function netdevOf(value: unknown): NetdevRecord {
  const { name, mac, mtu, isUp, parent } = objectOf(value, 'netdev');
  if (!isNetdevName(name)) throw broken('netdev.name is not the name of an interface');
  const address = mac === null ? null : textOf(mac, 'netdev.mac');
  if (address !== null && !HARDWARE_ADDRESS.test(address)) throw broken('netdev.mac is not a hardware address');
  return {
    name,
    mac: address,
    mtu: mtu === null ? null : numberOf(mtu, 'netdev.mtu'),
    isUp: isUp === true,
    parent: parent === null ? null : textOf(parent, 'netdev.parent'),
  };
}

function vfsOf(value: unknown): number {
  if (Number.isInteger(value) && (value as number) >= 1 && (value as number) <= VFS_MAX) return value as number;
  throw broken(`originalVfs is not a number from 1 to ${VFS_MAX}`);
}

function objectOf(value: unknown, what: string): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw broken(`${what} is not an object`);
}

function listOf(value: unknown, what: string): unknown[] {
  if (Array.isArray(value)) return value;
  throw broken(`${what} is not a list`);
}

function numberOf(value: unknown, what: string): number {
  if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number;
  throw broken(`${what} is not a number`);
}

function textOf(value: unknown, what: string): string {
  if (typeof value === 'string') return value;
  throw broken(`${what} is not a text`);
}

function broken(problem: string): BerthError {
  return new BerthError('internal.error', `the journal is damaged: ${problem}`);
}
