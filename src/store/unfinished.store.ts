import { envelope } from '../messages/envelope.js';
import { QUEUES } from '../messages/routes.js';
import type { Tx } from './database.js';
import { addToOutbox } from './outbox.store.js';

/**
 * Nudges servers that wait for a scheduler for too long: their message may be lost. The message only says "look", so
 * one too many does no harm.
 *
 * @returns how many
 */
export async function nudgeUnfinished(tx: Tx, afterMs: number, limit: number): Promise<number> {
  const [rows] = (await tx.query(
    `UPDATE servers SET updated_at = now() WHERE id IN
       (SELECT id FROM servers
         WHERE (status = 'BUILD' AND task_state = 'scheduling' OR status = 'DELETING' OR attaching IS NOT NULL)
           AND updated_at < now() - $1::int * interval '1 millisecond'
         ORDER BY updated_at LIMIT $2 FOR UPDATE SKIP LOCKED)
     RETURNING id, status`,
    [afterMs, limit],
  )) as [{ id: string; status: string }[], number];
  await addToOutbox(
    tx,
    rows.map((row) => ({
      queue: QUEUES.requests,
      message: envelope(row.status === 'DELETING' ? 'server.deleted' : 'server.requested', { server_id: row.id }),
    })),
  );
  return rows.length;
}

/** Forgets idempotency keys after a day. */
export async function dropOldIdempotencyKeys(tx: Tx): Promise<void> {
  await tx.query(`DELETE FROM idempotency_keys WHERE created_at < now() - interval '1 day'`);
}
