import type { DeviceStatus } from '../pci/device-state.js';
import { transitionBodies, type AuditBody, type AuditedTransition } from './audit-bodies.js';
import { writeAudit } from './audit.store.js';
import { deleteWhenReleased } from './claim-outcomes.store.js';
import type { Tx } from './database.js';
import { changeHost, EFFECTIVE_STATUS } from './host-admin.store.js';
import type { EvacuationState } from './entities/evacuation.entities.js';
import { beginActions, type Asker } from './server-actions.store.js';
import { addServerEvents } from './server-events.store.js';
import type { ServerMoveEntity } from './entities/action.entities.js';
import type { FlavorSnapshot } from './entities/workload.entities.js';
import type { PlacementRequest } from '../placement/request.js';
import { beginMoves } from './server-moves.store.js';

/** A host that an administrator acts on; its row is locked. */
export interface HostToLeave {
  readonly id: string;
  readonly name: string;
  readonly status: 'up' | 'down';
  readonly enabled: boolean;
}

/** Servers are locked before hosts, as everywhere; null when there is no such host. */
export async function lockHostToLeave(tx: Tx, nameOrId: string): Promise<HostToLeave | null> {
  await tx.query(
    `WITH host AS (SELECT id FROM hosts WHERE name = $1 OR id::text = lower($1))
     SELECT 1 FROM servers WHERE id IN (
       SELECT server_id FROM claims WHERE host_id IN (SELECT id FROM host) AND status <> 'released'
       UNION SELECT id FROM servers WHERE nominated_host_id IN (SELECT id FROM host) AND task_state = 'waiting')
      ORDER BY id FOR NO KEY UPDATE`,
    [nameOrId],
  );
  const rows = (await tx.query(
    `SELECT h.id, h.name, ${EFFECTIVE_STATUS} AS status, h.enabled FROM hosts h
      WHERE h.name = $1 OR h.id::text = lower($1) FOR UPDATE`,
    [nameOrId],
  )) as HostToLeave[];
  return rows[0] ?? null;
}

/** A server that is on a host, or on its way to it. `kind`: a placement belongs to an orchestrator, which has to move it. */
export interface ServerThere {
  readonly id: string;
  readonly name: string;
  readonly kind: 'server' | 'placement';
  readonly taskState: string | null;
}

/** Those that hold something on the host and are not being deleted; the most important first. */
export async function readServersThere(tx: Tx, hostId: string): Promise<ServerThere[]> {
  return tx.query(
    `SELECT s.id, s.name, s.kind, s.task_state AS "taskState" FROM servers s
      WHERE s.host_id = $1 AND s.status IN ('BUILD', 'ACTIVE') ORDER BY s.priority DESC, s.created_at, s.id`,
    [hostId],
  );
}

/** Names of the reservations that keep devices of the host for a time that is not over; at most `limit`. */
export async function readReservationsThere(tx: Tx, hostId: string, limit: number): Promise<string[]> {
  const rows = (await tx.query(
    `SELECT r.name FROM reservations r WHERE EXISTS (
       SELECT 1 FROM reservation_devices rd JOIN devices d ON d.id = rd.device_id JOIN reservation_windows w ON w.id = rd.window_id
        WHERE rd.reservation_id = r.id AND d.host_id = $1 AND w.status <> 'ended')
      ORDER BY r.created_at, r.id LIMIT $2`,
    [hostId, limit],
  )) as { name: string }[];
  return rows.map(({ name }) => name);
}

export interface EvacuationWish {
  readonly reason: string | null;
  readonly waits: boolean;
  readonly force: boolean;
  readonly disable: boolean;
  /** An evacuation where left out. */
  readonly kind?: ServerMoveEntity['kind'];
  /** What they are to have elsewhere; left out: what they have. */
  readonly next?: { readonly request: PlacementRequest; readonly flavor: FlavorSnapshot | null };
}

/** Nova's words for what is asked. */
const ACTION_OF = { evacuation: 'evacuate', migration: 'migrate', resize: 'resize' } as const;

/** Writes who is to leave; the scheduler's next sweep begins. Asked for again, it begins anew. */
export async function askToLeave(
  tx: Tx,
  host: HostToLeave,
  servers: readonly ServerThere[],
  { reason, waits, force, disable, kind = 'evacuation', next }: EvacuationWish,
  asker: Asker,
): Promise<void> {
  const own = servers.filter(({ kind }) => kind === 'server').map(({ id }) => id);
  await beginActions(tx, own, { action: ACTION_OF[kind], state: 'open' }, asker);
  await beginMoves(tx, own, { kind, sourceHost: host.name }, asker);
  if (disable && host.enabled) {
    await changeHost(tx, host.id, { enabled: false, disabledReason: reason ?? 'its servers are evacuated' });
  }
  await tx.query(
    `INSERT INTO evacuations (host_id, server_id, state, reason, waits, force, request, flavor)
     SELECT $1, id, CASE kind WHEN 'placement' THEN 'needs_owner' ELSE 'open' END, $4, $5, $6, $7::jsonb, $8::jsonb
       FROM unnest($2::uuid[], $3::text[]) AS s(id, kind)
     ON CONFLICT (host_id, server_id) DO UPDATE SET state = excluded.state, problem = NULL, reason = excluded.reason,
       waits = excluded.waits, force = excluded.force, request = excluded.request, flavor = excluded.flavor, asked_at = now()`,
    [
      ...[host.id, servers.map((one) => one.id), servers.map((one) => one.kind), reason, waits, force],
      ...[next ? JSON.stringify(next.request) : null, next?.flavor ? JSON.stringify(next.flavor) : null],
    ],
  );
  const why = reason === null ? '' : ` (${reason})`;
  await addServerEvents(
    tx,
    servers.map(({ id, kind }) => ({
      serverId: id,
      event: 'evacuation_requested',
      message:
        kind === 'placement'
          ? `Host ${host.name} is to be left${why}: whoever asked for this placement has to move it.`
          : `It is to leave host ${host.name}${why}.`,
    })),
  );
}

/** How a server that is to leave a host stands. */
export interface EvacuationRow {
  readonly server_id: string;
  readonly name: string;
  readonly state: EvacuationState;
  readonly problem: string | null;
  readonly waits: boolean;
  readonly force: boolean;
  readonly reason: string | null;
  readonly asked_at: Date;
  readonly status: string;
  readonly task_state: string | null;
  /** Where it is now; null: nowhere. */
  readonly host_name: string | null;
  readonly fault_message: string | null;
}

export async function listEvacuations(tx: Tx, hostId: string): Promise<EvacuationRow[]> {
  return tx.query(
    `SELECT e.server_id, s.name, e.state, e.problem, e.waits, e.force, e.reason, e.asked_at, s.status, s.task_state,
            h.name AS host_name, s.fault->>'message' AS fault_message
       FROM evacuations e JOIN servers s ON s.id = e.server_id LEFT JOIN hosts h ON h.id = s.host_id
      WHERE e.host_id = $1 ORDER BY s.priority DESC, s.created_at, s.id`,
    [hostId],
  );
}

/** How many of the host's claims its agent still has to give back. */
export async function countReleasing(tx: Tx, hostId: string): Promise<number> {
  const [row] = (await tx.query(
    `SELECT count(*)::int AS count FROM claims WHERE host_id = $1 AND status = 'releasing'`,
    [hostId],
  )) as [{ count: number }];
  return row.count;
}

/**
 * Forgets a host that nobody uses: its devices, what was claimed on it, and who was to leave it. Decisions about it stay, without its
 * id. Should its agent speak again, it is told to give back what it still holds, and the host is known anew.
 */
export async function removeHost(tx: Tx, { id, name }: HostToLeave): Promise<void> {
  await tx.query(`SELECT 1 FROM claims WHERE host_id = $1 ORDER BY id FOR UPDATE`, [id]);
  const ending = (await tx.query(
    `SELECT DISTINCT c.server_id FROM claims c JOIN servers s ON s.id = c.server_id
      WHERE c.host_id = $1 AND s.status = 'DELETING'`,
    [id],
  )) as { server_id: string }[];
  await auditRemoval(tx, id, name);
  for (const statement of FORGET) await tx.query(statement, [id]);
  await tx.query(
    `INSERT INTO removed_hosts (id, name, changed_xid) VALUES ($1, $2, (pg_current_xact_id()::text)::bigint)`,
    [id, name],
  );
  await tx.query(`DELETE FROM agent_lives WHERE host_name = $1`, [name]);
  await deleteWhenReleased(
    tx,
    ending.map(({ server_id: serverId }) => serverId),
  );
}

/** What becomes of the devices is in the audit before they are gone. */
async function auditRemoval(tx: Tx, hostId: string, host: string): Promise<void> {
  const devices = (await tx.query(`SELECT id, address, status FROM devices WHERE host_id = $1 ORDER BY address`, [
    hostId,
  ])) as { id: string; address: string; status: DeviceStatus }[];
  const deleted = devices.map(({ id, address, status: from }): AuditedTransition => {
    return { device_id: id, host_id: hostId, address, event: 'delete', from, to: 'deleted', server_id: null };
  });
  const removed: AuditBody = { kind: 'admin', action: 'host.remove', actor: 'rest', host_id: hostId, host };
  await writeAudit(tx, [removed, ...transitionBodies(deleted)]);
}

const FORGET = [
  // of windows that are over; see readReservationsThere
  `DELETE FROM reservation_devices WHERE device_id IN (SELECT id FROM devices WHERE host_id = $1)`,
  `DELETE FROM allocations WHERE claim_id IN (SELECT id FROM claims WHERE host_id = $1)`,
  `DELETE FROM claims WHERE host_id = $1`,
  `DELETE FROM devices WHERE host_id = $1`,
  `UPDATE decisions SET host_id = NULL WHERE host_id = $1`,
  `UPDATE servers SET host_id = NULL WHERE host_id = $1`,
  `UPDATE servers SET nominated_host_id = NULL WHERE nominated_host_id = $1`,
  `DELETE FROM hosts WHERE id = $1`,
];
