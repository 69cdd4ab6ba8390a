import { envelope } from '../messages/envelope.js';
import { QUEUES } from '../messages/routes.js';
import { takeSlowClaims } from './claim-outcomes.store.js';
import { sendPrepare } from './claim-rows.store.js';
import type { Tx } from './database.js';
import { addToOutbox } from './outbox.store.js';

/** Each has an index of its own. */
const UNFINISHED = [
  `(status = 'BUILD' AND task_state = 'scheduling' OR status = 'DELETING')`,
  `attaching IS NOT NULL`,
] as const;

/**
 * Nudges servers that wait for a scheduler for too long: their message may be lost. The message only says "look", so
 * one too many does no harm.
 *
 * @returns how many
 */
export async function nudgeUnfinished(tx: Tx, afterMs: number, limit: number): Promise<number> {
  const rows: TakenRow[] = [];
  for (const unfinished of UNFINISHED) rows.push(...(await takeUnfinished(tx, unfinished, { afterMs, limit })));
  await addToOutbox(
    tx,
    rows.map((row) => ({
      queue: QUEUES.requests,
      message: envelope(row.status === 'DELETING' ? 'server.deleted' : 'server.requested', { server_id: row.id }),
    })),
  );
  return rows.length;
}

interface TakenRow {
  readonly id: string;
  readonly status: string;
}

async function takeUnfinished(
  tx: Tx,
  unfinished: (typeof UNFINISHED)[number],
  { afterMs, limit }: { readonly afterMs: number; readonly limit: number },
): Promise<TakenRow[]> {
  const [rows] = (await tx.query(
    `UPDATE servers SET updated_at = now() WHERE id IN
       (SELECT id FROM servers WHERE ${unfinished} AND updated_at < now() - $1::int * interval '1 millisecond'
         ORDER BY updated_at LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED)
     RETURNING id, status`,
    [afterMs, limit],
  )) as [TakenRow[], number];
  return rows;
}

/**
 * Sends the prepare command again of claims that nobody has answered for this long: the broker has commands in memory, and may have
 * lost it. An agent that has carried it out says so once more.
 *
 * @returns how many
 */
export async function remindPrepares(tx: Tx, afterMs: number, limit: number): Promise<number> {
  const ids = await takeSlowClaims(tx, 'claimed', afterMs, limit);
  await sendPrepare(tx, ids);
  return ids.length;
}

/** Forgets idempotency keys after a day. */
export async function dropOldIdempotencyKeys(tx: Tx): Promise<void> {
  await tx.query(`DELETE FROM idempotency_keys WHERE created_at < now() - interval '1 day'`);
}
