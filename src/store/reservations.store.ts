import { BerthError } from '../errors.js';
import type { PlacementRequest } from '../placement/request.js';
import type { Tx } from './database.js';
import type {
  OnEnd,
  RecurrenceColumn,
  ReservationDeviceEntity,
  ReservationEntity,
  ReservationEventEntity,
  ReservationStatus,
  ReservationWindowEntity,
} from './entities/reservation.entities.js';
import {
  inConflict,
  assertRelativesFree,
  insertReservedDevices,
  lockHostsOf,
  type NewReservedDevice,
  type Period,
  touchAll,
} from './reservation-rows.store.js';

export interface NewReservation {
  readonly id: string;
  readonly name: string;
  readonly request: PlacementRequest;
  readonly count: number;
  readonly recurrence: RecurrenceColumn | null;
  readonly onEnd: OnEnd;
  /** In order. */
  readonly windows: readonly (Period & { readonly id: string })[];
  readonly devices: readonly NewReservedDevice[];
  /** At which generation the hosts were when the devices were chosen. */
  readonly generations: ReadonlyMap<string, number>;
}

/**
 * Writes a reservation with all its windows. A window that begins now is active at once: then its hosts have to be as they were
 * when its devices were chosen, and nobody places anything there without having seen it.
 *
 * @throws BerthError `reservation.conflict` when the devices went to another reservation, or to a server, meanwhile
 */
export async function insertReservation(tx: Tx, reservation: NewReservation): Promise<void> {
  const { id, devices, windows } = reservation;
  const hosts = await lockHostsOf(
    tx,
    devices.map(({ hostId }) => hostId),
  );
  await insertRow(tx, reservation);
  const active = new Set(await insertWindows(tx, id, windows));
  await insertReservedDevices(tx, id, devices);
  const now = devices.filter(({ windowId }) => active.has(windowId)).map(({ hostId }) => hostId);
  const stale = now.find((hostId) => hosts.get(hostId) !== reservation.generations.get(hostId));
  if (stale !== undefined) {
    throw new BerthError('reservation.conflict', 'A host changed while devices were chosen', { details: { stale } });
  }
  await touchAll(tx, now);
  await refreshStatus(tx, [id]);
  await addReservationEvents(tx, [{ reservationId: id, event: 'created', message: createdText(reservation) }]);
}

async function insertRow(tx: Tx, reservation: NewReservation): Promise<void> {
  const { id, name, request, count, recurrence, onEnd, windows } = reservation;
  const [first] = windows;
  await tx.query(
    `INSERT INTO reservations (id, name, project_id, request, count, starts_at, ends_at, recurrence, on_end, status)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'pending')`,
    [id, name, request.projectId, request, count, first?.start, first?.end, recurrence, onEnd],
  );
}

/** @returns ids of the windows that have begun */
async function insertWindows(tx: Tx, id: string, windows: NewReservation['windows']): Promise<string[]> {
  const rows = (await tx.query(
    `INSERT INTO reservation_windows (id, reservation_id, starts_at, ends_at, status)
     SELECT n.id, $1, n.starts_at, n.ends_at,
            CASE WHEN n.starts_at <= now() + interval '1 second' THEN 'active' ELSE 'planned' END
       FROM unnest($2::uuid[], $3::timestamptz[], $4::timestamptz[]) AS n(id, starts_at, ends_at)
     RETURNING id, status`,
    [id, windows.map((window) => window.id), windows.map(({ start }) => start), windows.map(({ end }) => end)],
  )) as { id: string; status: string }[];
  return rows.filter(({ status }) => status === 'active').map((row) => row.id);
}

function createdText({ windows, devices, count }: NewReservation): string {
  const each = windows.length === 1 ? '' : `, ${windows.length} windows`;
  const kept = new Set(devices.map(({ deviceId }) => deviceId)).size;
  return `For ${count} server${count === 1 ? '' : 's'}: ${kept} device${kept === 1 ? '' : 's'}${each}.`;
}

/** Sums up the windows: what the reservation is now. One that was cancelled stays so. */
export async function refreshStatus(tx: Tx, ids: readonly string[]): Promise<void> {
  await tx.query(
    `UPDATE reservations r SET status = c.status, updated_at = now()
       FROM (SELECT w.reservation_id,
                    CASE WHEN bool_or(w.status IN ('kept', 'active') AND w.fault IS NOT NULL) THEN 'degraded'
                         WHEN bool_or(w.status = 'active') THEN 'active'
                         WHEN bool_or(w.status <> 'ended') THEN 'pending' ELSE 'ended' END AS status
               FROM reservation_windows w WHERE w.reservation_id = ANY($1) GROUP BY w.reservation_id) c
      WHERE r.id = c.reservation_id AND r.status <> 'cancelled' AND r.status <> c.status`,
    [ids],
  );
}

export interface ReservationEvent {
  readonly reservationId: string;
  readonly event: string;
  readonly message: string;
}

export async function addReservationEvents(tx: Tx, events: readonly ReservationEvent[]): Promise<void> {
  if (events.length === 0) return;
  await tx.query(
    `INSERT INTO reservation_events (reservation_id, event, message)
     SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[])`,
    [
      events.map(({ reservationId }) => reservationId),
      events.map(({ event }) => event),
      events.map(({ message }) => message),
    ],
  );
}

/** What of a reservation is asked for by others, with the row locked; null: there is none. */
export async function lockReservation(
  tx: Tx,
  id: string,
): Promise<Pick<ReservationEntity, 'status' | 'name' | 'recurrence'> | null> {
  const [row] = (await tx.query(`SELECT status, name, recurrence FROM reservations WHERE id = $1 FOR UPDATE`, [
    id,
  ])) as Pick<ReservationEntity, 'status' | 'name' | 'recurrence'>[];
  return row ?? null;
}

/** Hosts of what is kept in windows that are not over. */
export async function hostsInWindows(tx: Tx, id: string): Promise<string[]> {
  const rows = (await tx.query(
    `SELECT DISTINCT d.host_id FROM reservation_devices rd JOIN devices d ON d.id = rd.device_id
       JOIN reservation_windows w ON w.id = rd.window_id
      WHERE rd.reservation_id = $1 AND w.status <> 'ended'`,
    [id],
  )) as { host_id: string }[];
  return rows.map(({ host_id }) => host_id);
}

/** Ends a reservation that is locked: what it keeps is free for all. Servers that came with it go on. */
export async function cancelReservation(tx: Tx, id: string): Promise<void> {
  const hosts = await hostsInWindows(tx, id);
  await lockHostsOf(tx, hosts);
  await tx.query(
    `DELETE FROM reservation_devices rd USING reservation_windows w
      WHERE rd.reservation_id = $1 AND w.id = rd.window_id AND w.status <> 'ended'`,
    [id],
  );
  await tx.query(
    `UPDATE reservation_windows SET status = 'ended', ended_at = now(), fault = NULL
      WHERE reservation_id = $1 AND status <> 'ended'`,
    [id],
  );
  await tx.query(`UPDATE reservations SET status = 'cancelled', updated_at = now() WHERE id = $1`, [id]);
  await touchAll(tx, hosts);
  await addReservationEvents(tx, [{ reservationId: id, event: 'cancelled', message: 'Its devices are free for all.' }]);
}

/**
 * Moves the end of the only window of a reservation that is locked.
 *
 * @throws BerthError `reservation.conflict` when another reservation keeps one of the devices then
 */
export async function moveEnd(tx: Tx, id: string, endsAt: Date): Promise<void> {
  const hosts = await hostsInWindows(tx, id);
  await lockHostsOf(tx, hosts);
  await tx.query(`UPDATE reservations SET ends_at = $2, updated_at = now() WHERE id = $1`, [id, endsAt]);
  await tx.query(`UPDATE reservation_windows SET ends_at = $2 WHERE reservation_id = $1`, [id, endsAt]);
  await inConflict(
    tx.query(
      `UPDATE reservation_devices SET during = tstzrange(lower(during), $2::timestamptz) WHERE reservation_id = $1`,
      [id, endsAt],
    ),
  );
  await assertRelativesFree(tx, id);
  await touchAll(tx, hosts);
  const message = `Ends at ${endsAt.toISOString()} now.`;
  await addReservationEvents(tx, [{ reservationId: id, event: 'end_moved', message }]);
}

export async function renameReservation(tx: Tx, id: string, name: string): Promise<void> {
  await tx.query(`UPDATE reservations SET name = $2, updated_at = now() WHERE id = $1`, [id, name]);
}

export async function setOnEnd(tx: Tx, id: string, onEnd: OnEnd): Promise<void> {
  await tx.query(`UPDATE reservations SET on_end = $2, updated_at = now() WHERE id = $1`, [id, onEnd]);
}

export async function findReservation(tx: Tx, id: string): Promise<ReservationEntity | null> {
  const [row] = (await tx.query(`SELECT * FROM reservations WHERE id = $1`, [id])) as ReservationEntity[];
  return row ?? null;
}

/** Oldest first. @param page `after`: an id, null for the first page */
export async function listReservations(
  tx: Tx,
  filter: { readonly status: ReservationStatus | null; readonly projectId: string | null },
  page: { readonly after: string | null; readonly limit: number },
): Promise<ReservationEntity[]> {
  return tx.query(
    `SELECT * FROM reservations
      WHERE ($1::text IS NULL OR status = $1)
        AND ($4::text IS NULL OR project_id = $4)
        AND ($2::uuid IS NULL OR (created_at, id) > (SELECT created_at, id FROM reservations WHERE id = $2))
      ORDER BY created_at, id LIMIT $3`,
    [filter.status, page.after, page.limit, filter.projectId],
  );
}

/** In order. */
export async function findWindows(tx: Tx, id: string): Promise<ReservationWindowEntity[]> {
  return tx.query(`SELECT * FROM reservation_windows WHERE reservation_id = $1 ORDER BY starts_at`, [id]);
}

export interface ReservedDeviceRow extends Omit<ReservationDeviceEntity, 'reservation_id' | 'during'> {
  readonly address: string;
  readonly host_id: string;
  readonly host_name: string;
  /** Who has it now. */
  readonly server_id: string | null;
}

/** Of all windows, by server, then in the order of hosts and addresses. */
export async function findReservedDevices(tx: Tx, id: string): Promise<ReservedDeviceRow[]> {
  return tx.query(
    `SELECT rd.window_id, rd.device_id, rd.server, rd.alias, rd.request_index, d.address, d.host_id,
            h.name AS host_name, a.server_id
       FROM reservation_devices rd JOIN devices d ON d.id = rd.device_id JOIN hosts h ON h.id = d.host_id
       LEFT JOIN allocations a ON a.device_id = d.id AND a.released_at IS NULL
      WHERE rd.reservation_id = $1 ORDER BY rd.server, h.name, length(d.address), d.address`,
    [id],
  );
}

const EVENTS_MAX = 100;

/** The latest hundred, oldest first. */
export async function findReservationEvents(tx: Tx, id: string): Promise<ReservationEventEntity[]> {
  const rows = await tx.query<ReservationEventEntity[]>(
    `SELECT id, event, message, created_at FROM reservation_events WHERE reservation_id = $1 ORDER BY id DESC
      LIMIT ${EVENTS_MAX}`,
    [id],
  );
  return rows.reverse();
}
