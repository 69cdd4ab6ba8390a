import { requestLabel } from '../../placement/request.js';
import type {
  ReservationEntity,
  ReservationEventEntity,
  ReservationWindowEntity,
} from '../../store/entities/reservation.entities.js';
import type { ReservedDeviceRow } from '../../store/reservations.store.js';
import type {
  ReservationSummaryView,
  ReservationView,
  ReservationWindowView,
  ReservedDeviceView,
} from './reservations.dto.js';

export function reservationSummaryView(row: ReservationEntity): ReservationSummaryView {
  const { id, name, project_id, status, count, starts_at, ends_at, recurrence, on_end, created_at } = row;
  return {
    ...{ id, name, project_id, status, count, devices_asked: row.request.devices.map(requestLabel) },
    ...{ starts_at, ends_at, recurrence, on_end, created_at },
  };
}

export interface ReservationParts {
  readonly windows: readonly ReservationWindowEntity[];
  readonly devices: readonly ReservedDeviceRow[];
  readonly events: readonly ReservationEventEntity[];
}

export function reservationView(
  row: ReservationEntity,
  { windows, devices, events }: ReservationParts,
): ReservationView {
  return {
    ...reservationSummaryView(row),
    windows: windows.map((window) => windowView(window, devices)),
    events: events.map(({ event, message, created_at }) => ({ event, message, created_at })),
  };
}

/** A reservation as its project may see it: which devices, and not where they are. */
export function projectReservationView(view: ReservationView): ReservationView {
  return {
    ...view,
    windows: view.windows.map(({ fault, devices, ...window }) => ({
      ...window,
      fault: fault && { code: fault.code, message: fault.code },
      devices: devices.map((device) => ({ ...device, address: null, host: null })),
    })),
    events: view.events.map((event) => ({ ...event, message: '' })),
  };
}

function windowView(window: ReservationWindowEntity, devices: readonly ReservedDeviceRow[]): ReservationWindowView {
  const { id, starts_at, ends_at, status, fault } = window;
  const own = devices.filter(({ window_id }) => window_id === id);
  return {
    ...{ starts_at, ends_at, status, fault: fault && { code: fault.code, message: fault.message } },
    devices: own.map(deviceView),
  };
}

function deviceView({
  device_id,
  address,
  host_name,
  server,
  alias,
  server_id,
}: ReservedDeviceRow): ReservedDeviceView {
  return { id: device_id, address, host: host_name, server: server + 1, alias, in_use_by: server_id };
}
