import { BerthError } from '../errors.js';
import type { DeviceReservation } from '../placement/snapshot.js';
import type { Reservations } from '../placement/reserved-devices.js';
import type { Tx } from './database.js';
import { touchHosts } from './device-states.store.js';

/** A device that is kept during a window. */
export interface NewReservedDevice {
  readonly windowId: string;
  readonly deviceId: string;
  readonly hostId: string;
  /** For which of the servers, from 0. */
  readonly server: number;
  readonly alias: string | null;
  readonly requestIndex: number | null;
}

export interface Period {
  readonly start: Date;
  readonly end: Date;
}

/** What reservations keep during each of the periods. @param except a reservation that is left out */
export async function readTaken(tx: Tx, periods: readonly Period[], except: string | null): Promise<Reservations[]> {
  const rows = (await tx.query(
    `SELECT p.at::int AS at, rd.device_id, r.id, r.name, r.project_id, upper(rd.during) AS until
       FROM unnest($1::timestamptz[], $2::timestamptz[]) WITH ORDINALITY AS p(starts_at, ends_at, at)
       JOIN reservation_devices rd ON rd.during && tstzrange(p.starts_at, p.ends_at)
       JOIN reservations r ON r.id = rd.reservation_id
      WHERE $3::uuid IS NULL OR r.id <> $3`,
    [periods.map(({ start }) => start), periods.map(({ end }) => end), except],
  )) as { at: number; device_id: string; id: string; name: string; project_id: string; until: Date }[];
  const taken = periods.map(() => new Map<string, DeviceReservation>());
  for (const { at, device_id, id, name, project_id, until } of rows) {
    const mark = { id, name, projectId: project_id, until: until.toISOString(), isOpen: true };
    taken[at - 1]?.set(device_id, mark);
  }
  return taken;
}

/**
 * Locks the hosts and says at which generation they are. Whatever writes rows of reserved devices, or takes them away, has the
 * rows of their hosts first: so nobody waits for a device while he keeps another waiting for a host.
 */
export async function lockHostsOf(tx: Tx, hostIds: readonly string[]): Promise<ReadonlyMap<string, number>> {
  const rows = (await tx.query(`SELECT id, generation FROM hosts WHERE id = ANY($1) ORDER BY id FOR UPDATE`, [
    [...new Set(hostIds)],
  ])) as { id: string; generation: number }[];
  return new Map(rows.map(({ id, generation }) => [id, generation]));
}

/** Has decisions on these hosts look again. The caller has locked them. */
export function touchAll(tx: Tx, hostIds: readonly string[]): Promise<void> {
  return touchHosts(
    tx,
    [...new Set(hostIds)].map((id) => ({ id, by: 1 })),
  );
}

const NO_OVERLAP = 'reservation_devices_no_overlap';
const EXCLUSION_VIOLATION = '23P01';

/**
 * Keeps devices for windows that are in the ledger. The caller has locked their hosts.
 *
 * @throws BerthError `reservation.conflict` when another reservation keeps one of them, or a PF or VF of one, at that time; the
 *   transaction is over then
 */
export async function insertReservedDevices(
  tx: Tx,
  reservationId: string,
  devices: readonly NewReservedDevice[],
): Promise<void> {
  const inOrder = [...devices].sort((a, b) => (a.deviceId < b.deviceId ? -1 : 1));
  await inConflict(
    tx.query(
      `INSERT INTO reservation_devices (reservation_id, window_id, device_id, during, server, alias, request_index)
       SELECT $1, w.id, n.device_id, tstzrange(w.starts_at, w.ends_at), n.server, n.alias, n.request_index
         FROM unnest($2::uuid[], $3::uuid[], $4::int[], $5::text[], $6::int[])
           AS n(window_id, device_id, server, alias, request_index)
         JOIN reservation_windows w ON w.id = n.window_id`,
      [
        reservationId,
        inOrder.map(({ windowId }) => windowId),
        inOrder.map(({ deviceId }) => deviceId),
        inOrder.map(({ server }) => server),
        inOrder.map(({ alias }) => alias),
        inOrder.map(({ requestIndex }) => requestIndex),
      ],
    ),
  );
  await assertRelativesFree(tx, reservationId);
}

/** @throws BerthError `reservation.conflict` instead of the constraint's violation */
export async function inConflict<T>(statement: Promise<T>): Promise<T> {
  try {
    return await statement;
  } catch (cause) {
    const { code, constraint } = cause as { code?: unknown; constraint?: unknown };
    if (code !== EXCLUSION_VIOLATION || constraint !== NO_OVERLAP) throw cause;
    throw conflict({ cause, details: { constraint } });
  }
}

/** A PF and its VFs are not one device, and cannot be had by two all the same. The lock of the host makes the answer hold. */
export async function assertRelativesFree(tx: Tx, reservationId: string): Promise<void> {
  const rows = (await tx.query(
    `SELECT 1 FROM reservation_devices own
       JOIN devices d ON d.id = own.device_id
       JOIN devices relative ON relative.host_id = d.host_id
        AND (relative.address = d.parent_address OR relative.parent_address = d.address)
       JOIN reservation_devices other ON other.device_id = relative.id AND other.during && own.during
      WHERE own.reservation_id = $1 AND other.reservation_id <> $1 LIMIT 1`,
    [reservationId],
  )) as unknown[];
  if (rows.length > 0) throw conflict({ details: { relatives: true } });
}

function conflict(options: { readonly cause?: unknown; readonly details: Record<string, unknown> }): BerthError {
  return new BerthError('reservation.conflict', 'Another reservation keeps one of the devices at that time', options);
}
