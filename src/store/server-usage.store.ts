import type { Tx } from './database.js';
import type { FlavorSnapshot, ServerStatus } from './entities/workload.entities.js';

/** A server that had room on a host. */
export interface UsedServer {
  readonly id: string;
  readonly name: string;
  readonly project_id: string;
  readonly status: ServerStatus;
  readonly flavor: Pick<FlavorSnapshot, 'name'> | null;
  readonly vcpus: number;
  readonly memory_mb: number;
  readonly disk_gb: number;
  /** When it first got room. */
  readonly started_at: Date;
  /** When it gave it back for good; null: it is still there. */
  readonly ended_at: Date | null;
}

export interface UsageWindow {
  readonly start: Date;
  readonly stop: Date;
  /** null: of all projects. */
  readonly projectId: string | null;
  /** The id of the server after which to begin; null: at the beginning. */
  readonly after: string | null;
  readonly limit: number;
}

/** Servers that were there in a window of time, also those that are gone, the oldest first. Placements of orchestrators are none. */
export async function usedServers(tx: Tx, window: UsageWindow): Promise<UsedServer[]> {
  return tx.query(
    `SELECT * FROM (
       SELECT s.id, s.name, s.project_id, s.status, s.created_at, s.flavor,
              (s.request ->> 'vcpus')::integer AS vcpus, (s.request ->> 'memoryMb')::integer AS memory_mb,
              (s.request ->> 'diskGb')::integer AS disk_gb,
              (SELECT min(c.created_at) FROM claims c WHERE c.server_id = s.id AND c.kind = 'server') AS started_at,
              CASE WHEN s.status = 'DELETED' THEN s.updated_at END AS ended_at
         FROM servers s
        WHERE s.kind = 'server' AND s.created_at < $2 AND ($3::text IS NULL OR s.project_id = $3)
          AND (s.status <> 'DELETED' OR s.updated_at > $1)
          AND ($4::uuid IS NULL OR (s.created_at, s.id) > (SELECT m.created_at, m.id FROM servers m WHERE m.id = $4))
     ) used
     WHERE started_at < $2 ORDER BY created_at, id LIMIT $5`,
    [window.start, window.stop, window.projectId, window.after, window.limit],
  );
}

/** Whether a page can begin after this server. */
export async function isUsedServer(tx: Tx, id: string, projectId: string | null): Promise<boolean> {
  const rows = await tx.query<unknown[]>(
    `SELECT 1 FROM servers WHERE id = $1 AND kind = 'server' AND ($2::text IS NULL OR project_id = $2)`,
    [id, projectId],
  );
  return rows.length > 0;
}
