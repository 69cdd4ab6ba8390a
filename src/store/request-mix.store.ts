import type { PlacementRequest } from '../placement/request.js';
import type { Tx } from './database.js';

/** What the servers that were asked for last want, the youngest first; those that ended in ERROR wanted it as well. */
export async function readRecentRequests(tx: Tx, limit: number): Promise<PlacementRequest[]> {
  const rows = (await tx.query(
    `SELECT request FROM servers WHERE status <> 'DELETED' ORDER BY created_at DESC, id DESC LIMIT $1`,
    [limit],
  )) as { request: PlacementRequest }[];
  return rows.map(({ request }) => request);
}
