import type { DeviceStatus } from '../pci/device-state.js';
import type { HostSnapshot, Owner, SnapshotDevice } from '../placement/snapshot.js';
import type { Tx } from './database.js';
import { readTakenResources } from './snapshot-sites.store.js';

interface TakenRow {
  readonly id: string;
  readonly status: DeviceStatus;
  readonly missing: boolean;
  readonly server_id: string | null;
  readonly server_name: string | null;
}

interface StampRow {
  readonly id: string;
  readonly generation: number;
  readonly facts_generation: number;
}

/**
 * Reads who has what on hosts of which all else is known.
 *
 * @param factsOf the generation at which all of a host was read
 * @returns the hosts with what was read; without those of which something else has changed meanwhile
 */
export async function readTakings(
  tx: Tx,
  known: readonly HostSnapshot[],
  factsOf: ReadonlyMap<string, number>,
): Promise<HostSnapshot[]> {
  if (known.length === 0) return [];
  // hosts first: a change between the statements raises the generation, and a claim on the old one is refused
  const stamps = (await tx.query(`SELECT id, generation, facts_generation FROM hosts WHERE id = ANY($1)`, [
    known.map(({ id }) => id),
  ])) as StampRow[];
  const sure = new Map(
    stamps
      .filter(({ id, facts_generation }) => facts_generation <= (factsOf.get(id) ?? -1))
      .map(({ id, generation }) => [id, generation]),
  );
  const ids = [...sure.keys()];
  const sites = await readTakenResources(tx, ids);
  const rows = (await tx.query(
    `SELECT d.id, d.status, d.missing_since IS NOT NULL AS missing, a.server_id, s.name AS server_name
       FROM devices d
       LEFT JOIN allocations a ON a.device_id = d.id AND a.released_at IS NULL
       LEFT JOIN servers s ON s.id = a.server_id
      WHERE d.host_id = ANY($1) AND d.status <> 'available'`,
    [ids],
  )) as TakenRow[];
  const taken = new Map(rows.map((row) => [row.id, row]));
  return known
    .filter(({ id }) => sure.has(id))
    .map((host) => ({
      ...host,
      ...sites.get(host.id),
      generation: sure.get(host.id) as number,
      devices: host.devices.map((device) => withTaking(device, taken.get(device.id))),
    }));
}

function withTaking(device: SnapshotDevice, row: TakenRow | undefined): SnapshotDevice {
  const status = row?.status ?? 'available';
  const missing = row?.missing ?? false;
  const owner = ownerOf(row);
  const isSame = device.status === status && device.missing === missing && device.owner?.serverId === owner?.serverId;
  return isSame ? device : { ...device, status, missing, owner };
}

function ownerOf(row: TakenRow | undefined): Owner | null {
  return row?.server_id == null ? null : { serverId: row.server_id, serverName: row.server_name ?? '' };
}
