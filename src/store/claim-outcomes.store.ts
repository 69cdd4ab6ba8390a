import type { WireBinding } from '../messages/bodies.js';
import { envelope } from '../messages/envelope.js';
import { agentQueue, QUEUES } from '../messages/routes.js';
import { FENCE, type CommandFence } from './agent-lives.store.js';
import type { Tx } from './database.js';
import { readDeviceStates, touchHosts, writeDeviceStates } from './device-states.store.js';
import type { ClaimKind, ClaimStatus, Fault, ServerStatus, TaskState } from './entities/workload.entities.js';
import { addToOutbox } from './outbox.store.js';
import { endDetach } from './detach.store.js';
import { addServerEvents } from './server-events.store.js';

/**
 * What becomes of a claim.
 *
 *   claimed ──devices.prepared──► allocated ──server deleted──► releasing ──devices.released──► released
 *      │                                                            ▲                              ▲
 *      ├──no answer in time─────────────────────────────────────────┘                              │
 *      └──devices.prepare_failed (the agent undid it)──────────────────────────────────────────────┘
 *
 * A prepare_failed of an allocated claim (the command came twice) makes it releasing, and its server ERROR.
 *
 * Devices are free again only when a claim is `released`: by the agent's word that it gave them back.
 */
export interface LockedClaim {
  readonly id: string;
  readonly serverId: string;
  readonly hostId: string;
  readonly hostName: string;
  readonly status: ClaimStatus;
  /** `attach`: of devices that come to a running server, which is none the worse when they do not. */
  readonly kind: ClaimKind;
  readonly serverStatus: ServerStatus;
  readonly taskState: TaskState | null;
  readonly attempts: number;
}

/** Locks a claim with its server and host, in that order; null when there is no such claim. */
export async function lockClaim(tx: Tx, claimId: string): Promise<LockedClaim | null> {
  await tx.query(`SELECT 1 FROM servers WHERE id = (SELECT server_id FROM claims WHERE id = $1) FOR UPDATE`, [claimId]);
  await tx.query(`SELECT 1 FROM hosts WHERE id = (SELECT host_id FROM claims WHERE id = $1) FOR UPDATE`, [claimId]);
  const [claim] = (await tx.query(
    `SELECT c.id, c.server_id AS "serverId", c.host_id AS "hostId", h.name AS "hostName", c.status, c.kind,
            s.status AS "serverStatus", s.task_state AS "taskState", s.attempts
       FROM claims c JOIN servers s ON s.id = c.server_id JOIN hosts h ON h.id = c.host_id
      WHERE c.id = $1 FOR UPDATE OF c`,
    [claimId],
  )) as LockedClaim[];
  return claim ?? null;
}

/** The agent has bound the devices: the claim becomes an allocation, the server ACTIVE. */
export async function confirmClaim(tx: Tx, claim: LockedClaim, bindings: readonly WireBinding[]): Promise<void> {
  const states = await readDeviceStates(tx, [claim.hostId]);
  for (const address of await claimedAddresses(tx, claim.id)) {
    states.get(claim.hostId)?.apply('allocate', address, claim.serverId);
  }
  await writeDeviceStates(tx, states.values());
  await tx.query(
    `UPDATE allocations a SET binding = b.binding FROM devices d, unnest($2::text[], $3::jsonb[]) AS b(address, binding)
      WHERE a.claim_id = $1 AND d.id = a.device_id AND d.address = b.address`,
    [claim.id, bindings.map((binding) => binding.address), bindings.map((binding) => JSON.stringify(binding))],
  );
  await tx.query(`UPDATE claims SET status = 'allocated', expires_at = NULL, updated_at = now() WHERE id = $1`, [
    claim.id,
  ]);
  await tx.query(
    `UPDATE servers SET status = 'ACTIVE', task_state = NULL, fault = NULL, updated_at = now() WHERE id = $1`,
    [claim.serverId],
  );
  await tx.query(`UPDATE hosts SET failed_builds = 0 WHERE id = $1 AND failed_builds > 0`, [claim.hostId]);
  await touchHosts(tx, [{ id: claim.hostId, by: 1 }]);
  const bound = bindings.map((binding) => `${binding.address} → ${binding.driver}`).join(', ');
  await addServerEvents(tx, [
    { serverId: claim.serverId, event: 'prepared', message: `Host ${claim.hostName}: ${bound}.` },
  ]);
}

/** Asks the agent to give the claim's devices back. The devices stay taken until it says so. */
export async function beginRelease(tx: Tx, claim: LockedClaim): Promise<void> {
  await tx.query(`UPDATE claims SET status = 'releasing', expires_at = NULL, updated_at = now() WHERE id = $1`, [
    claim.id,
  ]);
  if ((await claimedAddresses(tx, claim.id)).length === 0) {
    await finishRelease(tx, { ...claim, status: 'releasing' });
    return;
  }
  await sendRelease(tx, claim);
}

/** Writes the release command to the outbox: once at the start, again by the sweep while no answer came. */
export async function sendRelease(tx: Tx, claim: Pick<LockedClaim, 'id' | 'serverId' | 'hostName'>): Promise<void> {
  const [row] = (await tx.query(
    `SELECT c.split_from, ${FENCE} AS fence FROM claims c JOIN hosts h ON h.id = c.host_id WHERE c.id = $1`,
    [claim.id],
  )) as { split_from: string | null; fence: CommandFence }[];
  const from = row?.split_from ?? null;
  const split =
    from === null ? {} : { split_from: { claim_id: from, addresses: await claimedAddresses(tx, claim.id) } };
  const body = { claim_id: claim.id, server_id: claim.serverId, ...split, ...row?.fence };
  await addToOutbox(tx, [{ queue: agentQueue(claim.hostName), message: envelope('devices.release', body) }]);
}

/**
 * The agent has given the devices back (or never had them): they are free. A device that is not reported any more is
 * removed, one that changed while it was in use takes its new facts. A server that waited for this to be deleted is.
 */
export async function finishRelease(tx: Tx, claim: LockedClaim): Promise<void> {
  const states = await readDeviceStates(tx, [claim.hostId]);
  const host = states.get(claim.hostId);
  for (const address of await claimedAddresses(tx, claim.id)) host?.apply('free', address, claim.serverId);
  for (const address of await missingAddresses(tx, claim.id)) host?.apply('remove', address, null);
  await writeDeviceStates(tx, states.values());
  await applyPendingFacts(tx, claim.id);
  await tx.query(`UPDATE allocations SET released_at = now() WHERE claim_id = $1 AND released_at IS NULL`, [claim.id]);
  await tx.query(`UPDATE claims SET status = 'released', expires_at = NULL, updated_at = now() WHERE id = $1`, [
    claim.id,
  ]);
  await touchHosts(tx, [{ id: claim.hostId, by: 1 }]);
  await endDetach(tx, claim);
  await deleteWhenReleased(tx, claim.serverId);
}

/** A server that is being deleted and holds nothing any more is gone. */
export async function deleteWhenReleased(tx: Tx, serverId: string): Promise<void> {
  const [, deleted] = (await tx.query(
    `UPDATE servers SET status = 'DELETED', task_state = NULL, updated_at = now()
      WHERE id = $1 AND status = 'DELETING'
        AND NOT EXISTS (SELECT 1 FROM claims WHERE server_id = $1 AND status <> 'released')`,
    [serverId],
  )) as [unknown, number];
  if (deleted > 0) await addServerEvents(tx, [{ serverId, event: 'deleted', message: 'All devices are released.' }]);
}

/**
 * The host failed the server: it is tried elsewhere, or ends in ERROR when it has been tried often enough. Losing a race
 * for a device never comes here: that is a conflict, and costs no attempt.
 */
export async function tryElsewhere(tx: Tx, claim: LockedClaim, fault: Fault, attemptsMax: number): Promise<void> {
  await countFailedBuild(tx, claim.hostId);
  if (claim.serverStatus !== 'BUILD') return;
  const again = claim.attempts < attemptsMax;
  await tx.query(
    `UPDATE servers SET status = $2, task_state = $3, host_id = NULL, fault = $4::jsonb, updated_at = now(),
            excluded_hosts = excluded_hosts || $5::jsonb
      WHERE id = $1`,
    [
      claim.serverId,
      again ? 'BUILD' : 'ERROR',
      again ? 'scheduling' : null,
      JSON.stringify(fault),
      JSON.stringify([{ hostId: claim.hostId, reason: fault.message }]),
    ],
  );
  const next = again ? 'Trying another host.' : `Given up after ${claim.attempts} attempts.`;
  await addServerEvents(tx, [
    { serverId: claim.serverId, event: 'failed', message: `Host ${claim.hostName}: ${fault.message} ${next}` },
  ]);
  if (again) {
    await addToOutbox(tx, [
      { queue: QUEUES.requests, message: envelope('server.requested', { server_id: claim.serverId }) },
    ]);
  }
}

/** One more in a row, until a build succeeds there: `confirmClaim` begins anew. */
async function countFailedBuild(tx: Tx, hostId: string): Promise<void> {
  await tx.query(`UPDATE hosts SET failed_builds = failed_builds + 1 WHERE id = $1`, [hostId]);
  await touchHosts(tx, [{ id: hostId, by: 1 }]);
}

/** An ACTIVE server whose devices the agent could not keep: it has nothing any more, and says why. */
export async function loseDevices(tx: Tx, claim: LockedClaim, fault: Fault): Promise<void> {
  if (claim.serverStatus !== 'ACTIVE') return;
  await tx.query(
    `UPDATE servers SET status = 'ERROR', task_state = NULL, host_id = NULL, fault = $2::jsonb, updated_at = now()
      WHERE id = $1`,
    [claim.serverId, JSON.stringify(fault)],
  );
  await addServerEvents(tx, [
    { serverId: claim.serverId, event: 'failed', message: `Host ${claim.hostName}: ${fault.message}` },
  ]);
}

async function claimedAddresses(tx: Tx, claimId: string): Promise<string[]> {
  const rows = (await tx.query(
    `SELECT d.address FROM allocations a JOIN devices d ON d.id = a.device_id
      WHERE a.claim_id = $1 AND a.released_at IS NULL ORDER BY d.address`,
    [claimId],
  )) as { address: string }[];
  return rows.map((row) => row.address);
}

async function missingAddresses(tx: Tx, claimId: string): Promise<string[]> {
  const rows = (await tx.query(
    `SELECT d.address FROM allocations a JOIN devices d ON d.id = a.device_id
      WHERE a.claim_id = $1 AND a.released_at IS NULL AND d.missing_since IS NOT NULL`,
    [claimId],
  )) as { address: string }[];
  return rows.map((row) => row.address);
}

async function applyPendingFacts(tx: Tx, claimId: string): Promise<void> {
  await tx.query(
    `UPDATE devices d SET missing_since = NULL, facts = coalesce(pending_facts, facts), pending_facts = NULL,
            vendor_id = coalesce(pending_facts, facts)->>'vendor_id',
            product_id = coalesce(pending_facts, facts)->>'product_id',
            device_type = coalesce(pending_facts, facts)->>'device_type',
            parent_address = coalesce(pending_facts, facts)->>'parent_address',
            numa_node = (coalesce(pending_facts, facts)->>'numa_node')::int,
            iommu_group = (coalesce(pending_facts, facts)->>'iommu_group')::int,
            offered = coalesce(pending_facts, facts)->'offer' <> 'null'
       FROM allocations a WHERE a.claim_id = $1 AND a.device_id = d.id AND a.released_at IS NULL`,
    [claimId],
  );
}

/** Claims of a server that still hold something. */
export async function readUnreleasedClaims(tx: Tx, serverId: string): Promise<string[]> {
  return idsOf(await tx.query(`SELECT id FROM claims WHERE server_id = $1 AND status <> 'released'`, [serverId]));
}

/** Claims whose agent has not answered in time; at most `limit`. */
export async function readExpiredClaims(tx: Tx, limit: number): Promise<string[]> {
  return idsOf(
    await tx.query(
      `SELECT id FROM claims WHERE status = 'claimed' AND expires_at < now() ORDER BY expires_at LIMIT $1`,
      [limit],
    ),
  );
}

/** Claims that have been releasing for at least this long without an answer; they are marked as reminded now. */
export async function takeSlowReleases(tx: Tx, afterMs: number, limit: number): Promise<string[]> {
  const [rows] = (await tx.query(
    `UPDATE claims SET updated_at = now() WHERE id IN
       (SELECT id FROM claims WHERE status = 'releasing' AND updated_at < now() - $1::int * interval '1 millisecond'
         ORDER BY updated_at LIMIT $2 FOR UPDATE SKIP LOCKED)
     RETURNING id`,
    [afterMs, limit],
  )) as [unknown, number];
  return idsOf(rows);
}

function idsOf(rows: unknown): string[] {
  return (rows as { id: string }[]).map((row) => row.id);
}
