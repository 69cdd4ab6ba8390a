import type { Tx } from './database.js';

/** Which projects have access to a flavor, in order. */
export async function flavorProjects(tx: Tx, flavorId: string): Promise<string[]> {
  const rows = await tx.query<{ project_id: string }[]>(
    `SELECT project_id FROM flavor_access WHERE flavor_id = $1 ORDER BY project_id`,
    [flavorId],
  );
  return rows.map((row) => row.project_id);
}

/** @returns false when it has access already */
export async function addFlavorAccess(tx: Tx, flavorId: string, projectId: string): Promise<boolean> {
  const rows = await tx.query<unknown[]>(
    `INSERT INTO flavor_access (flavor_id, project_id) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING flavor_id`,
    [flavorId, projectId],
  );
  return rows.length > 0;
}

/** @returns false when it had none */
export async function removeFlavorAccess(tx: Tx, flavorId: string, projectId: string): Promise<boolean> {
  const rows = await tx.query<unknown[]>(
    `WITH gone AS (DELETE FROM flavor_access WHERE flavor_id = $1 AND project_id = $2 RETURNING 1) SELECT 1 FROM gone`,
    [flavorId, projectId],
  );
  return rows.length > 0;
}
