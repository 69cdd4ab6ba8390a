import { randomUUID } from 'node:crypto';
import type { Tx } from './database.js';
import type { ServerActionEntity } from './entities/action.entities.js';

/** Who asks for something, and by which request. */
export interface Asker {
  readonly userId: string;
  readonly projectId: string;
  /** `req-` and a UUID; left out: one is made up. */
  readonly requestId?: string;
}

/** What is asked for; the words are Nova's. */
export interface NewAction {
  readonly action: string;
  /** `done`: with the caller's transaction. `open`: until {@link endActions}. `asked`: until the agent of this host answers. */
  readonly state: 'done' | 'open' | { readonly asked: string };
}

/**
 * Writes who asked for what. Each server has its own line; those of one call have one request.
 *
 * @returns the number of each, by server
 */
export async function beginActions(
  tx: Tx,
  serverIds: readonly string[],
  { action, state }: NewAction,
  { userId, projectId, requestId = `req-${randomUUID()}` }: Asker,
): Promise<ReadonlyMap<string, number>> {
  const host = typeof state === 'object' ? state.asked : null;
  const rows = (await tx.query(
    `INSERT INTO server_actions (server_id, action, request_id, user_id, project_id, host_name, asked_at, finished_at, result)
     SELECT id, $2, $3, $4, $5, $6, CASE WHEN $6::text IS NOT NULL THEN now() END,
            CASE WHEN $7 THEN clock_timestamp() END, CASE WHEN $7 THEN 'success' END
       FROM unnest($1::uuid[]) AS s(id) RETURNING id, server_id`,
    [serverIds, action, requestId, userId, projectId, host, state === 'done'],
  )) as { id: number; server_id: string }[];
  return new Map(rows.map(({ id, server_id }) => [server_id, id]));
}

/** What is open ends with its server's placement, or with its end; what an agent is asked ends with its answer. */
export async function endActions(
  tx: Tx,
  serverIds: readonly string[],
  result: 'success' | 'error',
  message: string | null = null,
): Promise<void> {
  if (serverIds.length === 0) return;
  await tx.query(
    `UPDATE server_actions SET finished_at = clock_timestamp(), result = $2, message = $3
      WHERE server_id = ANY($1) AND finished_at IS NULL AND asked_at IS NULL`,
    [serverIds, result, message],
  );
}

/** What the agent was asked for has ended; false: somebody has said so before. */
export async function endAskedAction(tx: Tx, id: number, problem: string | null): Promise<boolean> {
  const [, count] = (await tx.query(
    `UPDATE server_actions SET finished_at = clock_timestamp(), result = $2, message = $3
      WHERE id = $1 AND finished_at IS NULL`,
    [id, problem === null ? 'success' : 'error', problem],
  )) as [unknown, number];
  return count > 0;
}

export interface ActionsPage {
  readonly limit: number;
  /** The request after which the page begins; null: at the beginning. */
  readonly marker: string | null;
  readonly changesSince: Date | null;
  readonly changesBefore: Date | null;
}

export type ActionRow = ServerActionEntity & { readonly updated_at: Date };

const COLUMNS = `a.id, a.server_id, a.action, a.request_id, a.user_id, a.project_id, a.host_name, a.started_at, a.finished_at,
  a.result, a.message, coalesce(a.finished_at, a.started_at) AS updated_at`;

/** Newest first. */
export async function listActions(tx: Tx, serverId: string, page: ActionsPage): Promise<ActionRow[]> {
  return tx.query(
    `SELECT ${COLUMNS} FROM server_actions a
      WHERE a.server_id = $1
        AND ($2::text IS NULL OR a.id < (SELECT min(m.id) FROM server_actions m WHERE m.server_id = $1 AND m.request_id = $2))
        AND ($3::timestamptz IS NULL OR coalesce(a.finished_at, a.started_at) >= $3)
        AND ($4::timestamptz IS NULL OR coalesce(a.finished_at, a.started_at) <= $4)
      ORDER BY a.id DESC LIMIT $5`,
    [serverId, page.marker, page.changesSince, page.changesBefore, page.limit],
  );
}

/** The first thing that the request asked of the server; null: nothing. */
export async function findAction(tx: Tx, serverId: string, requestId: string): Promise<ActionRow | null> {
  const [row] = (await tx.query(
    `SELECT ${COLUMNS} FROM server_actions a WHERE a.server_id = $1 AND a.request_id = $2 ORDER BY a.id LIMIT 1`,
    [serverId, requestId],
  )) as ActionRow[];
  return row ?? null;
}

/** A line of the server's history that an action brought about. */
export interface ActionEventRow {
  readonly event: string;
  readonly message: string;
  readonly created_at: Date;
}

const EVENTS_MAX = 100;

/** The server's history from this action to the next one, oldest first. */
export async function findActionEvents(tx: Tx, { id, server_id, started_at }: ActionRow): Promise<ActionEventRow[]> {
  return tx.query(
    `SELECT e.event, e.message, e.created_at FROM server_events e
      WHERE e.server_id = $1
        AND (e.created_at >= $2 OR NOT EXISTS (SELECT 1 FROM server_actions b WHERE b.server_id = $1 AND b.id < $3))
        AND e.created_at < coalesce((SELECT min(n.started_at) FROM server_actions n WHERE n.server_id = $1 AND n.id > $3), 'infinity')
      ORDER BY e.id LIMIT ${EVENTS_MAX}`,
    [server_id, started_at, id],
  );
}
