import type { Healing, KeptDevice } from '../placement/heal-reservation.js';
import type { Placement } from '../placement/decision.js';
import type { PlacementRequest } from '../placement/request.js';
import type { Tx } from './database.js';
import type { Fault } from './entities/workload.entities.js';
import { insertReservedDevices, lockHostsOf, type NewReservedDevice, touchAll } from './reservation-rows.store.js';
import { addReservationEvents, lockReservation, refreshStatus } from './reservations.store.js';

/** A window whose devices are kept now. */
export interface OpenWindow {
  readonly id: string;
  readonly reservationId: string;
  readonly startsAt: Date;
  readonly endsAt: Date;
  readonly request: PlacementRequest;
  readonly fault: Fault | null;
  readonly kept: readonly KeptDevice[];
  /** Ids of servers that came with the reservation and live. */
  readonly users: readonly string[];
}

/** In the order of their ids, from one on. */
export async function readOpenWindows(
  tx: Tx,
  page: { readonly after: string | null; readonly limit: number },
): Promise<OpenWindow[]> {
  return tx.query(
    `SELECT w.id, w.reservation_id AS "reservationId", w.starts_at AS "startsAt", w.ends_at AS "endsAt", r.request, w.fault,
            (SELECT coalesce(json_agg(json_build_object('deviceId', rd.device_id, 'hostId', d.host_id, 'server', rd.server,
                                                        'requestIndex', rd.request_index)
                                      ORDER BY rd.server, rd.device_id), '[]')
               FROM reservation_devices rd JOIN devices d ON d.id = rd.device_id WHERE rd.window_id = w.id) AS kept,
            (SELECT coalesce(json_agg(s.id), '[]') FROM servers s
              WHERE s.request ->> 'reservation' = r.id::text AND s.request ->> 'reservation' IS NOT NULL
                AND s.status <> 'DELETED') AS users
       FROM reservation_windows w JOIN reservations r ON r.id = w.reservation_id
      WHERE w.status IN ('kept', 'active') AND ($1::uuid IS NULL OR w.id > $1)
      ORDER BY w.id LIMIT $2`,
    [page.after, page.limit],
  );
}

/** What is written of one window: the spares that were found, and what it goes on to lack. */
export interface WindowHealing {
  readonly window: OpenWindow;
  readonly healed: readonly (Healing & { readonly decision: Placement })[];
  /** null: nothing. */
  readonly fault: Fault | null;
}

/**
 * Swaps the devices of a window for those that were chosen instead.
 *
 * @returns false when nothing was written, because window or hosts are not what was decided on any more
 * @throws BerthError `reservation.conflict` when another reservation was quicker
 */
export async function commitHealing(tx: Tx, { window, healed, fault }: WindowHealing): Promise<boolean> {
  const reservation = await lockReservation(tx, window.reservationId);
  if (!reservation || !(await isAsItWas(tx, window))) return false;
  const old = window.kept.filter(({ server }) => healed.some((healing) => healing.server === server));
  const hosts = [...old.map(({ hostId }) => hostId), ...healed.map(({ decision }) => decision.hostId)];
  const generations = await lockHostsOf(tx, hosts);
  if (healed.some(({ decision }) => generations.get(decision.hostId) !== decision.generation)) return false;
  if (healed.length > 0) {
    await tx.query(`DELETE FROM reservation_devices WHERE window_id = $1 AND server = ANY($2)`, [
      window.id,
      healed.map(({ server }) => server),
    ]);
    await insertReservedDevices(
      tx,
      window.reservationId,
      healed.flatMap((healing) => rowsOf(window.id, healing)),
    );
  }
  await tx.query(`UPDATE reservation_windows SET fault = $2 WHERE id = $1`, [window.id, fault]);
  await touchAll(tx, hosts);
  await refreshStatus(tx, [window.reservationId]);
  await tell(tx, { window, healed, fault });
  return true;
}

async function isAsItWas(tx: Tx, window: OpenWindow): Promise<boolean> {
  const [row] = (await tx.query(
    `SELECT w.status, (SELECT coalesce(json_agg(device_id ORDER BY server, device_id), '[]')
                         FROM reservation_devices WHERE window_id = w.id) AS devices
       FROM reservation_windows w WHERE w.id = $1`,
    [window.id],
  )) as { status: string; devices: string[] }[];
  const isOpen = row?.status === 'kept' || row?.status === 'active';
  return isOpen && row.devices.join() === window.kept.map(({ deviceId }) => deviceId).join();
}

/** The devices of one server of a reservation, as rows. */
export function rowsOf(
  windowId: string,
  { server, decision }: { readonly server: number; readonly decision: Placement },
): NewReservedDevice[] {
  return decision.devices.map(({ deviceId, alias, requestIndex }) => {
    return { windowId, deviceId, hostId: decision.hostId, server, alias, requestIndex };
  });
}

async function tell(tx: Tx, { window, healed, fault }: WindowHealing): Promise<void> {
  const { reservationId } = window;
  const healings = healed.map(({ server, lost, decision }) => {
    const what = `${lost.length} device${lost.length === 1 ? '' : 's'} of server ${server + 1} could not be had any more`;
    const devices = decision.devices.map(({ address }) => address).join(', ');
    return { reservationId, event: 'healed', message: `${what}; kept now: host ${decision.hostName}, ${devices}.` };
  });
  const isNews = fault !== null && fault.message !== window.fault?.message;
  const degraded = isNews ? [{ reservationId, event: 'degraded', message: fault.message }] : [];
  const isWell = fault === null && window.fault !== null;
  const recovered = isWell ? [{ reservationId, event: 'recovered', message: 'All that it keeps can be had.' }] : [];
  await addReservationEvents(tx, [...healings, ...degraded, ...recovered]);
}
