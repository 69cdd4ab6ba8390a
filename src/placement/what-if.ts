import { BerthError } from '../errors.js';
import type { Address } from '../pci/address.js';
import { isHeld, transition, type DeviceEvent, type DeviceState } from '../pci/device-state.js';
import { withoutServer } from './apply-placement.js';
import { fillUp, type Copies } from './capacity.js';
import { Fork } from './fork.js';
import type { PlacementRequest } from './request.js';
import type { HostSnapshot, Snapshot, SnapshotDevice } from './snapshot.js';
import type { Steps } from './steps.js';

/** Hosts are named by name or id; devices by their host and address, so that people can. */
export type Change =
  /** New hosts that are like one there is: same devices, all of them free, and nobody there. */
  | { readonly kind: 'add_hosts'; readonly like: string; readonly count: number }
  | { readonly kind: 'lose_host'; readonly host: string }
  /** It is up, enabled, and nothing is said against it. */
  | { readonly kind: 'enable_host'; readonly host: string }
  /** It gives back all that it has. */
  | { readonly kind: 'free_server'; readonly serverId: string }
  | { readonly kind: 'hold_device' | 'lift_hold' | 'lose_device'; readonly host: string; readonly address: Address }
  /** The host as another whitelist would have it. */
  | { readonly kind: 'replace_host'; readonly host: HostSnapshot };

export interface Asked {
  readonly request: PlacementRequest;
  readonly copies: number;
}

/** What becomes of one request, now and then. */
export interface Difference {
  readonly before: Copies;
  readonly after: Copies;
}

/**
 * What would become of requests if the world were another. The requests are decided in order, in both worlds; each sees
 * what those before it took. Nothing is kept.
 *
 * @param then the other world: see {@link changedFork}. It is used up
 */
export function* whatIf(snapshot: Snapshot, then: Fork, asked: readonly Asked[]): Steps<readonly Difference[]> {
  const before = yield* decideAll(new Fork(snapshot), asked);
  const after = yield* decideAll(then, asked);
  return before.map((copies, at) => ({ before: copies, after: after[at] as Copies }));
}

function* decideAll(fork: Fork, asked: readonly Asked[]): Steps<Copies[]> {
  const all: Copies[] = [];
  for (const [at, { request, copies }] of asked.entries()) {
    all.push(yield* fillUp(fork, request, copies, `request ${at + 1} copy`));
  }
  return all;
}

/**
 * The world after the changes, in their order.
 *
 * @throws BerthError `host.unknown`, `server.unknown`, `device.unknown`, `device.invalid_status`; `details.change` is the
 *   index of the change, `details.key` what of it is at fault
 */
export function changedFork(snapshot: Snapshot, changes: readonly Change[]): Fork {
  const fork = new Fork(snapshot);
  for (const [at, change] of changes.entries()) {
    try {
      apply(fork, change, at);
    } catch (error) {
      if (!(error instanceof BerthError)) throw error;
      const details = { key: 'address', ...error.details, change: at };
      throw new BerthError(error.code, error.message, { cause: error, details });
    }
  }
  return fork;
}

function apply(fork: Fork, change: Change, at: number): void {
  switch (change.kind) {
    case 'add_hosts': {
      const like = hostNamed(fork, change.like, 'like');
      const hosts = Array.from({ length: change.count }, (_, count) => newHost(like, `${at + 1}.${count + 1}`));
      return fork.add(hosts);
    }
    case 'lose_host':
      return fork.drop(hostNamed(fork, change.host, 'host').id);
    case 'enable_host': {
      const host = hostNamed(fork, change.host, 'host');
      return fork.put({ ...host, status: 'up', enabled: true, disabledReason: null, failedBuilds: 0 });
    }
    case 'free_server':
      return freeServer(fork, change.serverId);
    case 'replace_host':
      return fork.put(change.host);
    default: {
      const host = hostNamed(fork, change.host, 'host');
      return fork.put(DEVICE_CHANGES[change.kind](host, deviceAt(host, change.address)));
    }
  }
}

function hostNamed(fork: Fork, name: string, key: string): HostSnapshot {
  const host = fork.get(name) ?? fork.hosts.find((other) => other.name === name);
  if (host) return host;
  throw new BerthError('host.unknown', `there is no host "${name}"`, { details: { key, host: name } });
}

function deviceAt(host: HostSnapshot, address: Address): SnapshotDevice {
  const device = host.devices.find((other) => other.address === address);
  if (device) return device;
  throw new BerthError('device.unknown', `host ${host.name} offers no device at ${address}`);
}

/** As its model was delivered: what is held or gone there is no news of a new one. */
function newHost(like: HostSnapshot, tag: string): HostSnapshot {
  const gone = like.devices.filter(({ missing, status }) => missing || status === 'removed');
  const host = gone.reduce((rest, { address }) => withoutDevice(rest, address), like);
  return {
    ...host,
    id: `${like.id} +${tag}`,
    name: `${like.name}+${tag}`,
    generation: 0,
    status: 'up',
    enabled: true,
    disabledReason: null,
    failedBuilds: 0,
    used: { vcpus: 0, memoryMb: 0, diskGb: 0 },
    servers: [],
    devices: host.devices.map(({ sharesUsed: _given, reservation: _kept, ...device }) => {
      return { ...device, id: `${device.id} +${tag}`, status: 'available', owner: null };
    }),
  };
}

/** A server may have something on two hosts while it is moved. */
function freeServer(fork: Fork, serverId: string): void {
  const hosts = fork.hosts.filter(({ servers }) => servers.some(({ id }) => id === serverId));
  if (hosts.length === 0) {
    const message = `no server with the id ${serverId} is on a host`;
    throw new BerthError('server.unknown', message, { details: { key: 'server_id' } });
  }
  for (const host of hosts) fork.put(withoutServer(host, serverId));
}

type DeviceChange = (host: HostSnapshot, device: SnapshotDevice) => HostSnapshot;

const DEVICE_CHANGES: Readonly<Record<'hold_device' | 'lift_hold' | 'lose_device', DeviceChange>> = {
  hold_device: (host, { address }) => withEvent(host, 'reserve', address),
  lift_hold: (host, device) => withEvent(host, lifting(device), device.address),
  // one that is in use stays with its server, as in the ledger
  lose_device: (host, device) =>
    device.owner ? withMissing(host, device) : withoutDevice(freed(host, device), device.address),
};

/** What gives a held device back. For one that is not held it is refused. */
function lifting({ status }: SnapshotDevice): DeviceEvent {
  if (status === 'cleaning') return 'cleaned';
  return status === 'failed' || status === 'quarantined' ? 'repair' : 'unreserve';
}

/** Its relatives are free of it. */
function freed(host: HostSnapshot, device: SnapshotDevice): HostSnapshot {
  const lifted = isHeld(device.status) ? withEvent(host, lifting(device), device.address) : host;
  return device.status === 'removed' ? lifted : withEvent(lifted, 'remove', device.address);
}

function withMissing(host: HostSnapshot, lost: SnapshotDevice): HostSnapshot {
  const devices = host.devices.map((device) => (device === lost ? { ...device, missing: true } : device));
  return { ...host, generation: host.generation + 1, devices };
}

function withEvent(host: HostSnapshot, event: DeviceEvent, address: Address): HostSnapshot {
  const states = new Map(host.devices.map((device): [Address, DeviceState] => [device.address, stateOf(device)]));
  const changed = new Map(transition(states, event, address, null).map((state) => [state.address, state.status]));
  const devices = host.devices.map((device) => {
    const status = changed.get(device.address);
    return status === undefined ? device : { ...device, status };
  });
  return { ...host, generation: host.generation + 1, devices };
}

function stateOf({ address, deviceType, parentAddress, status, owner }: SnapshotDevice): DeviceState {
  return { address, deviceType, parentAddress, status, ownerId: owner?.serverId ?? null };
}

/** The rest of its IOMMU group, slot and card can be had without it. */
function withoutDevice(host: HostSnapshot, address: Address): HostSnapshot {
  return {
    ...host,
    devices: host.devices.filter((device) => device.address !== address),
    units: withoutMember(host.units, address),
    groups: { slot: withoutMember(host.groups.slot, address), card: withoutMember(host.groups.card, address) },
  };
}

function withoutMember<Group extends { readonly members: readonly Address[] }>(
  groups: ReadonlyMap<Address, Group>,
  address: Address,
): ReadonlyMap<Address, Group> {
  const group = groups.get(address);
  if (!group) return groups;
  const rest = { ...group, members: group.members.filter((member) => member !== address) };
  const others = [...groups].filter(([member]) => member !== address);
  return new Map(others.map(([member, own]) => [member, own === group ? rest : own]));
}
