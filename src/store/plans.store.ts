import type { PlacementRequest } from '../placement/request.js';
import type { Tx } from './database.js';

/** What plans read of servers. Read only. */
export interface LiveShape {
  /** Without what only concerns the one server: its name, project and neighbours. */
  readonly request: PlacementRequest;
  /** Servers that asked for this. */
  readonly servers: number;
}

/** What the servers that are there, or on their way, asked for: those that name the alias, the commonest first. */
export async function liveShapes(tx: Tx, alias: string, limit: number): Promise<LiveShape[]> {
  const rows = await tx.query<{ shape: PlacementRequest; servers: number }[]>(
    `SELECT shape, count(*)::int AS servers
       FROM (SELECT request - 'serverName' - 'projectId' - 'host' - 'priority' - 'preemptible' - 'reservation' AS shape FROM servers
              WHERE status IN ('BUILD', 'ACTIVE')
                AND request -> 'devices' @> jsonb_build_array(jsonb_build_object('alias', $1::text))) s
      GROUP BY shape ORDER BY servers DESC, shape LIMIT $2`,
    [alias, limit],
  );
  return rows.map(({ shape, servers }) => ({ request: { ...shape, serverName: 'one more', projectId: '' }, servers }));
}

const SERVERS_PER_READ = 5_000;

/** What servers asked for, by their ids; those that are not there are left out. */
export async function requestsOfServers(tx: Tx, ids: readonly string[]): Promise<Map<string, PlacementRequest>> {
  const requests = new Map<string, PlacementRequest>();
  for (let from = 0; from < ids.length; from += SERVERS_PER_READ) {
    const rows = await tx.query<{ id: string; request: PlacementRequest }[]>(
      `SELECT id, request FROM servers WHERE id = ANY($1::uuid[]) AND status <> 'DELETED'`,
      [ids.slice(from, from + SERVERS_PER_READ)],
    );
    for (const { id, request } of rows) requests.set(id, request);
  }
  return requests;
}
