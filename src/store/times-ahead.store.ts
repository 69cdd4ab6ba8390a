import type { Tx } from './database.js';

/**
 * Brings times that lie ahead back to now. They are of a clock of the database that was set back since (by an operator, NTP,
 * or a failover to another machine): sweeps would leave such rows alone until the clock gets there.
 *
 * @param claimTimeoutMs what claims are given; what lies less than twice that ahead is left as it is
 * @returns how many rows
 */
export async function redateTimesAhead(tx: Tx, claimTimeoutMs: number): Promise<number> {
  let count = 0;
  for (const statement of REDATE) {
    const [, changed] = (await tx.query(statement, [claimTimeoutMs])) as [unknown, number];
    count += changed;
  }
  return count;
}

const LIMIT = `now() + 2 * $1::int * interval '1 millisecond'`;

/** In the order in which locks are taken; what is locked is left for the next time. */
const REDATE = [
  `UPDATE servers SET updated_at = now() WHERE id IN
     (SELECT id FROM servers WHERE (status IN ('BUILD', 'DELETING') OR attaching IS NOT NULL) AND updated_at > ${LIMIT}
       ORDER BY id FOR NO KEY UPDATE SKIP LOCKED)`,
  `UPDATE hosts SET last_seen_at = now() WHERE id IN
     (SELECT id FROM hosts WHERE last_seen_at > ${LIMIT} ORDER BY id FOR UPDATE SKIP LOCKED)`,
  `UPDATE claims SET updated_at = now() WHERE id IN
     (SELECT id FROM claims WHERE status = 'releasing' AND updated_at > ${LIMIT} ORDER BY id FOR UPDATE SKIP LOCKED)`,
  `UPDATE claims SET expires_at = now() + $1::int * interval '1 millisecond' WHERE id IN
     (SELECT id FROM claims WHERE status = 'claimed' AND expires_at > ${LIMIT} ORDER BY id FOR UPDATE SKIP LOCKED)`,
];
