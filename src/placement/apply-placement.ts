import { transition, type DeviceState } from '../pci/device-state.js';
import type { Placement } from './decision.js';
import { guestCellsOf } from './guest-cells.js';
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
  const states = new Map(host.devices.map((device) => [device.address, stateOf(device)]));
  for (const { address, share } of placement.devices) {
    if (share !== undefined) continue;
    for (const changed of transition(states, 'claim', address, owner.serverId)) states.set(changed.address, changed);
  }
  return {
    ...host,
    generation: host.generation + 1,
    used: plus(host.used, request, 1),
    servers: [...host.servers, hostedServer(placement, request, owner)].sort((a, b) => (a.id < b.id ? -1 : 1)),
    devices: withShares(
      host.devices.map((device) => withState(device, states.get(device.address), owner)),
      sharesOf(placement),
      1,
    ),
  };
}

/** The host as it is once a server has given back all that it has there. A server that is not there changes nothing. */
export function withoutServer(host: HostSnapshot, serverId: string): HostSnapshot {
  const server = host.servers.find(({ id }) => id === serverId);
  if (!server) return host;
  const states = new Map(host.devices.map((device) => [device.address, stateOf(device)]));
  for (const { address, owner } of host.devices) {
    if (owner?.serverId !== serverId) continue;
    for (const changed of transition(states, 'free', address, serverId)) states.set(changed.address, changed);
  }
  return {
    ...host,
    generation: host.generation + 1,
    used: plus(host.used, server, -1),
    servers: host.servers.filter((other) => other !== server),
    devices: withShares(
      host.devices.map((device) => {
        const { status, ownerId } = states.get(device.address) ?? stateOf(device);
        if (status === device.status) return device;
        return { ...device, status, owner: ownerId === null ? null : device.owner };
      }),
      server.shares ?? [],
      -1,
    ),
  };
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

function withState(device: SnapshotDevice, state: DeviceState | undefined, owner: Owner): SnapshotDevice {
  if (!state || state.status === device.status) return device;
  return { ...device, status: state.status, owner: state.ownerId === owner.serverId ? owner : device.owner };
}
