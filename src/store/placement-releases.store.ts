import { beginReleases, deleteWhenReleased, lockClaims } from './claim-outcomes.store.js';
import type { Tx } from './database.js';

export type ReleaseOutcome = 'releasing' | 'released' | 'unknown';

/**
 * Has placements give back what they hold. Those that hold nothing are over at once; so are, the second time, those that are being
 * given back already.
 *
 * @returns by id; ids that are nobody's are missing
 */
export async function releasePlacements(tx: Tx, ids: readonly string[]): Promise<ReadonlyMap<string, ReleaseOutcome>> {
  const rows = (await tx.query(
    `SELECT id, status FROM servers WHERE id = ANY($1) AND kind = 'placement' ORDER BY id FOR NO KEY UPDATE`,
    [ids],
  )) as { id: string; status: string }[];
  const open = rows.filter(({ status }) => status !== 'DELETED' && status !== 'DELETING').map(({ id }) => id);
  const claims = (await tx.query(
    `SELECT id FROM claims WHERE server_id = ANY($1) AND status IN ('claimed', 'allocated')`,
    [open],
  )) as { id: string }[];
  const locked =
    claims.length === 0
      ? []
      : await lockClaims(
          tx,
          claims.map(({ id }) => id),
        );
  await tx.query(
    `UPDATE servers SET status = 'DELETING', task_state = 'releasing', updated_at = now() WHERE id = ANY($1)`,
    [open],
  );
  await beginReleases(tx, locked);
  await deleteWhenReleased(tx, open);
  const ended = (await tx.query(`SELECT id FROM servers WHERE id = ANY($1) AND status = 'DELETED'`, [open])) as {
    id: string;
  }[];
  const over = new Set(ended.map(({ id }) => id));
  for (const { id, status } of rows) if (status === 'DELETED') over.add(id);
  return new Map(rows.map(({ id }) => [id, over.has(id) ? 'released' : 'releasing']));
}
