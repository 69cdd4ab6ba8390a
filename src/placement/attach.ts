import type { Decision } from './decision.js';
import { place } from './place.js';
import type { DeviceRequest } from './request.js';
import type { HostedServer, HostSnapshot, PlacementPolicy } from './snapshot.js';

/** Devices, and where they are: a server that runs has its room already, and is there whether the host takes new ones or not. */
const FILTERS = ['ComputeFilter', 'NUMATopologyFilter', 'PciPassthroughFilter'];

/**
 * Decides on devices for a server that runs on this host. A guest with NUMA cells goes on to have its devices by these.
 *
 * @param host what is free there now
 */
export function placeDevices(
  host: HostSnapshot,
  policy: PlacementPolicy,
  server: HostedServer,
  devices: readonly DeviceRequest[],
): Decision {
  const cells = server.guestCells === null ? null : server.numaCells;
  const seen: HostSnapshot = {
    ...host,
    enabled: true,
    disabledReason: null,
    numaCells: cells === null ? host.numaCells : host.numaCells.filter(({ id }) => cells.includes(id)),
  };
  const request = {
    ...{ serverName: server.name, projectId: server.projectId },
    ...{ vcpus: 0, memoryMb: 0, diskGb: 0, devices },
    guestCells: cells && cells.map(() => ({ vcpus: 0, memoryMb: 0 })),
  };
  return place({ hosts: [seen], policy: { ...policy, filters: FILTERS } }, request, []);
}
