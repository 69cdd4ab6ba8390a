import type { Address } from '../pci/address.js';
import { transition, type DeviceEvent, type DeviceState, type DeviceStatus } from '../pci/device-state.js';
import { withoutServer } from './apply-placement.js';
import { NOT_ASKED, type HostChange } from './smallest-change-step.js';
import type { HostedServer, HostSnapshot, SnapshotDevice } from './snapshot.js';

/** Costs order the answers. Somebody else's server costs more than any hold; a machine has to be bought. */
const COSTS = {
  enableHost: 10,
  liftHold: { reserved: 12, failed: 16, quarantined: 16 },
  freeServer: 20,
  addHost: 1_000,
};
/** How many classes of devices a sentence about a machine tells. */
const CLASSES_TOLD = 3;

const NOBODY_LOSES = { frees: null, priority: 0, concernsAll: false } as const;

/** What ends a hold. A device that is being cleaned is left to that. */
const LIFTED_BY: Partial<Record<DeviceStatus, DeviceEvent>> = {
  reserved: 'unreserve',
  failed: 'repair',
  quarantined: 'repair',
};

/**
 * All single things that can be done to a host that is there.
 *
 * @param group id of the request's server group; null: it has none
 */
export function hostChangesOf(host: HostSnapshot, group: string | null): HostChange[] {
  return [
    ...(host.enabled ? [] : [enabling(host)]),
    ...host.devices.flatMap((device) => lifting(host, device)),
    ...host.servers.map((server) => freeing(host, server, group)),
  ];
}

function enabling(host: HostSnapshot): HostChange {
  const why = host.disabledReason === null ? '' : ` (disabled: ${host.disabledReason})`;
  return {
    kind: 'enable_host',
    about: 'fleet',
    slot: `enable ${host.id}`,
    cost: COSTS.enableHost,
    ...NOBODY_LOSES,
    touches: (filter) => filter === 'ComputeFilter' || filter === NOT_ASKED,
    sentence: `enable host ${host.name}${why}`,
    details: { host: host.name, host_id: host.id },
    change: (one) => ({ ...one, enabled: true, disabledReason: null }),
  };
}

function lifting(host: HostSnapshot, { id, address, status, missing }: SnapshotDevice): HostChange[] {
  const event = LIFTED_BY[status];
  if (event === undefined || missing) return [];
  return [
    {
      kind: 'lift_hold',
      about: 'fleet',
      slot: `hold ${host.id} ${address}`,
      cost: COSTS.liftHold[status as keyof typeof COSTS.liftHold],
      ...NOBODY_LOSES,
      touches: (filter) => !['RetryFilter', 'ComputeFilter', 'CoreFilter', 'RamFilter', 'DiskFilter'].includes(filter),
      sentence: `make ${address} of host ${host.name} available again (it is ${status})`,
      details: { host: host.name, host_id: host.id, device_id: id, address, status },
      change: (one) => withEvent(one, event, address),
    },
  ];
}

function withEvent(host: HostSnapshot, event: DeviceEvent, address: Address): HostSnapshot {
  const states = new Map(
    host.devices.map((device): [Address, DeviceState] => [
      device.address,
      {
        address: device.address,
        deviceType: device.deviceType,
        parentAddress: device.parentAddress,
        status: device.status,
        ownerId: device.owner?.serverId ?? null,
      },
    ]),
  );
  const changed = new Map(transition(states, event, address, null).map((state) => [state.address, state.status]));
  return {
    ...host,
    devices: host.devices.map((device) => ({ ...device, status: changed.get(device.address) ?? device.status })),
  };
}

function freeing(host: HostSnapshot, server: HostedServer, group: string | null): HostChange {
  const devices = host.devices.filter(({ owner }) => owner?.serverId === server.id).length;
  const isMember = group !== null && server.groupId === group;
  const what = `${devices} device${devices === 1 ? '' : 's'}, ${server.vcpus} vCPUs`;
  return {
    kind: 'free_server',
    about: 'fleet',
    slot: `server ${host.id} ${server.id}`,
    cost: COSTS.freeServer + devices,
    ...{ frees: server.id, priority: server.priority, concernsAll: isMember },
    touches: (filter) => isMember || (filter !== 'RetryFilter' && filter !== 'ComputeFilter'),
    sentence: `delete server ${server.name} or move it away from host ${host.name} (${what}, priority ${server.priority})`,
    details: {
      ...{ host: host.name, host_id: host.id, server: server.name, server_id: server.id, devices },
      ...{ priority: server.priority, preemptible: server.preemptible, settled: server.settled },
    },
    change: (one) => withoutServer(one, server.id),
  };
}

/** One more machine like this one, as it comes from the factory. */
export function emptyCopy(host: HostSnapshot): HostSnapshot {
  return {
    ...host,
    id: `copy of ${host.id}`,
    name: `copy of ${host.name}`,
    ...{ generation: 1, status: 'up', enabled: true, disabledReason: null, readOnly: false },
    ...{ used: { vcpus: 0, memoryMb: 0, diskGb: 0 }, servers: [], failedBuilds: 0 },
    devices: host.devices.map(({ sharesUsed: _shared, reservation: _kept, ...device }) => ({
      ...device,
      id: `copy of ${device.id}`,
      ...{ status: 'available', owner: null, missing: false },
    })),
  };
}

/** @param host the one that it is like */
export function adding(host: HostSnapshot): HostChange {
  return {
    kind: 'add_host',
    about: 'fleet',
    slot: `add ${host.id}`,
    cost: COSTS.addHost,
    ...NOBODY_LOSES,
    touches: () => true,
    sentence: `add one host like ${host.name} (${machineText(host)})`,
    details: { like: host.name, host_id: host.id },
    change: (one) => one,
  };
}

function machineText({ devices, capacity }: HostSnapshot): string {
  const counts = new Map<string, number>();
  for (const { vendorId, productId, deviceType } of devices) {
    if (deviceType === 'type-VF') continue;
    const ids = `${vendorId}:${productId}`;
    counts.set(ids, (counts.get(ids) ?? 0) + 1);
  }
  const told = [...counts].slice(0, CLASSES_TOLD).map(([ids, count]) => `${count} × ${ids}`);
  const more = counts.size > CLASSES_TOLD ? ', …' : '';
  return `${[`${capacity.vcpus} CPUs`, ...told].join(', ')}${more}`;
}
