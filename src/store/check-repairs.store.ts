import type { Found } from './check-found.js';
import type { Tx } from './database.js';
import type { Fault } from './entities/workload.entities.js';
import { rankOf } from './queue.store.js';

/**
 * Locks what a finding is about in the order of all others: server, hosts, claim.
 *
 * @param otherHostId a second host that the repair changes
 */
export async function lockFound(tx: Tx, found: Found, otherHostId: string | null): Promise<void> {
  await tx.query(`SELECT 1 FROM servers WHERE id = $1 FOR NO KEY UPDATE`, [found.server_id]);
  const hosts = [found.host_id, otherHostId].filter((id) => id !== null);
  await tx.query(`SELECT 1 FROM hosts WHERE id = ANY($1) ORDER BY id FOR UPDATE`, [hosts]);
  await tx.query(`SELECT 1 FROM claims WHERE id = $1 FOR UPDATE`, [found.claim_id]);
}

/** The claim is being given back again: only its agent's answer ends it. */
export async function reopenRelease(tx: Tx, claimId: string): Promise<void> {
  await tx.query(`UPDATE claims SET status = 'releasing', updated_at = now() WHERE id = $1`, [claimId]);
}

/**
 * The allocation is live again.
 *
 * @returns false, and nothing is changed, when somebody has the device by now
 */
export async function reviveAllocation(tx: Tx, allocationId: string): Promise<boolean> {
  const [, revived] = (await tx.query(
    `UPDATE allocations a SET released_at = NULL WHERE a.id = $1 AND NOT EXISTS
       (SELECT 1 FROM allocations o WHERE o.device_id = a.device_id AND o.released_at IS NULL)`,
    [allocationId],
  )) as [unknown, number];
  return revived > 0;
}

export async function giveAllocation(tx: Tx, allocationId: string, serverId: string): Promise<void> {
  await tx.query(`UPDATE allocations SET server_id = $2 WHERE id = $1`, [allocationId, serverId]);
}

export async function moveServer(tx: Tx, serverId: string, hostId: string): Promise<void> {
  await tx.query(`UPDATE servers SET host_id = $2, updated_at = now() WHERE id = $1`, [serverId, hostId]);
}

/** One that is being prepared waits for a decision again; one that runs, or may be on no other host, ends in ERROR. */
export async function restartOrEnd(tx: Tx, serverId: string, fault: Fault): Promise<'restarted' | 'ended'> {
  // a placement never moves; the column is asked for in a way that also serves a ledger that has none
  const [rows] = (await tx.query(
    `UPDATE servers s SET host_id = NULL, updated_at = now(), fault = CASE WHEN r.again THEN s.fault ELSE $2::jsonb END,
            status = CASE WHEN r.again THEN 'BUILD' ELSE 'ERROR' END, task_state = CASE WHEN r.again THEN 'scheduling' END
       FROM (SELECT id, status = 'BUILD' AND coalesce(to_jsonb(o) ->> 'kind', 'server') = 'server' AS again
               FROM servers o WHERE o.id = $1) r
      WHERE s.id = r.id RETURNING r.again`,
    [serverId, JSON.stringify(fault)],
  )) as [{ again: boolean }[], number];
  return rows[0]?.again ? 'restarted' : 'ended';
}

/** The server is as its claim has it. */
export async function setPreparing(tx: Tx, serverId: string): Promise<void> {
  await tx.query(`UPDATE servers SET status = 'BUILD', task_state = 'preparing', updated_at = now() WHERE id = $1`, [
    serverId,
  ]);
}

/** The server is as its claim has it. */
export async function setActive(tx: Tx, serverId: string): Promise<void> {
  await tx.query(
    `UPDATE servers SET status = 'ACTIVE', task_state = NULL, fault = NULL, updated_at = now() WHERE id = $1`,
    [serverId],
  );
}

/** A server that waits has a place; one that is past waiting does not wait. */
export async function mendQueueFields(tx: Tx, serverId: string, ageingPerMinute: number): Promise<void> {
  await tx.query(
    `UPDATE servers SET task_state = CASE WHEN status = 'BUILD' THEN task_state END,
            host_id = CASE WHEN status = 'BUILD' THEN NULL ELSE host_id END,
            queued_at = coalesce(queued_at, created_at), updated_at = now(),
            queue_rank = coalesce(queue_rank, ${rankOf('$2', 'coalesce(queued_at, created_at)')})
      WHERE id = $1`,
    [serverId, ageingPerMinute],
  );
}

/** Nothing is being attached to the server or detached. */
export async function endChange(tx: Tx, serverId: string): Promise<void> {
  await tx.query(
    `UPDATE servers SET attaching = NULL, updated_at = now(),
            task_state = CASE WHEN task_state IN ('attaching', 'detaching') THEN NULL ELSE task_state END
      WHERE id = $1`,
    [serverId],
  );
}

/** @param groupId null: of none */
export async function setGroup(tx: Tx, serverId: string, groupId: string | null): Promise<void> {
  await tx.query(`UPDATE servers SET group_id = $2, updated_at = now() WHERE id = $1`, [serverId, groupId]);
}
