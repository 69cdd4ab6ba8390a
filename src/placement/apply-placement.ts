import { transition, type DeviceState } from '../pci/device-state.js';
import type { Placement } from './decision.js';
import type { PlacementRequest } from './request.js';
import type { HostSnapshot, Owner, SnapshotDevice } from './snapshot.js';

/** The host as it is once the placement is claimed: what the next decision of a batch has to see. */
export function applyPlacement(
  host: HostSnapshot,
  placement: Placement,
  request: PlacementRequest,
  owner: Owner,
): HostSnapshot {
  const states = new Map(host.devices.map((device) => [device.address, stateOf(device)]));
  for (const { address } of placement.devices) {
    for (const changed of transition(states, 'claim', address, owner.serverId)) states.set(changed.address, changed);
  }
  return {
    ...host,
    generation: host.generation + 1,
    used: {
      vcpus: host.used.vcpus + request.vcpus,
      memoryMb: host.used.memoryMb + request.memoryMb,
      diskGb: host.used.diskGb + request.diskGb,
    },
    devices: host.devices.map((device) => withState(device, states.get(device.address), owner)),
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
