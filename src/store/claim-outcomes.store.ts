import type { ReleasedDevice, WireBinding } from '../messages/bodies.js';
import { envelope } from '../messages/envelope.js';
import { QUEUES } from '../messages/routes.js';
import { FENCE, type CommandFence } from './agent-lives.store.js';
import { sendCommands } from './commands.store.js';
import { giveBack, writeHoldReasons, type GivenBack, type ReleasedByClaim } from './cleaning.store.js';
import type { Tx } from './database.js';
import { jsonList } from './json-list.js';
import { readDrifted, settleDriftsAtRelease } from './device-drift.store.js';
import { readStatesAround, touchHosts, touchTakings, writeDeviceStates } from './device-states.store.js';
import type {
  ClaimKind,
  ClaimStatus,
  Fault,
  GuestAction,
  ServerKind,
  ServerStatus,
  TaskState,
} from './entities/workload.entities.js';
import { addToOutbox } from './outbox.store.js';
import { endDetach } from './detach.store.js';
import { readBareGuests } from './guests.store.js';
import { endActions } from './server-actions.store.js';
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
  readonly serverKind: ServerKind;
  readonly serverStatus: ServerStatus;
  readonly taskState: TaskState | null;
  readonly attempts: number;
  readonly action: GuestAction | null;
}

/** Locks a claim with its server and host, in that order; null when there is no such claim. */
export async function lockClaim(tx: Tx, claimId: string): Promise<LockedClaim | null> {
  const [claim] = await lockClaims(tx, [claimId]);
  return claim ?? null;
}

/**
 * {@link lockClaim} of several: all servers, then all hosts, then the claims, each by id. One statement: to count the locked servers,
 * all of them have to be locked, before the first host is looked at; and so on. What it returns are the rows as they are once locked.
 */
export async function lockClaims(tx: Tx, claimIds: readonly string[]): Promise<LockedClaim[]> {
  return tx.query(
    `WITH s AS MATERIALIZED (
       SELECT id, kind, status, task_state, attempts, action FROM servers
        WHERE id IN (SELECT server_id FROM claims WHERE id = ANY($1)) ORDER BY id FOR NO KEY UPDATE
     ), h AS MATERIALIZED (
       SELECT id, name FROM hosts
        WHERE (SELECT count(*) FROM s) >= 0 AND id IN (SELECT host_id FROM claims WHERE id = ANY($1)) ORDER BY id FOR UPDATE
     )
     SELECT c.id, c.server_id AS "serverId", c.host_id AS "hostId", h.name AS "hostName", c.status, c.kind,
            s.kind AS "serverKind", s.status AS "serverStatus", s.task_state AS "taskState", s.attempts, s.action
       FROM claims c JOIN s ON s.id = c.server_id JOIN h ON h.id = c.host_id
      WHERE (SELECT count(*) FROM h) >= 0 AND c.id = ANY($1) ORDER BY c.id FOR UPDATE OF c`,
    [claimIds],
  );
}

/** A claim whose devices the agent has bound. */
export interface Confirmed {
  readonly claim: LockedClaim;
  readonly bindings: readonly WireBinding[];
  /** The life of the agent that bound them. */
  readonly epoch?: number;
}

/**
 * The agents have bound the devices: claims become allocations, servers ACTIVE. Nothing changes for decisions, a device is as
 * taken as before: the hosts' generations stay.
 */
export async function confirmClaims(tx: Tx, confirmed: readonly Confirmed[]): Promise<void> {
  if (confirmed.length === 0) return;
  const claimIds = confirmed.map(({ claim }) => claim.id);
  const held = await readHeld(tx, claimIds);
  const states = await readStatesAround(tx, held.map(deviceId));
  for (const { host_id, address, server_id } of held) states.get(host_id)?.apply('allocate', address, server_id);
  await writeDeviceStates(tx, states.values());
  await writeConfirmed(tx, confirmed, held);
  await addServerEvents(
    tx,
    confirmed
      .filter(({ claim }) => claim.serverKind === 'server')
      .map(({ claim, bindings: of }) => ({
        serverId: claim.serverId,
        event: 'prepared',
        message: `Host ${claim.hostName}: ${of.map(({ address, driver }) => `${address} → ${driver}`).join(', ')}.`,
      })),
  );
}

/**
 * Different tables, and all rows locked: one statement. That a build has succeeded on a host matters to weighers only where builds had
 * failed.
 */
async function writeConfirmed(tx: Tx, confirmed: readonly Confirmed[], held: readonly Held[]): Promise<void> {
  const bound = boundOnes(confirmed, held);
  await tx.query(
    `WITH bound AS (
       UPDATE allocations a SET binding = b.binding
         FROM ROWS FROM (unnest($5::uuid[], $6::uuid[]), jsonb_array_elements($7::jsonb)) AS b(claim_id, device_id, binding)
        WHERE a.device_id = b.device_id AND a.claim_id = b.claim_id AND a.released_at IS NULL
     ), allocated AS (
       UPDATE claims c SET status = 'allocated', expires_at = NULL, updated_at = now(), epoch = coalesce(e.epoch, c.epoch)
         FROM unnest($1::uuid[], $2::bigint[]) AS e(id, epoch) WHERE c.id = e.id
     ), active AS (
       UPDATE servers SET status = 'ACTIVE', task_state = NULL, fault = NULL, action = CASE action WHEN 'unshelve' THEN NULL ELSE action END,
              updated_at = now() WHERE id = ANY($3)
     ), ended AS (
       UPDATE server_actions SET finished_at = clock_timestamp(), result = 'success'
        WHERE server_id = ANY($3) AND finished_at IS NULL AND asked_at IS NULL
     )
     UPDATE hosts SET revision = revision + 1, generation = generation + (failed_builds > 0)::int,
            facts_generation = CASE WHEN failed_builds > 0 THEN generation + 1 ELSE facts_generation END, failed_builds = 0,
            changed_xid = (pg_current_xact_id()::text)::bigint
      WHERE id = ANY($4)`,
    [
      confirmed.map(({ claim }) => claim.id),
      confirmed.map(({ epoch }) => epoch ?? null),
      confirmed.map(({ claim }) => claim.serverId),
      [...new Set(confirmed.map(({ claim }) => claim.hostId))],
      bound.map(({ claim_id }) => claim_id),
      bound.map(({ device_id }) => device_id),
      jsonList(bound.map(({ text }) => text)),
    ],
  );
}

/** The devices of which the agent says how it bound them, with what it says. */
function boundOnes(
  confirmed: readonly Confirmed[],
  held: readonly Held[],
): (Pick<Held, 'claim_id' | 'device_id'> & { readonly text: string })[] {
  const texts = new Map(
    confirmed.flatMap(({ claim, bindings }) =>
      bindings.map((binding) => [`${claim.id} ${binding.address}`, JSON.stringify(binding)] as const),
    ),
  );
  return held.flatMap(({ claim_id, device_id, address }) => {
    const text = texts.get(`${claim_id} ${address}`);
    return text === undefined ? [] : [{ claim_id, device_id, text }];
  });
}

/** Asks the agent to give the claim's devices back. The devices stay taken until it says so. */
export async function beginRelease(tx: Tx, claim: LockedClaim): Promise<void> {
  await beginReleases(tx, [claim]);
}

/** {@link beginRelease} of several; who holds nothing is released at once. */
export async function beginReleases(tx: Tx, claims: readonly LockedClaim[]): Promise<void> {
  if (claims.length === 0) return;
  const claimIds = claims.map((claim) => claim.id);
  await tx.query(`UPDATE claims SET status = 'releasing', expires_at = NULL, updated_at = now() WHERE id = ANY($1)`, [
    claimIds,
  ]);
  const holding = new Set((await readHeld(tx, claimIds)).map((held) => held.claim_id));
  for (const claimId of await readBareGuests(tx, claimIds)) holding.add(claimId);
  await finishReleases(
    tx,
    claims.filter(({ id }) => !holding.has(id)).map((claim) => ({ ...claim, status: 'releasing' })),
  );
  await sendReleases(
    tx,
    claims.filter(({ id }) => holding.has(id)),
  );
}

type ToRelease = Pick<LockedClaim, 'id' | 'serverId' | 'hostName'>;

/** Writes the release command to the outbox: once at the start, again by the sweep while no answer came. */
export async function sendRelease(tx: Tx, claim: ToRelease): Promise<void> {
  await sendReleases(tx, [claim]);
}

async function sendReleases(tx: Tx, claims: readonly ToRelease[]): Promise<void> {
  if (claims.length === 0) return;
  const rows = (await tx.query(
    `SELECT c.id, c.split_from, ${FENCE} AS fence,
            CASE WHEN c.split_from IS NOT NULL THEN
              (SELECT array_agg(d.address ORDER BY d.address) FROM allocations a JOIN devices d ON d.id = a.device_id
                WHERE a.claim_id = c.id AND a.released_at IS NULL) END AS addresses
       FROM claims c JOIN hosts h ON h.id = c.host_id WHERE c.id = ANY($1)`,
    [claims.map((claim) => claim.id)],
  )) as { id: string; split_from: string | null; fence: CommandFence; addresses: string[] | null }[];
  const known = new Map(rows.map((row) => [row.id, row]));
  await sendCommands(
    tx,
    'devices.release',
    claims.map(({ id, serverId, hostName }) => {
      const { split_from: from = null, fence = {}, addresses = null } = known.get(id) ?? {};
      const split = from === null ? {} : { split_from: { claim_id: from, addresses: addresses ?? [] } };
      return { host: hostName, body: { claim_id: id, server_id: serverId, ...split, ...fence } };
    }),
  );
}

/**
 * The agent has given the devices back (or never had them): they are free. A device that is not reported any more is
 * removed, one that changed while it was in use takes its new facts. A server that waited for this to be deleted is.
 */
export async function finishRelease(
  tx: Tx,
  claim: LockedClaim,
  devices: readonly ReleasedDevice[] = [],
): Promise<void> {
  await finishReleases(tx, [claim], new Map([[claim.id, devices]]));
}

/** {@link finishRelease} of several. */
export async function finishReleases(
  tx: Tx,
  claims: readonly LockedClaim[],
  released: ReleasedByClaim = new Map(),
): Promise<void> {
  if (claims.length === 0) return;
  const claimIds = claims.map((claim) => claim.id);
  const held = await readHeld(tx, claimIds);
  const drifted = await readDrifted(tx, [...new Set(held.filter(isDrifted).map(({ host_id }) => host_id))]);
  const states = await readStatesAround(tx, [...held, ...drifted].map(deviceId));
  await writeHoldReasons(tx, giveBack(held, states, released));
  await settleDriftsAtRelease(tx, new Set(held.map(deviceId)), drifted, states);
  await writeDeviceStates(tx, states.values());
  if (held.some(({ missing, pending }) => missing || pending)) await applyPendingFacts(tx, claimIds);
  await tx.query(
    `WITH freed AS (UPDATE allocations SET released_at = now() WHERE claim_id = ANY($1) AND released_at IS NULL)
     UPDATE claims SET status = 'released', expires_at = NULL, updated_at = now() WHERE id = ANY($1)`,
    [claimIds],
  );
  const isCaredFor = [...released.values()].flat().some(({ care }) => care);
  const isOther =
    isCaredFor || held.some((one) => one.missing || one.pending || one.withdrawn || one.drifted || one.used_up);
  await (isOther ? touchHosts : touchTakings)(tx, countHosts(claims));
  for (const claim of claims) if (claim.taskState === 'detaching') await endDetach(tx, claim);
  await deleteWhenReleased(
    tx,
    claims.map((claim) => claim.serverId),
  );
}

function countHosts(claims: readonly LockedClaim[]): { id: string; by: number }[] {
  const counts = new Map<string, number>();
  for (const { hostId } of claims) counts.set(hostId, (counts.get(hostId) ?? 0) + 1);
  return [...counts].map(([id, by]) => ({ id, by }));
}

/** Servers of these that are being deleted and hold nothing any more are gone. */
export async function deleteWhenReleased(tx: Tx, serverIds: readonly string[]): Promise<void> {
  const [deleted] = (await tx.query(
    `UPDATE servers s SET status = 'DELETED', task_state = NULL, updated_at = now()
      WHERE id = ANY($1) AND status = 'DELETING'
        AND NOT EXISTS (SELECT 1 FROM claims c WHERE c.server_id = s.id AND c.status <> 'released')
      RETURNING id, kind`,
    [serverIds],
  )) as [{ id: string; kind: ServerKind }[], number];
  await endActions(
    tx,
    deleted.filter(({ kind }) => kind === 'server').map(({ id }) => id),
    'success',
  );
  await addServerEvents(
    tx,
    deleted
      .filter(({ kind }) => kind === 'server')
      .map(({ id }) => ({ serverId: id, event: 'deleted', message: 'All devices are released.' })),
  );
}

/**
 * The host failed the server: it is tried elsewhere, or ends in ERROR when it has been tried often enough. Losing a race
 * for a device never comes here: that is a conflict, and costs no attempt.
 */
export async function tryElsewhere(tx: Tx, claim: LockedClaim, fault: Fault, attemptsMax: number): Promise<void> {
  await countFailedBuild(tx, claim.hostId);
  if (claim.serverStatus !== 'BUILD') return;
  // where a placement is, its orchestrator was told: it never moves
  const again = claim.serverKind === 'server' && claim.attempts < attemptsMax;
  await tx.query(
    `UPDATE servers SET status = $2, task_state = $3, host_id = NULL, fault = $4::jsonb, updated_at = now(),
            excluded_hosts = excluded_hosts || $5::jsonb, action = CASE $2 WHEN 'BUILD' THEN action END
      WHERE id = $1`,
    [
      claim.serverId,
      again ? 'BUILD' : claim.action === 'unshelve' ? 'SHELVED' : 'ERROR',
      again ? 'scheduling' : null,
      JSON.stringify(fault),
      JSON.stringify([{ hostId: claim.hostId, reason: fault.message }]),
    ],
  );
  if (!again) await endActions(tx, [claim.serverId], 'error', fault.message);
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

/** A device that a claim holds. */
interface Held extends GivenBack {
  /** It was withdrawn while it was in use. */
  readonly withdrawn: boolean;
  /** Something happened to it meanwhile. */
  readonly drifted: boolean;
}

async function readHeld(tx: Tx, claimIds: readonly string[]): Promise<Held[]> {
  return tx.query(
    `SELECT a.claim_id, a.server_id, d.host_id, d.id AS device_id, d.address, d.missing_since IS NOT NULL AS missing,
            d.pending_facts IS NOT NULL AS pending, NOT d.offered AS withdrawn,
            d.drift IS NOT NULL AS drifted,
            a.binding IS NOT NULL AND coalesce(d.facts #>> '{offer,tags,one_time_use}', '') ~* '^(1|t|true|on|y|yes)$' AS used_up
       FROM allocations a JOIN devices d ON d.id = a.device_id
      WHERE a.claim_id = ANY($1) AND a.released_at IS NULL ORDER BY d.host_id, d.address`,
    [claimIds],
  );
}

function deviceId(row: { readonly device_id: string }): string {
  return row.device_id;
}

function isDrifted({ drifted }: Held): boolean {
  return drifted;
}

async function applyPendingFacts(tx: Tx, claimIds: readonly string[]): Promise<void> {
  await tx.query(
    `UPDATE devices d SET missing_since = NULL, facts = coalesce(pending_facts, facts), pending_facts = NULL,
            vendor_id = coalesce(pending_facts, facts)->>'vendor_id',
            product_id = coalesce(pending_facts, facts)->>'product_id',
            device_type = coalesce(pending_facts, facts)->>'device_type',
            parent_address = coalesce(pending_facts, facts)->>'parent_address',
            numa_node = (coalesce(pending_facts, facts)->>'numa_node')::int,
            iommu_group = (coalesce(pending_facts, facts)->>'iommu_group')::int,
            offered = coalesce(pending_facts, facts)->'offer' <> 'null'
       FROM allocations a WHERE a.claim_id = ANY($1) AND a.device_id = d.id AND a.released_at IS NULL`,
    [claimIds],
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

/** Claims that have been in this status for at least this long without an answer; they are marked as reminded now. */
export async function takeSlowClaims(
  tx: Tx,
  status: 'claimed' | 'releasing',
  afterMs: number,
  limit: number,
): Promise<string[]> {
  const [rows] = (await tx.query(
    `UPDATE claims SET updated_at = now() WHERE id IN
       (SELECT id FROM claims WHERE status = $3 AND updated_at < now() - $1::int * interval '1 millisecond'
         ORDER BY updated_at LIMIT $2 FOR UPDATE SKIP LOCKED)
     RETURNING id`,
    [afterMs, limit, status],
  )) as [unknown, number];
  return idsOf(rows);
}

function idsOf(rows: unknown): string[] {
  return (rows as { id: string }[]).map((row) => row.id);
}
