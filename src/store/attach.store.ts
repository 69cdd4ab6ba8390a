import { randomUUID } from 'node:crypto';
import type { Placement, Rejection } from '../placement/decision.js';
import { type DeviceRequest, requestLabel } from '../placement/request.js';
import type { LockedClaim } from './claim-outcomes.store.js';
import { sendPrepare, writeAllocations, writeDecisions } from './claim-rows.store.js';
import type { Tx } from './database.js';
import { readDeviceStates, touchHosts, writeDeviceStates } from './device-states.store.js';
import type { Fault } from './entities/workload.entities.js';
import { quotaRejection } from './quota-amounts.js';
import { attachExcess } from './quota-decisions.store.js';
import { addServerEvents } from './server-events.store.js';

/** A running server that devices are to be attached to. */
export interface AttachingServer {
  readonly id: string;
  readonly projectId: string;
  readonly hostId: string;
  readonly attempts: number;
  readonly devices: readonly DeviceRequest[];
}

/** Writes the wish. The server is locked, ACTIVE and at rest; the scheduler is to be nudged. */
export async function askToAttach(tx: Tx, serverId: string, devices: readonly DeviceRequest[]): Promise<void> {
  await tx.query(
    `UPDATE servers SET task_state = 'attaching', attaching = $2::jsonb, updated_at = now() WHERE id = $1`,
    [serverId, JSON.stringify(devices)],
  );
  const message = `Asked for ${devices.map(requestLabel).join(', ')} while it runs.`;
  await addServerEvents(tx, [{ serverId, event: 'attach_requested', message }]);
}

/** Those of these servers whose attachment is not decided on yet. */
export async function readAttaching(tx: Tx, ids: readonly string[]): Promise<AttachingServer[]> {
  return tx.query(
    `SELECT id, project_id AS "projectId", host_id AS "hostId", attempts, attaching AS devices FROM servers
      WHERE id = ANY($1) AND status = 'ACTIVE' AND task_state = 'attaching' AND attaching IS NOT NULL ORDER BY id`,
    [ids],
  );
}

/**
 * Claims the devices for a running server and has its agent prepare them.
 *
 * @returns `conflict`: the host has changed since the decision; `gone`: the server does not wait for it any more; `refused`: the
 *   project would have more than its quota, which the server's events tell
 */
export async function commitAttach(
  tx: Tx,
  server: AttachingServer,
  decision: Placement,
  claimTimeoutMs: number,
): Promise<'committed' | 'conflict' | 'gone' | 'refused'> {
  if (!(await lockAttaching(tx, server.id))) return 'gone';
  const [host] = (await tx.query(`SELECT generation FROM hosts WHERE id = $1 FOR UPDATE`, [server.hostId])) as {
    generation: number;
  }[];
  if (host?.generation !== decision.generation) return 'conflict';
  const excess = await attachExcess(tx, server, decision.devices);
  if (excess) {
    await refuseAttach(tx, server, quotaRejection(excess, decision));
    return 'refused';
  }
  const states = await readDeviceStates(tx, [server.hostId]);
  for (const { address } of decision.devices) states.get(server.hostId)?.apply('claim', address, server.id);
  await writeDeviceStates(tx, states.values());
  await touchHosts(tx, [{ id: server.hostId, by: 1 }]);
  const claimId = randomUUID();
  await tx.query(
    `INSERT INTO claims (id, server_id, host_id, attempt, status, kind, vcpus, memory_mb, disk_gb, expires_at)
     VALUES ($1, $2, $3, $4, 'claimed', 'attach', 0, 0, 0, now() + $5::int * interval '1 millisecond')`,
    [claimId, server.id, server.hostId, server.attempts, claimTimeoutMs],
  );
  const first = await nextRequestIndex(tx, server.id);
  const devices = decision.devices.map((device) => ({
    ...device,
    requestIndex: device.requestIndex === null ? null : first + device.requestIndex,
  }));
  await writeAllocations(tx, [{ claimId, serverId: server.id, devices }]);
  await tx.query(`UPDATE servers SET attaching = NULL, updated_at = now() WHERE id = $1`, [server.id]);
  await writeDecisions(tx, [{ server, decision }]);
  const taken = devices.map(({ address, requestIndex }) => `${address}${requestIndex === null ? ' (companion)' : ''}`);
  await addServerEvents(tx, [
    { serverId: server.id, event: 'attaching', message: `Host ${decision.hostName}: devices ${taken.join(', ')}.` },
  ]);
  await sendPrepare(tx, [claimId]);
  return 'committed';
}

/** The host has no such devices free, or the project may not have them: the server goes on as it was, and its events tell why. */
export async function refuseAttach(tx: Tx, server: AttachingServer, decision: Rejection): Promise<void> {
  if (!(await lockAttaching(tx, server.id))) return;
  await tx.query(`UPDATE servers SET task_state = NULL, attaching = NULL, updated_at = now() WHERE id = $1`, [
    server.id,
  ]);
  await writeDecisions(tx, [{ server, decision }]);
  await addServerEvents(tx, [{ serverId: server.id, event: 'attach_refused', message: decision.message }]);
}

/** The agent did not prepare the devices: the server goes on without them. */
export async function failAttach(tx: Tx, claim: LockedClaim, fault: Fault): Promise<void> {
  if (claim.status === 'claimed') {
    await tx.query(
      `UPDATE servers SET task_state = NULL, updated_at = now()
        WHERE id = $1 AND status = 'ACTIVE' AND task_state = 'attaching'`,
      [claim.serverId],
    );
  }
  const message = `Host ${claim.hostName}: ${fault.message} The server runs on without these devices.`;
  await addServerEvents(tx, [{ serverId: claim.serverId, event: 'attach_failed', message }]);
}

async function lockAttaching(tx: Tx, serverId: string): Promise<boolean> {
  const rows = (await tx.query(
    `SELECT 1 FROM servers WHERE id = $1 AND status = 'ACTIVE' AND task_state = 'attaching' AND attaching IS NOT NULL
      FOR NO KEY UPDATE`,
    [serverId],
  )) as unknown[];
  return rows.length > 0;
}

/** Requests are counted on from those of the server, so that devices of two requests can be told apart. */
async function nextRequestIndex(tx: Tx, serverId: string): Promise<number> {
  const [row] = (await tx.query(
    `SELECT greatest(jsonb_array_length(s.request -> 'devices'),
              (SELECT max(a.request_index) + 1 FROM allocations a WHERE a.server_id = s.id AND a.released_at IS NULL)) AS next
       FROM servers s WHERE s.id = $1`,
    [serverId],
  )) as [{ next: number }];
  return row.next;
}
