import type { DeviceReservation, HostSnapshot } from '../placement/snapshot.js';
import { withReservations } from '../placement/reserved-devices.js';
import type { Tx } from './database.js';

/** Whether anything is kept now; a part of a statement that is run anyway, so that a ledger without reservations pays nothing. */
export const ANYTHING_KEPT = `EXISTS (SELECT 1 FROM reservation_windows WHERE status IN ('kept', 'active'))`;

/** The hosts with what is kept on them marked. Windows have a status of their own: a snapshot has no clock. */
export async function markReserved(tx: Tx, hosts: readonly HostSnapshot[]): Promise<HostSnapshot[]> {
  const rows = (await tx.query(
    `SELECT rd.device_id, d.host_id, r.id, r.name, r.project_id, w.ends_at, w.status
       FROM reservation_windows w JOIN reservations r ON r.id = w.reservation_id
       JOIN reservation_devices rd ON rd.window_id = w.id JOIN devices d ON d.id = rd.device_id
      WHERE w.status IN ('kept', 'active') AND d.host_id = ANY($1)
      ORDER BY w.starts_at DESC`,
    [hosts.map(({ id }) => id)],
  )) as {
    device_id: string;
    host_id: string;
    id: string;
    name: string;
    project_id: string;
    ends_at: Date;
    status: 'kept' | 'active';
  }[];
  // of two windows that follow each other the earlier counts: it was read last
  const byHost = new Map<string, Map<string, DeviceReservation>>();
  for (const { device_id, host_id, id, name, project_id, ends_at, status } of rows) {
    const marks = byHost.get(host_id) ?? new Map<string, DeviceReservation>();
    byHost.set(host_id, marks);
    marks.set(device_id, {
      ...{ id, name, projectId: project_id },
      ...{ until: ends_at.toISOString(), isOpen: status === 'active' },
    });
  }
  return hosts.map((host) => withReservations(host, byHost.get(host.id) ?? new Map<string, never>()));
}
