import type { WireDevice } from '../messages/device-bodies.js';
import type { Tx } from './database.js';

/** The last full scans of hosts: what agents reported, also of devices that are not offered. Read only. */
export interface ScannedHostRow {
  readonly id: string;
  readonly name: string;
  readonly status: 'up' | 'down';
  readonly read_only: boolean;
  readonly last_seen_at: Date;
  readonly devices: number;
}

export interface ScannedDeviceRow {
  readonly facts: WireDevice;
  readonly server_id: string | null;
  readonly server_name: string | null;
}

/** Hosts in name order with the number of their devices: those of these names or ids, or all after the name `after`. */
export async function listScannedHosts(
  tx: Tx,
  hosts: readonly string[] | null,
  page: { readonly after: string | null; readonly limit: number },
): Promise<ScannedHostRow[]> {
  return tx.query(
    `SELECT h.id, h.name, h.status, h.read_only, h.last_seen_at, d.devices
     FROM (
       SELECT * FROM hosts
       WHERE ($1::text[] IS NULL OR name = ANY($1) OR id::text = ANY($1))
         AND ($2::text IS NULL OR name > $2)
       ORDER BY name LIMIT $3
     ) h
     CROSS JOIN LATERAL (
       SELECT count(*)::int AS devices FROM devices WHERE host_id = h.id AND status <> 'removed'
     ) d
     ORDER BY h.name`,
    [hosts, page.after, page.limit],
  );
}

/** The devices of a host, in address order, each with the server that holds it. */
export async function listScannedDevices(tx: Tx, hostId: string): Promise<ScannedDeviceRow[]> {
  return tx.query(
    `SELECT d.facts, s.id AS server_id, s.name AS server_name
     FROM devices d
     LEFT JOIN allocations a ON a.device_id = d.id AND a.released_at IS NULL
     LEFT JOIN servers s ON s.id = a.server_id
     WHERE d.host_id = $1 AND d.status <> 'removed'
     ORDER BY length(d.address), d.address`,
    [hostId],
  );
}
