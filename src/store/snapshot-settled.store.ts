import type { HostedServer, HostSnapshot, SnapshotDevice } from '../placement/snapshot.js';
import type { Tx } from './database.js';

/** What agents have confirmed on hosts. */
export interface Settled {
  readonly deviceIds: ReadonlySet<string>;
  readonly serverIds: ReadonlySet<string>;
}

/** Devices that are allocated and servers that are at rest, of these hosts. */
export async function readSettled(tx: Tx, hostIds: readonly string[]): Promise<Settled> {
  const devices = (await tx.query(`SELECT id FROM devices WHERE host_id = ANY($1) AND status = 'allocated'`, [
    hostIds,
  ])) as { id: string }[];
  const servers = (await tx.query(
    `SELECT s.id FROM claims c JOIN servers s ON s.id = c.server_id
      WHERE c.host_id = ANY($1) AND c.status = 'allocated' AND c.kind = 'server' AND s.status = 'ACTIVE' AND s.task_state IS NULL`,
    [hostIds],
  )) as { id: string }[];
  return { deviceIds: new Set(devices.map(({ id }) => id)), serverIds: new Set(servers.map(({ id }) => id)) };
}

/**
 * The host with what is confirmed on it, or the very host when nothing of that is new; its generation is the same, and so is every
 * decision on it but whom to stop for others.
 */
export function withSettled(host: HostSnapshot, { deviceIds, serverIds }: Settled): HostSnapshot {
  const isNew = ({ id, status }: SnapshotDevice): boolean => status === 'claimed' && deviceIds.has(id);
  const isAtRest = ({ id, settled }: HostedServer): boolean => !settled && serverIds.has(id);
  if (!host.devices.some(isNew) && !host.servers.some(isAtRest)) return host;
  return {
    ...host,
    devices: host.devices.map((device) => (isNew(device) ? { ...device, status: 'allocated' } : device)),
    servers: host.servers.map((server) => (isAtRest(server) ? { ...server, settled: true } : server)),
  };
}
