import { envelope } from '../messages/envelope.js';
import { QUEUES } from '../messages/routes.js';
import type { WireBinding } from '../messages/bodies.js';
import type { WireDevice } from '../messages/device-bodies.js';
import { requestLabel, type PlacementRequest } from '../placement/request.js';
import type { Tx } from './database.js';
import { addToOutbox } from './outbox.store.js';
import { endActions } from './server-actions.store.js';
import { addServerEvents } from './server-events.store.js';
import type {
  DecisionEntity,
  FlavorSnapshot,
  ServerEntity,
  ServerEventEntity,
  ServerStatus,
  TaskState,
} from './entities/workload.entities.js';

/** A server with what is shown next to it. */
export interface ServerRow extends Omit<ServerEntity, 'host_id'> {
  readonly host_id: string | null;
  readonly host_name: string | null;
  readonly kernel_kind: 'live' | 'simulated' | null;
  /** Host NUMA nodes of the guest's cells, from the claim. */
  readonly numa_cells: number[] | null;
  readonly decision_id: string | null;
}

/** A device that a server holds. */
export interface ServerDeviceRow {
  readonly device_id: string;
  readonly address: string;
  readonly alias: string | null;
  readonly request_index: number | null;
  readonly binding: WireBinding | null;
  readonly facts: WireDevice;
  readonly numa_node: number | null;
  readonly iommu_group: number | null;
  readonly missing_since: Date | null;
  readonly kernel_kind: 'live' | 'simulated';
  /** Of a VF: its number among those of its PF, from 0; null when the host does not report all of them. */
  readonly vf_num: number | null;
}

export interface ServerFilter {
  readonly status: ServerStatus | null;
  /** Name or id. */
  readonly host: string | null;
  readonly name: string | null;
  readonly projectId: string | null;
}

export interface NewServer {
  readonly id: string;
  readonly flavor: FlavorSnapshot | null;
  readonly request: PlacementRequest;
  /** Whether it waits when there is no room for it. */
  readonly waits: boolean;
  /** Of servers that are asked for in one call; null: of one that is asked for alone. */
  readonly gang: NewGang | null;
}

export interface NewGang {
  /** The id of the first one. */
  readonly id: string;
  /** So many have to fit, or none is placed. */
  readonly countMin: number;
  /** Which one it is, from 1. */
  readonly place: number;
}

const SERVER_COLUMNS = `
  s.id, s.name, s.project_id, s.status, s.task_state, s.flavor, s.request, s.host_id, s.attempts, s.excluded_hosts,
  s.fault, s.group_id, s.priority, s.preemptible, s.gang_id, s.waits, s.queued_at, s.created_at, s.updated_at, s.vm_state, s.action, s.locked_by,
  s.locked_reason, h.name AS host_name, h.kernel_kind, c.numa_cells, d.id AS decision_id`;

const SERVER_TABLES = `
  servers s
  LEFT JOIN hosts h ON h.id = s.host_id
  LEFT JOIN claims c ON c.server_id = s.id AND c.kind = 'server' AND c.status IN ('claimed', 'allocated')
  LEFT JOIN LATERAL (
    SELECT id FROM decisions WHERE server_id = s.id ORDER BY created_at DESC, attempt DESC LIMIT 1
  ) d ON true`;

/**
 * Writes servers of one call that wait for their placement, the first event of each, and the nudge that starts the placement.
 * Those that are to be placed all or none have one nudge: they are decided on together.
 */
export async function insertServers(tx: Tx, servers: readonly NewServer[]): Promise<void> {
  await tx.query(
    `INSERT INTO servers (id, name, project_id, status, task_state, flavor, request, group_id, priority, preemptible, waits,
                          gang_id, gang_min, gang_place)
     SELECT id, name, project_id, 'BUILD', 'scheduling', flavor, request, group_id, priority, preemptible, waits,
            gang_id, nullif(gang_min, 1), gang_place
       FROM unnest($1::uuid[], $2::text[], $3::text[], $4::jsonb[], $5::jsonb[], $6::uuid[], $7::int[], $8::boolean[],
                   $9::boolean[], $10::uuid[], $11::int[], $12::int[])
         AS c(id, name, project_id, flavor, request, group_id, priority, preemptible, waits, gang_id, gang_min, gang_place)`,
    [
      servers.map(({ id }) => id),
      servers.map(({ request }) => request.serverName),
      servers.map(({ request }) => request.projectId),
      servers.map(({ flavor }) => flavor && JSON.stringify(flavor)),
      servers.map(({ request }) => JSON.stringify(request)),
      servers.map(({ request }) => request.host?.group?.id ?? null),
      servers.map(({ request }) => request.priority ?? 0),
      servers.map(({ request }) => request.preemptible ?? false),
      servers.map(({ waits }) => waits),
      servers.map(({ gang }) => gang?.id ?? null),
      servers.map(({ gang }) => gang?.countMin ?? null),
      servers.map(({ gang }) => gang?.place ?? null),
    ],
  );
  await addServerEvents(
    tx,
    servers.map(({ id, request }) => ({ serverId: id, event: 'requested', message: requestedMessage(request) })),
  );
  const toNudge = servers.filter(({ gang }) => gang === null || gang.countMin === 1 || gang.place === 1);
  await addToOutbox(
    tx,
    toNudge.map(({ id }) => ({ queue: QUEUES.requests, message: envelope('server.requested', { server_id: id }) })),
  );
}

/** Servers that were asked for in one call, in their order; deleted ones too. */
export async function findGang(tx: Tx, gangId: string): Promise<{ readonly id: string; readonly name: string }[]> {
  return tx.query(`SELECT id, name FROM servers WHERE gang_id = $1 ORDER BY gang_place`, [gangId]);
}

/** Newest first; deleted ones are left out. `after` is the id of the last one of the page before. */
export async function listServers(
  tx: Tx,
  filter: ServerFilter,
  page: { readonly after: string | null; readonly limit: number },
): Promise<ServerRow[]> {
  return tx.query(
    `SELECT ${SERVER_COLUMNS} FROM ${SERVER_TABLES}
     WHERE s.status <> 'DELETED' AND s.kind = 'server'
       AND ($1::text IS NULL OR s.status = $1)
       AND ($2::text IS NULL OR h.name = $2 OR h.id::text = lower($2))
       AND ($3::text IS NULL OR s.name = $3)
       AND ($4::text IS NULL OR s.project_id = $4)
       AND ($5::uuid IS NULL OR (s.created_at, s.id) < (SELECT m.created_at, m.id FROM servers m WHERE m.id = $5))
     ORDER BY s.created_at DESC, s.id DESC LIMIT $6`,
    [filter.status, filter.host, filter.name, filter.projectId, page.after, page.limit],
  );
}

/** Also one that is deleted. */
export async function findServer(tx: Tx, id: string): Promise<ServerRow | null> {
  const rows = await tx.query<ServerRow[]>(
    `SELECT ${SERVER_COLUMNS} FROM ${SERVER_TABLES} WHERE s.id = $1 AND s.kind = 'server'`,
    [id],
  );
  return rows[0] ?? null;
}

/** VFs lie in the order of their numbers, so the place among all of them is the number. */
const VF_NUMBER = `
  SELECT (count(*) FILTER (WHERE (length(v.address), v.address) < (length(d.address), d.address)))::int AS num
    FROM devices v JOIN devices pf ON pf.host_id = v.host_id AND pf.address = v.parent_address
   WHERE v.host_id = d.host_id AND v.parent_address = d.parent_address AND v.status <> 'removed'
   GROUP BY pf.facts HAVING count(*) = (pf.facts #>> '{sriov,num_vfs}')::int`;

/** What the server holds now, in address order. */
export async function findServerDevices(tx: Tx, id: string): Promise<ServerDeviceRow[]> {
  return tx.query(
    `SELECT d.id AS device_id, d.address, a.alias, a.request_index, a.binding, d.facts, d.numa_node, d.iommu_group,
            d.missing_since, h.kernel_kind, vf.num AS vf_num
     FROM allocations a JOIN devices d ON d.id = a.device_id JOIN hosts h ON h.id = d.host_id
     LEFT JOIN LATERAL (${VF_NUMBER}) vf ON true
     WHERE a.claim_id IN (SELECT id FROM claims WHERE server_id = $1 AND status <> 'released')
       AND a.released_at IS NULL
     ORDER BY length(d.address), d.address`,
    [id],
  );
}

const EVENTS_MAX = 100;

/** The latest hundred, oldest first. */
export async function findServerEvents(tx: Tx, id: string): Promise<ServerEventEntity[]> {
  const rows = await tx.query<ServerEventEntity[]>(
    `SELECT id, event, message, created_at FROM server_events WHERE server_id = $1 ORDER BY id DESC LIMIT ${EVENTS_MAX}`,
    [id],
  );
  return rows.reverse();
}

/** Newest first, with the name of the host that was chosen. */
export async function findServerDecisions(
  tx: Tx,
  id: string,
  limit: number,
): Promise<(DecisionEntity & { readonly host_name: string | null })[]> {
  return tx.query(
    `SELECT d.id, d.server_id, d.attempt, d.outcome, d.host_id, d.record, d.created_at, h.name AS host_name
     FROM decisions d LEFT JOIN hosts h ON h.id = d.host_id
     WHERE d.server_id = $1 ORDER BY d.created_at DESC, d.attempt DESC LIMIT $2`,
    [id, limit],
  );
}

/** The server's status and whether it still holds something, with the row locked; null when there is no such server. */
export async function lockServerForDelete(
  tx: Tx,
  id: string,
): Promise<{ readonly status: ServerStatus; readonly isLocked: boolean; readonly holdsClaim: boolean } | null> {
  const [server] = await tx.query<{ status: ServerStatus; isLocked: boolean }[]>(
    `SELECT status, locked_by IS NOT NULL AS "isLocked" FROM servers WHERE id = $1 AND kind = 'server' FOR NO KEY UPDATE`,
    [id],
  );
  if (!server) return null;
  // its own statement: it sees the claim of whoever held the lock before
  const claims = await tx.query<unknown[]>(
    `SELECT 1 FROM claims WHERE server_id = $1 AND status <> 'released' LIMIT 1`,
    [id],
  );
  return { ...server, holdsClaim: claims.length > 0 };
}

/** What a server is doing. */
export interface LockedServer {
  readonly name: string;
  readonly projectId: string;
  readonly status: ServerStatus;
  readonly taskState: TaskState | null;
}

/** What a server is doing, with the row locked; null when there is no such server. */
export async function lockServer(tx: Tx, id: string): Promise<LockedServer | null> {
  const [server] = await tx.query<LockedServer[]>(
    `SELECT name, project_id AS "projectId", status, task_state AS "taskState" FROM servers WHERE id = $1 AND kind = 'server' FOR NO KEY UPDATE`,
    [id],
  );
  return server ?? null;
}

/** Has the scheduler look at a server. */
export async function nudgeServer(tx: Tx, id: string): Promise<void> {
  await addToOutbox(tx, [{ queue: QUEUES.requests, message: envelope('server.requested', { server_id: id }) }]);
}

/** Ends a server that holds nothing. */
export async function markDeleted(tx: Tx, id: string): Promise<void> {
  await tx.query(
    `UPDATE servers SET status = 'DELETED', task_state = NULL, attaching = NULL, action = NULL, updated_at = now() WHERE id = $1`,
    [id],
  );
  await endActions(tx, [id], 'success');
  await insertEvent(tx, id, 'deleted', 'Deleted; it held no devices.');
}

/** Starts the end of a server that holds something; the scheduler releases it. */
export async function markDeleting(tx: Tx, id: string): Promise<void> {
  await tx.query(
    `UPDATE servers SET status = 'DELETING', task_state = 'releasing', attaching = NULL, action = NULL, updated_at = now() WHERE id = $1`,
    [id],
  );
  await insertEvent(tx, id, 'delete_requested', 'Deletion was asked for; its devices are given back first.');
  await insertNudge(tx, 'server.deleted', id);
}

function insertEvent(tx: Tx, serverId: string, event: string, message: string): Promise<void> {
  return addServerEvents(tx, [{ serverId, event, message }]);
}

async function insertNudge(tx: Tx, type: 'server.deleted', serverId: string): Promise<void> {
  await addToOutbox(tx, [{ queue: QUEUES.requests, message: envelope(type, { server_id: serverId }) }]);
}

function requestedMessage(request: PlacementRequest): string {
  const devices = request.devices.map(requestLabel).join(', ');
  const size = `${request.vcpus} vCPUs, ${request.memoryMb} MB of memory, ${request.diskGb} GB of disk`;
  return devices === '' ? `Asked for with ${size}.` : `Asked for with ${size} and ${devices}.`;
}
