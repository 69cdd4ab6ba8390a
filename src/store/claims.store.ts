import { randomUUID } from 'node:crypto';
import { BerthError } from '../errors.js';
import { envelope } from '../messages/envelope.js';
import { agentQueue } from '../messages/routes.js';
import type { Decision, Placement, Rejection } from '../placement/decision.js';
import type { ExcludedHost, PlacementRequest } from '../placement/request.js';
import type { Tx } from './database.js';
import { readDeviceStates, touchHosts, writeDeviceStates, type HostDeviceStates } from './device-states.store.js';
import { addToOutbox } from './outbox.store.js';
import { addServerEvents, type ServerEvent } from './server-events.store.js';

/** A server that waits for a decision. */
export interface WaitingServer {
  readonly id: string;
  readonly name: string;
  readonly attempts: number;
  readonly request: PlacementRequest;
  readonly excludedHosts: readonly ExcludedHost[];
}

/** The servers of these ids that still wait to be placed; others were placed, or deleted, meanwhile. */
export async function readWaitingServers(tx: Tx, ids: readonly string[]): Promise<WaitingServer[]> {
  const rows = (await tx.query(
    `SELECT id, name, attempts, request, excluded_hosts AS "excludedHosts" FROM servers
      WHERE id = ANY($1) AND status = 'BUILD' AND task_state = 'scheduling' ORDER BY created_at, id`,
    [ids],
  )) as WaitingServer[];
  return rows;
}

export interface DecidedServer {
  readonly server: WaitingServer;
  readonly decision: Decision;
}

export interface CommitResult {
  /** Server ids whose decision is in the ledger now. */
  readonly committed: readonly string[];
  /** Server ids whose host changed since the decision, and whoever was turned down because of them: look again. */
  readonly conflicts: readonly string[];
  /** Hosts of conflicts and of servers that are gone: what was put ahead of the commit is wrong. */
  readonly staleHosts: readonly string[];
}

type PlacedServer = DecidedServer & { readonly decision: Placement };

/**
 * Writes a batch of decisions: claims, allocations, device states, servers, decision records and the prepare commands,
 * in the caller's transaction. A conflict touches only the servers of the host it is about.
 *
 * Locks are taken in one order everywhere (servers, then hosts, each by id), so that transactions cannot deadlock.
 */
export async function commitDecisions(
  tx: Tx,
  decided: readonly DecidedServer[],
  claimTimeoutMs: number,
): Promise<CommitResult> {
  const alive = await lockWaiting(tx, decided);
  const gone = decided.filter((entry) => !alive.includes(entry));
  const placed = alive.filter((entry): entry is PlacedServer => entry.decision.outcome === 'placed');
  const hosts = await lockHosts(tx, decided);
  const { valid, conflicts } = sortOut(placed, decided, hosts);
  // a "no" may have counted on devices that a conflicting or vanished neighbour of the batch never got
  const shaky = conflicts.length + gone.length > 0;
  const no = alive.filter((entry) => entry.decision.outcome === 'rejected');
  const rejected = shaky ? [] : no;
  const states = await readDeviceStates(tx, [...new Set(valid.map((entry) => entry.decision.hostId))]);
  for (const { server, decision } of valid) claimDevices(states, server.id, decision);
  await writeDeviceStates(tx, states.values());
  await writePlaced(tx, valid, claimTimeoutMs);
  await writeRejected(tx, rejected);
  return {
    committed: [...valid, ...rejected].map((entry) => entry.server.id),
    conflicts: [...conflicts, ...(shaky ? no : [])].map((entry) => entry.server.id),
    staleHosts: [...conflicts, ...gone].flatMap(({ decision }) =>
      decision.outcome === 'placed' ? [decision.hostId] : [],
    ),
  };
}

async function lockWaiting(tx: Tx, decided: readonly DecidedServer[]): Promise<DecidedServer[]> {
  const rows = (await tx.query(
    `SELECT id FROM servers WHERE id = ANY($1) AND status = 'BUILD' AND task_state = 'scheduling'
      ORDER BY id FOR UPDATE`,
    [decided.map((entry) => entry.server.id)],
  )) as { id: string }[];
  const ids = new Set(rows.map((row) => row.id));
  return decided.filter((entry) => ids.has(entry.server.id));
}

interface LockedHost {
  readonly id: string;
  readonly generation: number;
  readonly status: string;
}

async function lockHosts(tx: Tx, decided: readonly DecidedServer[]): Promise<Map<string, LockedHost>> {
  const ids = decided.flatMap(({ decision }) => (decision.outcome === 'placed' ? [decision.hostId] : []));
  const rows = (await tx.query(`SELECT id, generation, status FROM hosts WHERE id = ANY($1) ORDER BY id FOR UPDATE`, [
    ids,
  ])) as LockedHost[];
  return new Map(rows.map((row) => [row.id, row]));
}

/** The first decision of the batch on a host has to have seen the host as it is; the later ones follow from it. */
function sortOut(
  placed: readonly PlacedServer[],
  decided: readonly DecidedServer[],
  hosts: ReadonlyMap<string, LockedHost>,
): { valid: PlacedServer[]; conflicts: PlacedServer[] } {
  const first = new Map<string, number>();
  for (const { decision } of decided) {
    if (decision.outcome === 'placed' && !first.has(decision.hostId)) first.set(decision.hostId, decision.generation);
  }
  const isValid = ({ decision }: PlacedServer): boolean =>
    hosts.get(decision.hostId)?.generation === first.get(decision.hostId);
  return { valid: placed.filter(isValid), conflicts: placed.filter((entry) => !isValid(entry)) };
}

function claimDevices(states: ReadonlyMap<string, HostDeviceStates>, serverId: string, decision: Placement): void {
  const host = states.get(decision.hostId);
  for (const { address } of decision.devices) {
    if (!host) throw new BerthError('internal.error', `host ${decision.hostId} was not read`);
    host.apply('claim', address, serverId);
  }
}

async function writePlaced(tx: Tx, placed: readonly PlacedServer[], claimTimeoutMs: number): Promise<void> {
  if (placed.length === 0) return;
  const claims = placed.map((entry) => ({ ...entry, claimId: randomUUID() }));
  await touchHosts(tx, countHosts(placed));
  await tx.query(
    `UPDATE servers s SET host_id = c.host_id, attempts = attempts + 1, updated_at = now(), fault = NULL,
            status = CASE WHEN c.devices > 0 THEN 'BUILD' ELSE 'ACTIVE' END,
            task_state = CASE WHEN c.devices > 0 THEN 'preparing' END
       FROM unnest($1::uuid[], $2::uuid[], $3::int[]) AS c(id, host_id, devices) WHERE s.id = c.id`,
    [ids(placed), placed.map(hostId), placed.map(({ decision }) => decision.devices.length)],
  );
  await tx.query(
    `INSERT INTO claims (id, server_id, host_id, attempt, status, vcpus, memory_mb, disk_gb, numa_cells, expires_at)
     SELECT id, server_id, host_id, attempt, CASE WHEN devices > 0 THEN 'claimed' ELSE 'allocated' END,
            vcpus, memory_mb, disk_gb, numa_cells,
            CASE WHEN devices > 0 THEN now() + $10::int * interval '1 millisecond' END
       FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::int[], $5::int[], $6::int[], $7::int[], $8::jsonb[], $9::int[])
         AS c(id, server_id, host_id, attempt, vcpus, memory_mb, disk_gb, numa_cells, devices)`,
    [
      claims.map((claim) => claim.claimId),
      ids(claims),
      claims.map(hostId),
      claims.map((claim) => claim.server.attempts + 1),
      claims.map((claim) => claim.server.request.vcpus),
      claims.map((claim) => claim.server.request.memoryMb),
      claims.map((claim) => claim.server.request.diskGb),
      claims.map(({ decision }) => decision.numaCells && JSON.stringify(decision.numaCells)),
      claims.map((claim) => claim.decision.devices.length),
      claimTimeoutMs,
    ],
  );
  await writeAllocations(tx, claims);
  await writeDecisions(tx, placed);
  await addServerEvents(tx, placed.map(placedEvent));
  await sendPrepare(
    tx,
    claims.filter((claim) => claim.decision.devices.length > 0).map((claim) => claim.claimId),
  );
}

async function writeAllocations(tx: Tx, claims: readonly (PlacedServer & { claimId: string })[]): Promise<void> {
  const rows = claims.flatMap(({ claimId, server, decision }) =>
    decision.devices.map((device) => ({ claimId, serverId: server.id, ...device })),
  );
  if (rows.length === 0) return;
  await tx.query(
    `INSERT INTO allocations (id, claim_id, server_id, device_id, alias, request_index)
     SELECT gen_random_uuid(), * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::int[])`,
    [
      rows.map((row) => row.claimId),
      rows.map((row) => row.serverId),
      rows.map((row) => row.deviceId),
      rows.map((row) => row.alias),
      rows.map((row) => row.requestIndex),
    ],
  );
}

/** Writes the prepare commands of claims to the outbox. */
async function sendPrepare(tx: Tx, claimIds: readonly string[]): Promise<void> {
  if (claimIds.length === 0) return;
  const rows = (await tx.query(
    `SELECT c.id AS claim_id, c.server_id, h.name AS host,
            json_agg(json_build_object('address', d.address, 'vendor_id', d.vendor_id, 'product_id', d.product_id)
                     ORDER BY d.address) AS devices
       FROM claims c JOIN hosts h ON h.id = c.host_id JOIN allocations a ON a.claim_id = c.id
       JOIN devices d ON d.id = a.device_id
      WHERE c.id = ANY($1) GROUP BY c.id, c.server_id, h.name`,
    [claimIds],
  )) as {
    claim_id: string;
    server_id: string;
    host: string;
    devices: { address: string; vendor_id: string; product_id: string }[];
  }[];
  await addToOutbox(
    tx,
    rows.map(({ host, ...body }) => ({ queue: agentQueue(host), message: envelope('devices.prepare', body) })),
  );
}

async function writeRejected(tx: Tx, rejected: readonly DecidedServer[]): Promise<void> {
  if (rejected.length === 0) return;
  const faults = rejected.map(({ decision }) => ({
    code: 'placement.no_valid_host',
    message: (decision as Rejection).message,
    details: { rejections: (decision as Rejection).rejections.slice(0, 20) },
  }));
  await tx.query(
    `UPDATE servers s SET status = 'ERROR', task_state = NULL, host_id = NULL, fault = c.fault, updated_at = now()
       FROM unnest($1::uuid[], $2::jsonb[]) AS c(id, fault) WHERE s.id = c.id`,
    [ids(rejected), faults.map((fault) => JSON.stringify(fault))],
  );
  await writeDecisions(tx, rejected);
  await addServerEvents(
    tx,
    rejected.map(({ server, decision }) => ({
      serverId: server.id,
      event: 'rejected',
      message: (decision as Rejection).message,
    })),
  );
}

async function writeDecisions(tx: Tx, decided: readonly DecidedServer[]): Promise<void> {
  await tx.query(
    `INSERT INTO decisions (id, server_id, attempt, outcome, host_id, record)
     SELECT gen_random_uuid(), * FROM unnest($1::uuid[], $2::int[], $3::text[], $4::uuid[], $5::jsonb[])`,
    [
      ids(decided),
      decided.map((entry) => entry.server.attempts + 1),
      decided.map((entry) => entry.decision.outcome),
      decided.map(({ decision }) => (decision.outcome === 'placed' ? decision.hostId : null)),
      decided.map((entry) => JSON.stringify(entry.decision)),
    ],
  );
}

function placedEvent({ server, decision }: PlacedServer): ServerEvent {
  const devices = decision.devices.map(
    (device) => `${device.address}${device.requestIndex === null ? ' (companion)' : ''}`,
  );
  const what = devices.length === 0 ? 'no devices asked for' : `devices ${devices.join(', ')}`;
  return { serverId: server.id, event: 'placed', message: `Host ${decision.hostName}: ${what}.` };
}

function countHosts(placed: readonly PlacedServer[]): { id: string; by: number }[] {
  const counts = new Map<string, number>();
  for (const { decision } of placed) counts.set(decision.hostId, (counts.get(decision.hostId) ?? 0) + 1);
  return [...counts].map(([id, by]) => ({ id, by }));
}

function ids(entries: readonly { readonly server: WaitingServer }[]): string[] {
  return entries.map((entry) => entry.server.id);
}

function hostId(entry: PlacedServer): string {
  return entry.decision.hostId;
}
