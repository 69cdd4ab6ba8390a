import { BerthError } from '../errors.js';
import type { PrepareTarget } from '../messages/bodies.js';
import type { WireServer } from '../messages/server-bodies.js';
import type { Address } from '../pci/address.js';
import type { Placement } from '../placement/decision.js';
import { readAgentLives, type AgentLife, type CommandFence } from './agent-lives.store.js';
import { writeAllocations, writeDecisions } from './claim-rows.store.js';
import { sendCommands } from './commands.store.js';
import type { Tx } from './database.js';
import type { DecidedServer, QueueRules, WaitingServer } from './decided-server.js';
import {
  readStatesAround,
  touchTakings,
  writeDeviceStates,
  type Card,
  type HostDeviceStates,
} from './device-states.store.js';
import { wireServer } from './guests.store.js';
import { newId } from './new-id.js';
import { insertPlacements } from './placements.store.js';
import { rankOf } from './queue.store.js';
import { withinQuotas } from './quota-decisions.store.js';
import { writeRejected } from './rejections.store.js';
import { endActions } from './server-actions.store.js';
import { addServerEvents, type ServerEvent } from './server-events.store.js';
import { lockGroupsAndCheck, type GroupPlacement } from './server-groups.store.js';

export type { DecidedServer, WaitingServer } from './decided-server.js';

/**
 * The servers of these ids that still wait to be placed, with those that were asked for together with them; others were placed,
 * or deleted, meanwhile. In the order in which they are to be decided on: who a host is kept for, then by rank.
 *
 * @param ageingPerMinute by how much the priority of a server grows while it waits
 */
export async function readWaitingServers(
  tx: Tx,
  ids: readonly string[],
  ageingPerMinute = 0,
): Promise<WaitingServer[]> {
  const rows = (await tx.query(
    `SELECT id, name, attempts, request, excluded_hosts AS "excludedHosts", task_state AS "taskState", waits,
            CASE WHEN gang_min IS NOT NULL THEN json_build_object('id', gang_id, 'countMin', gang_min) END AS gang,
            coalesce(queue_rank, ${rankOf('$2', 'coalesce(queued_at, created_at)')}) AS rank,
            CASE task_state WHEN 'waiting' THEN round(extract(epoch FROM now() - queued_at) * 1000)::float8
                            ELSE 0 END AS "waitedMs"
       FROM servers
      WHERE status = 'BUILD' AND task_state IN ('scheduling', 'waiting')
        AND id IN (SELECT unnest($1::uuid[])
                   UNION SELECT m.id FROM servers g JOIN servers m ON m.gang_id = g.gang_id
                          WHERE g.id = ANY($1) AND g.gang_min IS NOT NULL AND m.gang_min IS NOT NULL)
      ORDER BY (nominated_host_id IS NULL), rank, coalesce(queued_at, created_at), gang_id, gang_place, id`,
    [ids, ageingPerMinute],
  )) as WaitingServer[];
  return rows;
}

export interface CommitResult {
  /** Server ids whose decision is in the ledger now. */
  readonly committed: readonly string[];
  /** Server ids whose host changed since the decision, and whoever was turned down because of them: look again. */
  readonly conflicts: readonly string[];
  /** Of the committed, those that had a place and were turned down all the same, as they are written. */
  readonly refused: readonly DecidedServer[];
  /** Hosts of conflicts and of servers that are gone: what was put ahead of the commit is wrong. */
  readonly staleHosts: readonly string[];
}

/** Nobody may wait. */
const NO_QUEUE: QueueRules = { max: 0, ageingPerMinute: 0 };

type PlacedServer = DecidedServer & { readonly decision: Placement };

/**
 * Writes a batch of decisions: claims, allocations, device states, servers, decision records and the prepare commands,
 * in the caller's transaction. A conflict touches only the servers of the host it is about; but servers that were asked for
 * together are taken back together, and with them whoever was decided after them on their hosts.
 *
 * Locks are taken in one order everywhere (servers, then hosts, each by id, then quotas), so that transactions cannot deadlock.
 */
export async function commitDecisions(
  tx: Tx,
  decided: readonly DecidedServer[],
  claimTimeoutMs: number,
  queue: QueueRules = NO_QUEUE,
  isWrongAbout: (hostId: string) => boolean = () => false,
): Promise<CommitResult> {
  const { alive, leaving } = await lockServers(tx, decided);
  const missing = decided.filter((entry) => !alive.has(entry));
  const breaking = await lockGroupsAndCheck(tx, [...alive].flatMap(groupPlacement));
  const hosts = await lockHosts(tx, decided);
  const stale = staleIn(decided, { hosts, gone: missing, leaving, breaking, isWrongAbout });
  const isStale = (entry: DecidedServer): boolean =>
    stale.gangs.has(entry.server.gang?.id ?? '') || stale.hosts.has(hostOf(entry) ?? '');
  const conflicts = [...alive].filter(isStale);
  const quota = await withinQuotas(
    tx,
    [...alive].filter((entry) => !isStale(entry)),
  );
  const sound = quota.within;
  const placed = sound.filter((entry): entry is PlacedServer => entry.decision.outcome === 'placed');
  const twice = await insertPlacements(tx, placed);
  const gone = [...missing, ...twice];
  const valid = twice.size === 0 ? placed : placed.filter((entry) => !twice.has(entry));
  // a "no" may have counted on devices that a conflicting, vanished or refused neighbour of the batch never got
  const shaky = conflicts.length + gone.length + quota.over.length > 0;
  const no = sound.filter((entry) => entry.decision.outcome === 'rejected');
  const states = await readStatesAround(tx, deviceIds(valid));
  for (const { server, decision } of valid) claimDevices(states, server.id, decision);
  await writeDeviceStates(tx, states.values());
  await writePlaced(tx, valid, { claimTimeoutMs, states });
  const written = [...quota.over, ...(shaky ? [] : no)];
  const ofServers = written.filter(({ server }) => !server.placement);
  await writeRejected(tx, ofServers, queue);
  await writeDecisions(tx, [
    ...valid.filter(({ server }) => !server.placement),
    ...ofServers.filter(({ server }) => server.taskState === 'scheduling'),
  ]);
  await closeGangs(tx, [...valid, ...no, ...quota.over]);
  return {
    committed: [...valid, ...written].map((entry) => entry.server.id),
    conflicts: [...conflicts, ...(shaky ? no : [])].map((entry) => entry.server.id),
    refused: quota.over,
    staleHosts: [...[...conflicts, ...gone, ...written].flatMap((entry) => hostOf(entry) ?? []), ...quota.hosts],
  };
}

function groupPlacement({ server, decision }: DecidedServer): GroupPlacement[] {
  if (decision.outcome === 'rejected') return [];
  return [{ serverId: server.id, hostId: decision.hostId, groupId: server.request.host?.group?.id ?? null }];
}

/** Where the decision changes something: where the server goes, or where others have to leave for it. */
function hostOf({ decision, fate }: DecidedServer): string | null {
  if (decision.outcome === 'placed') return decision.hostId;
  return fate?.kind === 'preempt' ? fate.plan.hostId : null;
}

function victimsOf({ fate }: DecidedServer): string[] {
  return fate?.kind === 'preempt' ? fate.plan.victims.map(({ id }) => id) : [];
}

interface LockedServers {
  /** Those that still wait for the decision, in their order. */
  readonly alive: ReadonlySet<DecidedServer>;
  /** Ids of victims that are still at rest where they were. */
  readonly leaving: ReadonlySet<string>;
}

async function lockServers(tx: Tx, decided: readonly DecidedServer[]): Promise<LockedServers> {
  const known = decided.filter(({ server }) => !server.placement);
  if (known.length === 0) return { alive: new Set(decided), leaving: new Set() };
  const rows = (await tx.query(
    `SELECT id, status, task_state FROM servers WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE`,
    [known.flatMap((entry) => [entry.server.id, ...victimsOf(entry)])],
  )) as { id: string; status: string; task_state: string | null }[];
  const waiting = rows.filter(
    ({ status, task_state }) => status === 'BUILD' && (task_state === 'scheduling' || task_state === 'waiting'),
  );
  const settled = rows.filter(({ status, task_state }) => status === 'ACTIVE' && task_state === null);
  const ids = new Set(waiting.map((row) => row.id));
  return {
    alive: new Set(decided.filter(({ server }) => server.placement || ids.has(server.id))),
    leaving: new Set(settled.map((row) => row.id)),
  };
}

interface LockedHost {
  readonly id: string;
  readonly generation: number;
  readonly status: string;
}

async function lockHosts(tx: Tx, decided: readonly DecidedServer[]): Promise<Map<string, LockedHost>> {
  const ids = decided.flatMap((entry) => hostOf(entry) ?? []);
  const rows = (await tx.query(`SELECT id, generation, status FROM hosts WHERE id = ANY($1) ORDER BY id FOR UPDATE`, [
    ids,
  ])) as LockedHost[];
  return new Map(rows.map((row) => [row.id, row]));
}

/** The ledger as the batch finds it. */
interface Findings {
  readonly hosts: ReadonlyMap<string, LockedHost>;
  /** Decided servers that do not wait any more. */
  readonly gone: readonly DecidedServer[];
  /** Ids of victims that are still at rest where they were. */
  readonly leaving: ReadonlySet<string>;
  /** Ids of servers that would break their group's policy. */
  readonly breaking: ReadonlySet<string>;
  /** Hosts that were put ahead for something that never came to be. */
  readonly isWrongAbout: (hostId: string) => boolean;
}

/**
 * Hosts and gangs whose decisions do not hold. The first decision of the batch on a host has to have seen the host as it is;
 * the later ones follow from it. A gang that has lost a host or a member is taken back whole, and its other hosts with it, for
 * what was decided there afterwards had seen it.
 */
function staleIn(
  decided: readonly DecidedServer[],
  { hosts, gone, leaving, breaking, isWrongAbout }: Findings,
): { readonly hosts: ReadonlySet<string>; readonly gangs: ReadonlySet<string> } {
  const staleHosts = new Set<string>();
  const seen = new Set<string>();
  for (const entry of decided) {
    const host = hostOf(entry);
    if (host === null) continue;
    const isAsSeen = hosts.get(host)?.generation === generationOf(entry) && !isWrongAbout(host);
    if (!seen.has(host) && !isAsSeen) staleHosts.add(host);
    if (breaking.has(entry.server.id) || victimsOf(entry).some((id) => !leaving.has(id))) staleHosts.add(host);
    seen.add(host);
  }
  const gangs = new Set(gone.flatMap(({ server }) => server.gang?.id ?? []));
  for (let before = -1; before !== staleHosts.size + gangs.size;) {
    before = staleHosts.size + gangs.size;
    for (const entry of decided) {
      const [host, gang] = [hostOf(entry), entry.server.gang?.id];
      if (host === null || gang === undefined) continue;
      if (staleHosts.has(host)) gangs.add(gang);
      else if (gangs.has(gang)) staleHosts.add(host);
    }
  }
  return { hosts: staleHosts, gangs };
}

function generationOf({ decision, fate }: DecidedServer): number | null {
  if (decision.outcome === 'placed') return decision.generation;
  return fate?.kind === 'preempt' ? fate.plan.generation : null;
}

/** Once some of a gang are placed, the others are servers like any. */
async function closeGangs(tx: Tx, decided: readonly DecidedServer[]): Promise<void> {
  const placed = decided.filter(({ decision }) => decision.outcome === 'placed').map(({ server }) => server.gang?.id);
  const members = decided.filter(({ server: { gang } }) => gang !== null && placed.includes(gang.id));
  if (members.length === 0) return;
  await tx.query(`UPDATE servers SET gang_min = NULL WHERE id = ANY($1)`, [ids(members)]);
}

function deviceIds(placed: readonly PlacedServer[]): string[] {
  return placed.flatMap(({ decision }) => decision.devices.map(({ deviceId }) => deviceId));
}

function claimDevices(states: ReadonlyMap<string, HostDeviceStates>, serverId: string, decision: Placement): void {
  const host = states.get(decision.hostId);
  for (const { address } of decision.devices) {
    if (!host) throw new BerthError('internal.error', `host ${decision.hostId} was not read`);
    host.apply('claim', address, serverId);
  }
}

interface WriteOptions {
  readonly claimTimeoutMs: number;
  readonly states: ReadonlyMap<string, HostDeviceStates>;
}

async function writePlaced(
  tx: Tx,
  placed: readonly PlacedServer[],
  { claimTimeoutMs, states }: WriteOptions,
): Promise<void> {
  if (placed.length === 0) return;
  const claims = placed.map((entry) => ({ ...entry, claimId: newId() }));
  await touchTakings(tx, countHosts(placed));
  const servers = placed.filter(({ server }) => !server.placement);
  await settleServers(tx, servers);
  const numbers = await insertClaims(tx, claims, claimTimeoutMs);
  const lives = await readAgentLives(tx, [...new Set(placed.map(hostId))]);
  await writeAllocations(
    tx,
    claims.map(({ claimId, server, decision }) => ({ claimId, serverId: server.id, devices: decision.devices })),
  );
  await addServerEvents(tx, servers.map(placedEvent));
  await sendCommands(
    tx,
    'devices.prepare',
    claims
      .filter(({ decision }) => decision.devices.length > 0)
      .map(({ claimId, server, decision }) => ({
        host: decision.hostName,
        body: {
          ...{ claim_id: claimId, server_id: server.id, devices: targetsOf(decision, states) },
          ...fenceOf(numbers.get(claimId), lives.get(decision.hostName)),
          ...guestOf(server, decision, lives.get(decision.hostName)),
        },
      })),
  );
}

function fenceOf(number: number | undefined, life: AgentLife | undefined): CommandFence {
  return number === undefined || life === undefined ? {} : { claim_number: number, incarnation: life.incarnation };
}

/** What its agent has to know to start the server's guest; a placement's is its orchestrator's. */
function guestOf(
  { name, request, placement }: WaitingServer,
  { numaCells }: Placement,
  life: AgentLife | undefined,
): { server?: WireServer } {
  return life?.startsGuests && !placement ? { server: wireServer({ name, request, numaCells }) } : {};
}

function targetsOf({ hostId, devices }: Placement, states: ReadonlyMap<string, HostDeviceStates>): PrepareTarget[] {
  return devices
    .map(({ address }) => ({ address, ...cardOf(states, hostId, address) }))
    .sort((a, b) => (a.address < b.address ? -1 : 1));
}

function cardOf(states: ReadonlyMap<string, HostDeviceStates>, hostId: string, address: Address): Card {
  const card = states.get(hostId)?.card(address);
  if (!card) throw new BerthError('internal.error', `device ${address} of host ${hostId} was not read`);
  return card;
}

async function settleServers(tx: Tx, placed: readonly PlacedServer[]): Promise<void> {
  if (placed.length === 0) return;
  await tx.query(
    `UPDATE servers s SET host_id = c.host_id, attempts = attempts + 1, updated_at = now(), fault = NULL,
            queue_rank = NULL, nominated_host_id = NULL,
            status = CASE WHEN c.devices > 0 THEN 'BUILD' ELSE 'ACTIVE' END,
            task_state = CASE WHEN c.devices > 0 THEN 'preparing' END,
            vm_state = 'active', action = CASE WHEN c.devices > 0 THEN action END
       FROM unnest($1::uuid[], $2::uuid[], $3::int[]) AS c(id, host_id, devices) WHERE s.id = c.id`,
    [ids(placed), placed.map(hostId), placed.map(({ decision }) => decision.devices.length)],
  );
  const ready = placed.filter(({ decision }) => decision.devices.length === 0);
  await endActions(tx, ids(ready), 'success');
}

/** @returns the number of each claim */
async function insertClaims(
  tx: Tx,
  claims: readonly (PlacedServer & { readonly claimId: string })[],
  claimTimeoutMs: number,
): Promise<ReadonlyMap<string, number>> {
  const rows = (await tx.query(
    `INSERT INTO claims (id, server_id, host_id, attempt, status, vcpus, memory_mb, disk_gb, numa_cells, expires_at)
     SELECT id, server_id, host_id, attempt, CASE WHEN devices > 0 THEN 'claimed' ELSE 'allocated' END,
            vcpus, memory_mb, disk_gb, numa_cells,
            CASE WHEN devices > 0 THEN now() + $10::int * interval '1 millisecond' END
       FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::int[], $5::int[], $6::int[], $7::int[], $8::jsonb[], $9::int[])
         AS c(id, server_id, host_id, attempt, vcpus, memory_mb, disk_gb, numa_cells, devices)
     RETURNING id, number`,
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
  )) as { id: string; number: number }[];
  return new Map(rows.map(({ id, number }) => [id, number]));
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
