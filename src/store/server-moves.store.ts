import type { Tx } from './database.js';
import type { ServerMoveEntity } from './entities/action.entities.js';
import type { Asker } from './server-actions.store.js';

/** Servers that are to leave a host. One that is to leave already has its line. */
export async function beginMoves(
  tx: Tx,
  serverIds: readonly string[],
  { kind, sourceHost }: { readonly kind: ServerMoveEntity['kind']; readonly sourceHost: string },
  { userId, projectId }: Asker,
): Promise<void> {
  await tx.query(
    `INSERT INTO server_moves (uuid, server_id, kind, status, source_host, flavor_id, user_id, project_id)
     SELECT gen_random_uuid(), s.id, $2, 'accepted', $3, s.flavor->>'id', $4, $5 FROM servers s
      WHERE s.id = ANY($1) AND s.kind = 'server'
        AND NOT EXISTS (SELECT 1 FROM server_moves m WHERE m.server_id = s.id AND m.status = 'accepted')`,
    [serverIds, kind, sourceHost, userId, projectId],
  );
}

/** What was to be is so, or will not be. */
export async function endMove(
  tx: Tx,
  serverId: string,
  status: 'done' | 'failed',
  targetHost: string | null = null,
): Promise<void> {
  await tx.query(
    `UPDATE server_moves SET status = $2, target_host = coalesce($3, target_host), updated_at = now()
      WHERE server_id = $1 AND status = 'accepted'`,
    [serverId, status, targetHost],
  );
}

export interface MovesFilter {
  readonly serverId: string | null;
  /** A name; of either side. */
  readonly host: string | null;
  readonly sourceHost: string | null;
  readonly kind: string | null;
  readonly status: string | null;
  readonly userId: string | null;
  readonly projectId: string | null;
  readonly changesSince: Date | null;
  readonly changesBefore: Date | null;
}

export interface MovesPage {
  readonly limit: number;
  /** The uuid after which the page begins; null: at the beginning. */
  readonly marker: string | null;
}

/** Newest first. */
export async function listMoves(tx: Tx, filter: MovesFilter, page: MovesPage): Promise<ServerMoveEntity[]> {
  return tx.query(
    `SELECT m.* FROM server_moves m
      WHERE ($1::uuid IS NULL OR m.server_id = $1)
        AND ($2::text IS NULL OR $2 IN (m.source_host, m.target_host))
        AND ($3::text IS NULL OR m.source_host = $3)
        AND ($4::text IS NULL OR m.kind = $4)
        AND ($5::text IS NULL OR m.status = $5)
        AND ($6::text IS NULL OR m.user_id = $6)
        AND ($7::text IS NULL OR m.project_id = $7)
        AND ($8::timestamptz IS NULL OR m.updated_at >= $8)
        AND ($9::timestamptz IS NULL OR m.updated_at <= $9)
        AND ($10::uuid IS NULL OR m.id < (SELECT o.id FROM server_moves o WHERE o.uuid = $10))
      ORDER BY m.id DESC LIMIT $11`,
    [
      ...[filter.serverId, filter.host, filter.sourceHost, filter.kind, filter.status, filter.userId, filter.projectId],
      ...[filter.changesSince, filter.changesBefore, page.marker, page.limit],
    ],
  );
}

/** Whether there is a move with this uuid. */
export async function isMove(tx: Tx, uuid: string): Promise<boolean> {
  const rows = (await tx.query(`SELECT 1 FROM server_moves WHERE uuid = $1`, [uuid])) as unknown[];
  return rows.length > 0;
}
