import type { Tx } from './database.js';
import type { WindowStatus } from './entities/reservation.entities.js';
import { lockHostsOf, touchAll } from './reservation-rows.store.js';
import { addReservationEvents, refreshStatus, type ReservationEvent } from './reservations.store.js';

const PER_SWEEP_MAX = 100;

/** Where a window is by the clock of the database. `$1` is for how long before it its devices are kept, in milliseconds. */
const DUE_STATUS = `CASE WHEN w.ends_at <= now() THEN 'ended'
     WHEN w.starts_at <= now() OR w.status = 'active' THEN 'active'
     WHEN w.starts_at <= now() + $1::bigint * interval '1 millisecond' OR w.status = 'kept' THEN 'kept'
     ELSE 'planned' END`;

/** A window that has come to an edge. */
export interface Edge {
  readonly reservationId: string;
  readonly windowId: string;
  readonly name: string;
  readonly status: WindowStatus;
}

/**
 * Takes windows over the edges that they have come to, a hundred reservations at most, and has decisions on their hosts look
 * again. Several may do so at once: each takes reservations that nobody else is at.
 */
export async function passEdges(tx: Tx, leadMs: number): Promise<Edge[]> {
  const due = await lockDue(tx, leadMs);
  if (due.length === 0) return [];
  const hosts = await hostsOfWindows(
    tx,
    due.map(({ windowId }) => windowId),
  );
  await lockHostsOf(tx, hosts);
  await tx.query(
    `UPDATE reservation_windows w SET status = c.status,
            ended_at = CASE c.status WHEN 'ended' THEN now() END,
            fault = CASE c.status WHEN 'ended' THEN NULL ELSE w.fault END
       FROM unnest($1::uuid[], $2::text[]) AS c(id, status) WHERE w.id = c.id`,
    [due.map(({ windowId }) => windowId), due.map(({ status }) => status)],
  );
  await refreshStatus(tx, [...new Set(due.map(({ reservationId }) => reservationId))]);
  await touchAll(tx, hosts);
  await addReservationEvents(tx, due.map(edgeEvent));
  return due;
}

/** Reservations are locked before hosts, as everywhere. */
async function lockDue(tx: Tx, leadMs: number): Promise<Edge[]> {
  const locked = (await tx.query(
    `SELECT r.id FROM reservations r
      WHERE EXISTS (SELECT 1 FROM reservation_windows w
                     WHERE w.reservation_id = r.id AND w.status <> 'ended' AND w.status <> ${DUE_STATUS})
      ORDER BY r.id LIMIT ${PER_SWEEP_MAX} FOR UPDATE OF r SKIP LOCKED`,
    [leadMs],
  )) as { id: string }[];
  if (locked.length === 0) return [];
  // its own statement: it sees what whoever held the lock before has done
  return tx.query(
    `SELECT w.id AS "windowId", w.reservation_id AS "reservationId", r.name, ${DUE_STATUS} AS status
       FROM reservation_windows w JOIN reservations r ON r.id = w.reservation_id
      WHERE w.reservation_id = ANY($2) AND w.status <> 'ended' AND w.status <> ${DUE_STATUS}
      ORDER BY w.reservation_id, w.starts_at`,
    [leadMs, locked.map(({ id }) => id)],
  );
}

async function hostsOfWindows(tx: Tx, windowIds: readonly string[]): Promise<string[]> {
  const rows = (await tx.query(
    `SELECT DISTINCT d.host_id FROM reservation_devices rd JOIN devices d ON d.id = rd.device_id
      WHERE rd.window_id = ANY($1)`,
    [windowIds],
  )) as { host_id: string }[];
  return rows.map(({ host_id }) => host_id);
}

const EDGE_TEXTS: Readonly<Record<WindowStatus, string>> = {
  planned: 'The window begins later than was said.',
  kept: 'The window begins soon: its devices are kept from now on.',
  active: 'The window has begun.',
  ended: 'The window is over: its devices are free for all.',
};

function edgeEvent({ reservationId, status }: Edge): ReservationEvent {
  return { reservationId, event: `window_${status}`, message: EDGE_TEXTS[status] };
}

/**
 * Servers that came with a reservation whose servers are to be deleted at the end, and were placed before a window of it
 * ended.
 */
export async function readLeftOver(tx: Tx, limit: number): Promise<string[]> {
  const rows = (await tx.query(
    `SELECT s.id FROM reservations r JOIN servers s ON s.request ->> 'reservation' = r.id::text
      WHERE r.on_end = 'delete' AND r.status <> 'cancelled' AND s.status IN ('BUILD', 'ACTIVE', 'SHELVED', 'ERROR')
        AND s.request ->> 'reservation' IS NOT NULL
        AND EXISTS (SELECT 1 FROM reservation_windows w JOIN claims c ON c.created_at < w.ended_at
                     WHERE w.reservation_id = r.id AND w.status = 'ended'
                       AND c.server_id = s.id AND c.status <> 'released')
      ORDER BY s.id LIMIT $1`,
    [limit],
  )) as { id: string }[];
  return rows.map(({ id }) => id);
}
