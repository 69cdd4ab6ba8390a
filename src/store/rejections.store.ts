import type { Rejection } from '../placement/decision.js';
import type { PreemptionPlan } from '../placement/preempt.js';
import { beginRelease, lockClaim } from './claim-outcomes.store.js';
import { writeAudit } from './audit.store.js';
import type { Tx } from './database.js';
import type { QueueRules, DecidedServer, WaitingServer } from './decided-server.js';
import { touchHosts } from './device-states.store.js';
import type { Fault } from './entities/workload.entities.js';
import { countWaiting, rankOf, writeWaiting, type WaitingEntry } from './queue.store.js';
import { endActions } from './server-actions.store.js';
import { addServerEvents } from './server-events.store.js';

/** A server that was turned down, and why. */
interface Turned {
  readonly server: WaitingServer;
  readonly fault: Fault;
}

/**
 * Writes what becomes of servers that were turned down: they wait, take the place of others, or end in ERROR. Servers of one
 * call find room in the queue together, or none of them does.
 */
export async function writeRejected(tx: Tx, rejected: readonly DecidedServer[], queue: QueueRules): Promise<void> {
  if (rejected.length === 0) return;
  const newcomers = rejected.filter(({ server, fate }) => server.taskState === 'scheduling' && fate?.kind === 'wait');
  const room = newcomers.length === 0 ? 0 : queue.max - (await countWaiting(tx));
  const tooMany = withoutRoom(newcomers, room);
  const errors: Turned[] = [];
  const waiting: WaitingEntry[] = [];
  for (const entry of rejected) {
    const { server, fate } = entry;
    const fault = entry.fault ?? faultOf(entry.decision as Rejection);
    if (tooMany.has(entry)) errors.push({ server, fault: queueFull(fault, queue.max) });
    else if (fate === undefined || fate.kind === 'error') errors.push({ server, fault });
    else waiting.push(waitingEntry(server, fault, fate.kind === 'wait' ? fate.nominated : fate.plan.hostId));
  }
  await writeErrors(tx, errors);
  await writeWaiting(tx, waiting);
  for (const { server, fate } of rejected) {
    if (fate?.kind === 'preempt') await preempt(tx, server, fate.plan, queue.ageingPerMinute);
  }
}

function withoutRoom(newcomers: readonly DecidedServer[], room: number): Set<DecidedServer> {
  let left = room;
  const tooMany = new Set<DecidedServer>();
  for (const entry of newcomers) {
    const gang = entry.server.gang?.id;
    const together = gang === undefined ? [entry] : newcomers.filter(({ server }) => server.gang?.id === gang);
    if (together[0] !== entry) continue;
    if (together.length > left) for (const one of together) tooMany.add(one);
    else left -= together.length;
  }
  return tooMany;
}

function faultOf({ message, rejections }: Rejection): Fault {
  return { code: 'placement.no_valid_host', message, details: { rejections: rejections.slice(0, 20) } };
}

function queueFull({ message, details }: Fault, queueMax: number): Fault {
  return { code: 'queue.full', message: `${queueMax} servers wait already. ${message}`, details };
}

function waitingEntry({ id, rank, taskState }: WaitingServer, fault: Fault, nominated: string | null): WaitingEntry {
  return { serverId: id, fault, rank, again: taskState === 'waiting', nominated };
}

async function writeErrors(tx: Tx, errors: readonly Turned[]): Promise<void> {
  if (errors.length === 0) return;
  await tx.query(
    `UPDATE servers s SET status = CASE s.action WHEN 'unshelve' THEN 'SHELVED' ELSE 'ERROR' END, action = NULL,
            task_state = NULL, host_id = NULL, fault = c.fault, updated_at = now(), queue_rank = NULL, nominated_host_id = NULL
       FROM unnest($1::uuid[], $2::jsonb[]) AS c(id, fault) WHERE s.id = c.id`,
    [errors.map(({ server }) => server.id), errors.map(({ fault }) => JSON.stringify(fault))],
  );
  for (const { server, fault } of errors) await endActions(tx, [server.id], 'error', fault.message);
  await addServerEvents(
    tx,
    errors.map(({ server, fault }) => ({ serverId: server.id, event: 'rejected', message: fault.message })),
  );
}

/**
 * Has the victims give back what they hold. They go to the end of those with their priority and are placed again when there is
 * room; until their devices are given back, the host is kept for the server that they leave for.
 */
async function preempt(
  tx: Tx,
  server: WaitingServer,
  { hostId, hostName, victims }: PreemptionPlan,
  ageingPerMinute: number,
): Promise<void> {
  const victimIds = victims.map(({ id }) => id);
  await writeAudit(tx, [{ kind: 'preemption', server_id: server.id, host_id: hostId, victims: victimIds }]);
  const fault: Fault = {
    code: 'server.preempted',
    message: `Stopped on host ${hostName} for a server with a higher priority; waits for room.`,
    details: { host: hostName },
  };
  await tx.query(
    `UPDATE servers SET status = 'BUILD', task_state = 'waiting', host_id = NULL, fault = $2::jsonb, updated_at = now(),
            waits = true, attempts = 0, excluded_hosts = '[]', action = NULL, queued_at = now(), queue_rank = ${rankOf('$3', 'now()')}
      WHERE id = ANY($1)`,
    [victimIds, JSON.stringify(fault), ageingPerMinute],
  );
  for (const claimId of await liveClaims(tx, victimIds)) {
    const claim = await lockClaim(tx, claimId);
    if (claim) await beginRelease(tx, claim);
  }
  await touchHosts(tx, [{ id: hostId, by: 1 }]);
  await addServerEvents(tx, [
    ...victimIds.map((serverId) => ({ serverId, event: 'preempted', message: fault.message })),
    {
      serverId: server.id,
      event: 'preempting',
      message: `Host ${hostName}: ${victims.length === 1 ? 'a server makes' : `${victims.length} servers make`} room.`,
    },
  ]);
}

async function liveClaims(tx: Tx, serverIds: readonly string[]): Promise<string[]> {
  const rows = (await tx.query(
    `SELECT id FROM claims WHERE server_id = ANY($1) AND status IN ('claimed', 'allocated') ORDER BY id`,
    [serverIds],
  )) as { id: string }[];
  return rows.map((row) => row.id);
}
