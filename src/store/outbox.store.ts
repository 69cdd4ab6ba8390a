import type { Envelope } from '../messages/envelope.js';
import { jsonList } from './json-list.js';
import type { Tx } from './database.js';

export interface OutboxLine {
  readonly id: number;
  readonly queue: string;
  readonly message: Envelope;
}

type NewLine = Pick<OutboxLine, 'queue' | 'message'>;

/** Transactions that have filled the outbox: their process need not wait until its relay looks again. */
const filled = new WeakSet<Tx>();

/** Messages that go out once their transaction is committed; the relay publishes them in the order of their ids. */
export async function addToOutbox(tx: Tx, lines: readonly NewLine[]): Promise<void> {
  if (lines.length > 0) filled.add(tx);
  await putBackToOutbox(tx, lines);
}

/** Whether this transaction has left something to be sent. */
export function hasFilledOutbox(tx: Tx): boolean {
  return filled.has(tx);
}

/** {@link addToOutbox} of what could not be sent now: the relay comes to it in its own time. */
export async function putBackToOutbox(tx: Tx, lines: readonly NewLine[]): Promise<void> {
  if (lines.length === 0) return;
  await tx.query(
    `INSERT INTO outbox (queue, message)
     SELECT * FROM ROWS FROM (unnest($1::text[]), json_array_elements($2::json)) AS l(queue, message)`,
    [lines.map((line) => line.queue), jsonList(lines.map((line) => JSON.stringify(line.message)))],
  );
}

/** Whether anything waits to be sent, as far as is committed. */
export async function hasOutboxLines(tx: Tx): Promise<boolean> {
  const [row] = (await tx.query(`SELECT EXISTS (SELECT 1 FROM outbox) AS present`)) as [{ present: boolean }];
  return row.present;
}

/**
 * Takes up to `limit` lines, oldest first, and deletes them: they are gone once the caller's transaction commits, and
 * there again when it does not. Lines that another relay holds are passed over.
 */
export async function takeFromOutbox(tx: Tx, limit: number): Promise<OutboxLine[]> {
  const [rows] = (await tx.query(
    `DELETE FROM outbox WHERE id IN
       (SELECT id FROM outbox ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED)
     RETURNING id, queue, message`,
    [limit],
  )) as [OutboxLine[], number];
  return rows.sort((a, b) => a.id - b.id);
}
