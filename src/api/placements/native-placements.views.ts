import type { Placement } from '../../placement/decision.js';
import type { PlacementRow } from '../../store/placements.store.js';
import type { PLACEMENT_STATES, PlacementAnswerView, PlacementView } from './native-placements.dto.js';

/** One that was placed by this call. */
export function placedView(key: string | null, id: string, decision: Placement): PlacementAnswerView {
  return {
    key,
    outcome: 'placed',
    replayed: false,
    id,
    host: { id: decision.hostId, name: decision.hostName },
    devices: decision.devices.map((device) => ({
      id: device.deviceId,
      address: device.address,
      alias: device.alias,
      request_index: device.requestIndex,
    })),
  };
}

export function placementView(row: PlacementRow): PlacementView {
  const { id, key, name, project_id, host_id, host_name, devices, fault, created_at } = row;
  return {
    ...{ id, key, name, project_id, state: stateOf(row) },
    host: host_id === null ? null : { id: host_id, name: host_name ?? '' },
    ...{ devices, fault, created_at },
  };
}

const STATES: Readonly<Record<string, (typeof PLACEMENT_STATES)[number]>> = {
  BUILD: 'preparing',
  ACTIVE: 'ready',
  DELETING: 'releasing',
  DELETED: 'released',
};

function stateOf({ status }: PlacementRow): PlacementView['state'] {
  return STATES[status] ?? 'failed';
}
