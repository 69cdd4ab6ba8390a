import { BerthError } from '../errors.js';
import type { Placement } from '../placement/decision.js';
import type { ExcludedHost, PlacementRequest } from '../placement/request.js';
import { beginRelease, lockClaim } from './claim-outcomes.store.js';
import { commitDecisions } from './claims.store.js';
import type { Tx } from './database.js';
import type { QueueRules, WaitingServer } from './decided-server.js';
import { touchHosts } from './device-states.store.js';
import type { FlavorSnapshot } from './entities/workload.entities.js';
import { EFFECTIVE_STATUS } from './host-admin.store.js';
import { endActions } from './server-actions.store.js';
import { addServerEvents } from './server-events.store.js';
import { endMove } from './server-moves.store.js';
import { nudgeServer } from './servers.store.js';

/**
 * Servers that are to leave a host.
 *
 *   open ──room elsewhere, or `force`──► left
 *     ├──no room, and it does not wait──► stuck     (it stays where it is)
 *     └──it is over meanwhile──► left
 *   needs_owner: a placement; who asked for it has to move it
 */
export interface Leaving {
  readonly hostId: string;
  readonly hostName: string;
  readonly hostUp: boolean;
  readonly hostEnabled: boolean;
  readonly serverId: string;
  readonly serverName: string;
  /** What it is to have elsewhere. */
  readonly request: PlacementRequest;
  /** Its next one; null: it keeps its own. */
  readonly flavor: FlavorSnapshot | null;
  readonly waits: boolean;
  readonly force: boolean;
  readonly problem: string | null;
}

/** SQL: a request without the host that is left, where it asks for this one alone. */
function unbound(request: string, host: string): string {
  const path = `'{host,requestedHost}'`;
  return `CASE WHEN ${request} #>> ${path} = ${host} THEN ${request} #- ${path} ELSE ${request} END`;
}

/** Who has not left yet, on all hosts: the most important first. */
export async function readLeaving(tx: Tx, limit: number): Promise<Leaving[]> {
  return tx.query(
    `SELECT e.host_id AS "hostId", h.name AS "hostName", ${EFFECTIVE_STATUS} = 'up' AS "hostUp", h.enabled AS "hostEnabled",
            s.id AS "serverId", s.name AS "serverName", coalesce(e.request, ${unbound('s.request', 'h.name')}) AS request, e.flavor, e.waits, e.force, e.problem
       FROM evacuations e JOIN hosts h ON h.id = e.host_id JOIN servers s ON s.id = e.server_id
      WHERE e.state = 'open' ORDER BY e.problem IS NOT NULL, s.priority DESC, s.created_at, s.id LIMIT $1`,
    [limit],
  );
}

/** `busy`: something else is under way with it. `over`: it is not there any more. */
export type Ready = 'ready' | 'busy' | 'over';

/** Locks the server and says whether it can leave now. Of a host that is down, nothing that is under way there will end. */
export async function lockLeaving(tx: Tx, { serverId, hostId, hostUp, force }: Leaving): Promise<Ready> {
  const [server] = (await tx.query(
    `SELECT s.status, s.task_state, s.host_id FROM servers s WHERE s.id = $1 FOR NO KEY UPDATE`,
    [serverId],
  )) as { status: string; task_state: string | null; host_id: string | null }[];
  const isThere = server?.host_id === hostId && (server.status === 'ACTIVE' || server.status === 'BUILD');
  if (!isThere) return 'over';
  const isAtRest = server.task_state === null || server.task_state === 'preparing';
  return isAtRest || !hostUp || force ? 'ready' : 'busy';
}

/**
 * Takes the server from its host to where it was decided to go: new claim and release of the old ones in the caller's transaction,
 * so that it never is without devices. The server is locked.
 *
 * @throws BerthError `claim.conflict` when the new host has changed since the decision; nothing is written then
 */
export async function moveServer(
  tx: Tx,
  leaving: Leaving,
  decision: Placement,
  limits: { readonly claimTimeoutMs: number; readonly queue: QueueRules },
): Promise<void> {
  await lockInOrder(tx, leaving, decision.hostId);
  await leaveHost(tx, leaving, `Host ${decision.hostName} takes it.`);
  const server = waitingServer(leaving);
  const result = await commitDecisions(tx, [{ server, decision }], limits.claimTimeoutMs, limits.queue);
  if (!result.committed.includes(leaving.serverId)) {
    throw new BerthError('claim.conflict', `Host ${decision.hostName} has changed since the decision`);
  }
  await settle(tx, leaving, 'left', null);
  await endMove(tx, leaving.serverId, 'done', decision.hostName);
}

/** Takes the server from its host although there is no room elsewhere: it waits. The server is locked. */
export async function sendAway(tx: Tx, leaving: Leaving, problem: string): Promise<void> {
  await lockInOrder(tx, leaving, leaving.hostId);
  await leaveHost(tx, leaving, `No host takes it now (${problem}); it waits for room.`);
  await nudgeServer(tx, leaving.serverId);
  await settle(tx, leaving, 'left', null);
  await endMove(tx, leaving.serverId, 'done');
}

/** The server stays for now, or for good when nobody waits; the same problem is told once. */
export async function keepServer(tx: Tx, leaving: Leaving, problem: string): Promise<void> {
  await settle(tx, leaving, leaving.waits ? 'open' : 'stuck', problem);
  if (!leaving.waits) {
    await endMove(tx, leaving.serverId, 'failed');
    await tx.query(`UPDATE servers SET action = NULL WHERE id = $1 AND action IN ('migrate', 'resize')`, [
      leaving.serverId,
    ]);
    await endActions(tx, [leaving.serverId], 'error', problem);
  }
  if (problem === leaving.problem) return;
  const message = `It stays on host ${leaving.hostName}: ${problem}`;
  await addServerEvents(tx, [{ serverId: leaving.serverId, event: 'evacuation_stuck', message }]);
}

/** Ends an entry, or says why it goes on. */
export async function settle(
  tx: Tx,
  { hostId, serverId }: Pick<Leaving, 'hostId' | 'serverId'>,
  state: 'open' | 'left' | 'stuck',
  problem: string | null,
): Promise<void> {
  await tx.query(
    `UPDATE evacuations SET state = $3, problem = $4
      WHERE host_id = $1 AND server_id = $2 AND (state <> $3 OR problem IS DISTINCT FROM $4)`,
    [...[hostId, serverId, state, problem]],
  );
}

/** Servers, groups, hosts: the order that all transactions keep. */
async function lockInOrder(tx: Tx, { hostId, request }: Leaving, nextHostId: string): Promise<void> {
  const group = request.host?.group?.id ?? null;
  await tx.query(`SELECT 1 FROM server_groups WHERE id = $1 FOR NO KEY UPDATE`, [group]);
  await tx.query(`SELECT 1 FROM hosts WHERE id = ANY($1) ORDER BY id FOR UPDATE`, [[hostId, nextHostId]]);
}

/** The devices on the old host stay taken until its agent has given them back, however long it is silent. */
async function leaveHost(tx: Tx, leaving: Leaving, next: string): Promise<void> {
  const { serverId, hostId, hostName, request, flavor } = leaving;
  await tx.query(
    `UPDATE servers SET status = 'BUILD', task_state = 'scheduling', host_id = NULL, fault = NULL, attaching = NULL,
            waits = true, attempts = 0, excluded_hosts = $2::jsonb, action = NULL, request = $3::jsonb, flavor = coalesce($4::jsonb, flavor), updated_at = now()
      WHERE id = $1`,
    [serverId, JSON.stringify(lastingExclusion(leaving)), JSON.stringify(request), flavor && JSON.stringify(flavor)],
  );
  const claims = (await tx.query(
    `SELECT id FROM claims WHERE server_id = $1 AND host_id = $2 AND status IN ('claimed', 'allocated') ORDER BY id`,
    [serverId, hostId],
  )) as { id: string }[];
  for (const { id } of claims) {
    const claim = await lockClaim(tx, id);
    if (claim) await beginRelease(tx, claim);
  }
  await touchHosts(tx, [{ id: hostId, by: 1 }]);
  await addServerEvents(tx, [{ serverId, event: 'evacuating', message: `Leaves host ${hostName}. ${next}` }]);
}

/** A host that is disabled or down takes nobody anyway, and may take the server again once it is back. */
function lastingExclusion({ hostId, hostUp, hostEnabled }: Leaving): ExcludedHost[] {
  return hostUp && hostEnabled ? [leftHost(hostId)] : [];
}

/** The host that is being left, for a decision. */
export function leftHost(hostId: string): ExcludedHost {
  return { hostId, reason: 'its servers are evacuated' };
}

function waitingServer(leaving: Leaving): WaitingServer {
  const { serverId: id, serverName: name, request } = leaving;
  const alone = { attempts: 0, gang: null, waits: true, rank: 0, waitedMs: 0 } as const;
  return { id, name, request, excludedHosts: lastingExclusion(leaving), taskState: 'scheduling', ...alone };
}
