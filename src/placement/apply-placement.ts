import type { Address } from '../pci/address.js';
import { transition, type DeviceState } from '../pci/device-state.js';
import type { Placement } from './decision.js';
import { familyOf } from './device-families.js';
import { guestCellsOf } from './guest-cells.js';
import { keepsShape } from './host-shape.js';
import type { PlacementRequest } from './request.js';
import { plusShare } from './shares.js';
import type { HeldShare, HostedServer, HostSnapshot, Owner, Resources, SnapshotDevice } from './snapshot.js';

/** The host as it is once the placement is claimed: what the next decision of a batch has to see. */
export function applyPlacement(
  host: HostSnapshot,
  placement: Placement,
  request: PlacementRequest,
  owner: Owner,
): HostSnapshot {
  const claimed = {
    ...host,
    generation: host.generation + 1,
    used: plus(host.used, request, 1),
    servers: withServer(host.servers, hostedServer(placement, request, owner)),
    devices: withShares(claimedDevices(host, placement, owner), sharesOf(placement), 1),
  };
  return keepsShape(claimed, host);
}

function claimedDevices(host: HostSnapshot, { devices }: Placement, owner: Owner): readonly SnapshotDevice[] {
  const whole = devices.filter(({ share }) => share === undefined);
  const after = [...host.devices];
  for (const [place, { status, ownerId }] of statesAfter('claim', whole, host, owner.serverId)) {
    const device = after[place] as SnapshotDevice;
    if (status === device.status) continue;
    after[place] = { ...device, status, owner: ownerId === owner.serverId ? owner : device.owner };
  }
  return after;
}

/** What devices and their relatives become, by place; no others are looked at. */
function statesAfter(
  event: 'claim' | 'free',
  devices: readonly { readonly address: Address }[],
  host: HostSnapshot,
  serverId: string,
): [place: number, state: DeviceState][] {
  const states = new Map<Address, DeviceState>();
  const places = new Map<Address, number>();
  for (const { address } of devices) {
    for (const place of places.has(address) ? [] : familyOf(host, address)) {
      const device = host.devices[place] as SnapshotDevice;
      places.set(device.address, place);
      states.set(device.address, stateOf(device));
    }
    for (const changed of transition(states, event, address, serverId)) states.set(changed.address, changed);
  }
  return [...places].map(([address, place]) => [place, states.get(address) as DeviceState]);
}

/** In id order. */
function withServer(servers: readonly HostedServer[], server: HostedServer): readonly HostedServer[] {
  const after = servers.findIndex(({ id }) => id > server.id);
  const place = after < 0 ? servers.length : after;
  return [...servers.slice(0, place), server, ...servers.slice(place)];
}

/** The host as it is once a server has given back all that it has there. A server that is not there changes nothing. */
export function withoutServer(host: HostSnapshot, serverId: string): HostSnapshot {
  const server = host.servers.find(({ id }) => id === serverId);
  if (!server) return host;
  const left = {
    ...host,
    generation: host.generation + 1,
    used: plus(host.used, server, -1),
    servers: host.servers.filter((other) => other !== server),
    devices: withShares(freedDevices(host, serverId), server.shares ?? [], -1),
  };
  return keepsShape(left, host);
}

function freedDevices(host: HostSnapshot, serverId: string): readonly SnapshotDevice[] {
  const own = host.devices.filter(({ owner }) => owner?.serverId === serverId);
  const after = [...host.devices];
  for (const [place, { status, ownerId }] of statesAfter('free', own, host, serverId)) {
    const device = after[place] as SnapshotDevice;
    if (status === device.status) continue;
    after[place] = { ...device, status, owner: ownerId === null ? null : device.owner };
  }
  return after;
}

function sharesOf({ devices }: Pick<Placement, 'devices'>): HeldShare[] {
  return devices.flatMap(({ address, share }) => (share === undefined ? [] : [{ address, share }]));
}

function withShares(
  devices: readonly SnapshotDevice[],
  shares: readonly HeldShare[],
  times: 1 | -1,
): readonly SnapshotDevice[] {
  if (shares.length === 0) return devices;
  return devices.map((device) =>
    shares
      .filter(({ address }) => address === device.address)
      .reduce((changed, { share }) => plusShare(changed, times * share), device),
  );
}

function hostedServer({ numaCells, devices }: Placement, request: PlacementRequest, owner: Owner): HostedServer {
  return {
    id: owner.serverId,
    name: owner.serverName,
    projectId: request.projectId,
    vcpus: request.vcpus,
    memoryMb: request.memoryMb,
    diskGb: request.diskGb,
    numaCells: guestCellsOf(request) === null ? null : numaCells,
    guestCells: request.guestCells,
    ...(sharesOf({ devices }).length > 0 && { shares: sharesOf({ devices }) }),
    cpuPolicy: request.cpuPolicy ?? 'shared',
    groupId: request.host?.group?.id ?? null,
    priority: request.priority ?? 0,
    preemptible: request.preemptible ?? false,
    settled: false,
  };
}

function plus(used: Resources, part: Resources, times: 1 | -1): Resources {
  return {
    vcpus: used.vcpus + times * part.vcpus,
    memoryMb: used.memoryMb + times * part.memoryMb,
    diskGb: used.diskGb + times * part.diskGb,
  };
}

function stateOf(device: SnapshotDevice): DeviceState {
  return {
    address: device.address,
    deviceType: device.deviceType,
    parentAddress: device.parentAddress,
    status: device.status,
    ownerId: device.owner?.serverId ?? null,
  };
}
