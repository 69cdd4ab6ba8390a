import { envelope } from '../messages/envelope.js';
import { agentQueue } from '../messages/routes.js';
import { GUEST_ACTS, type ActOnGuest, type GuestAct, type GuestActed } from '../messages/server-bodies.js';
import type { PlacementRequest } from '../placement/request.js';
import type { Tx } from './database.js';
import type { FlavorSnapshot, GuestAction, ServerStatus, TaskState, VmState } from './entities/workload.entities.js';
import { wireServer } from './guests.store.js';
import { addToOutbox } from './outbox.store.js';
import { beginActions, endAskedAction, type Asker } from './server-actions.store.js';
import { addServerEvents } from './server-events.store.js';

/**
 * What is done with the guest of an ACTIVE server. Where its agent runs guests, the agent is asked, and the server has an action under way
 * until it answers; where somebody else runs them, it is so at once, and whoever runs them looks here. The devices stay with the server.
 */
export interface ActingServer {
  readonly id: string;
  readonly name: string;
  readonly projectId: string;
  readonly status: ServerStatus;
  readonly taskState: TaskState | null;
  readonly vmState: VmState;
  readonly action: GuestAction | null;
  readonly lockedBy: 'owner' | 'admin' | null;
  readonly lockedReason: string | null;
  readonly hostId: string | null;
  readonly hostName: string | null;
  /** Whether its host's agent runs its guest. */
  readonly isGuest: boolean;
  readonly request: PlacementRequest;
  readonly flavor: FlavorSnapshot | null;
}

/** The server with its row locked; null when there is no such server. Deleted ones too. */
export async function lockActing(tx: Tx, id: string): Promise<ActingServer | null> {
  const [server] = (await tx.query(
    `SELECT s.id, s.name, s.project_id AS "projectId", s.status, s.task_state AS "taskState", s.vm_state AS "vmState", s.action,
            s.locked_by AS "lockedBy", s.locked_reason AS "lockedReason", s.host_id AS "hostId", h.name AS "hostName",
            h.compute_driver IS NOT NULL AS "isGuest", s.request, s.flavor
       FROM servers s LEFT JOIN hosts h ON h.id = s.host_id WHERE s.id = $1 AND s.kind = 'server' FOR NO KEY UPDATE OF s`,
    [id],
  )) as ActingServer[];
  return server ?? null;
}

/** Where the server is, as it stands; null: nowhere. */
export async function readHostName(tx: Tx, id: string): Promise<string | null> {
  const [row] = (await tx.query(`SELECT h.name FROM servers s JOIN hosts h ON h.id = s.host_id WHERE s.id = $1`, [
    id,
  ])) as { name: string }[];
  return row?.name ?? null;
}

/** What later decisions on the server go by. */
export async function changeRequest(tx: Tx, id: string, request: PlacementRequest): Promise<void> {
  await tx.query(`UPDATE servers SET request = $2::jsonb WHERE id = $1`, [id, JSON.stringify(request)]);
}

/** How the guest is when it was done. */
const AFTER: Readonly<Record<GuestAct, VmState>> = {
  ...{ stop: 'stopped', pause: 'paused', suspend: 'suspended', unpause: 'active', resume: 'active' },
  ...{ start: 'active', reboot: 'active', reboot_hard: 'active', rebuild: 'active' },
};

/** What a server's history says of it. */
const TOLD: Readonly<Record<GuestAct, string>> = {
  ...{ stop: 'stopped', pause: 'paused', suspend: 'suspended', unpause: 'unpaused', resume: 'resumed' },
  ...{ start: 'started', reboot: 'rebooted', reboot_hard: 'rebooted', rebuild: 'rebuilt' },
};

/** Nova's word for it in a server's actions. */
function wordOf(act: GuestAct): string {
  return act === 'reboot_hard' ? 'reboot' : act;
}

/** Has it done with the guest of a server that is locked, ACTIVE and at rest. */
export async function orderGuest(tx: Tx, server: ActingServer, act: GuestAct, asker: Asker): Promise<void> {
  const { id, hostName, isGuest } = server;
  if (act === 'rebuild' && server.vmState === 'stopped') {
    await beginActions(tx, [id], { action: act, state: 'done' }, asker);
    await addServerEvents(tx, [{ serverId: id, event: TOLD[act], message: 'It begins anew when it is started.' }]);
    return;
  }
  if (!isGuest || hostName === null) {
    await beginActions(tx, [id], { action: wordOf(act), state: 'done' }, asker);
    await settleGuest(tx, id, act, 'whoever runs the guest has to do it');
    return;
  }
  const numbers = await beginActions(tx, [id], { action: wordOf(act), state: { asked: hostName } }, asker);
  await tx.query(`UPDATE servers SET action = $2, updated_at = now() WHERE id = $1`, [id, act]);
  await sendOrder(tx, hostName, { server_id: id, order: numbers.get(id) as number, act, ...imageOf(server) });
}

/** @returns nothing where the server names no image */
function imageOf({ name, request }: Pick<ActingServer, 'name' | 'request'>): { image?: string } {
  const { image } = wireServer({ name, request, numaCells: null });
  return image === undefined ? {} : { image };
}

function sendOrder(tx: Tx, hostName: string, order: ActOnGuest): Promise<void> {
  return addToOutbox(tx, [{ queue: agentQueue(hostName), message: envelope('guest.act', order) }]);
}

async function settleGuest(tx: Tx, serverId: string, act: GuestAct, by: string): Promise<void> {
  await tx.query(`UPDATE servers SET vm_state = $2, action = NULL, updated_at = now() WHERE id = $1`, [
    serverId,
    AFTER[act],
  ]);
  await addServerEvents(tx, [{ serverId, event: TOLD[act], message: `The guest is ${TOLD[act]}: ${by}.` }]);
}

/**
 * An agent has answered an order. What it has done is so even when nobody waited for it any more; of a server that is elsewhere by now it
 * says nothing.
 */
export async function takeGuestAnswer(tx: Tx, { host, server_id, order, problem }: GuestActed): Promise<void> {
  const server = await lockActing(tx, server_id);
  if (!server) return;
  const asked = await latestOrder(tx, server_id);
  if (asked?.id !== order || asked.hostName !== host) return;
  const isNews = await endAskedAction(tx, order, problem);
  if (server.status !== 'ACTIVE' || server.hostName !== host) return;
  const act = server.action === null ? actOf(asked.action) : (server.action as GuestAct);
  if (problem === null) {
    if (isNews || server.vmState !== AFTER[act]) await settleGuest(tx, server_id, act, `host ${host} has done it`);
  } else if (isNews) {
    await abandon(tx, server_id, `Host ${host}: ${problem}`);
  }
}

function actOf(action: string): GuestAct {
  return GUEST_ACTS.find((act) => act === action) ?? 'reboot';
}

interface GivenOrder {
  readonly id: number;
  readonly action: string;
  /** Whose agent was asked. */
  readonly hostName: string;
}

async function latestOrder(tx: Tx, serverId: string): Promise<GivenOrder | null> {
  const [row] = (await tx.query(
    `SELECT id, action, host_name AS "hostName" FROM server_actions WHERE server_id = $1 AND asked_at IS NOT NULL ORDER BY id DESC LIMIT 1`,
    [serverId],
  )) as GivenOrder[];
  return row ?? null;
}

/** The guest is as it was. */
async function abandon(tx: Tx, serverId: string, message: string): Promise<void> {
  await tx.query(`UPDATE servers SET action = NULL, updated_at = now() WHERE id = $1`, [serverId]);
  await addServerEvents(tx, [{ serverId, event: 'action_failed', message }]);
}

/**
 * Asks again for orders that nobody has answered for this long.
 *
 * @returns how many
 */
export async function remindOrders(tx: Tx, afterMs: number, limit: number): Promise<number> {
  const [rows] = (await tx.query(
    `UPDATE server_actions a SET asked_at = now() FROM servers s
      WHERE a.id IN (SELECT id FROM server_actions
                      WHERE finished_at IS NULL AND asked_at < now() - $1::int * interval '1 millisecond'
                      ORDER BY asked_at LIMIT $2 FOR UPDATE SKIP LOCKED)
        AND s.id = a.server_id AND s.action IS NOT NULL AND s.action <> 'unshelve'
      RETURNING a.id, a.server_id, a.host_name, s.action AS act, s.name, s.request`,
    [afterMs, limit],
  )) as [
    { id: number; server_id: string; host_name: string; act: GuestAct; name: string; request: PlacementRequest }[],
    number,
  ];
  for (const { id, server_id, host_name, act, ...server } of rows) {
    await sendOrder(tx, host_name, { server_id, order: id, act, ...imageOf(server) });
  }
  return rows.length;
}

/** An order that nobody has answered. */
export interface UnansweredOrder {
  readonly id: number;
  readonly server_id: string;
  readonly host_name: string;
}

/** Orders that nobody has answered for this long since they were given, and those whose server is elsewhere by now. */
export async function readUnanswered(tx: Tx, afterMs: number, limit: number): Promise<UnansweredOrder[]> {
  return tx.query(
    `SELECT a.id, a.server_id, a.host_name FROM server_actions a JOIN servers s ON s.id = a.server_id
      WHERE a.finished_at IS NULL AND a.asked_at IS NOT NULL
        AND (a.started_at < now() - $1::int * interval '1 millisecond' OR s.action IS NULL)
      ORDER BY a.id LIMIT $2`,
    [afterMs, limit],
  );
}

/** Nobody waits for the order any more; the server is as it was. */
export async function giveUpOrder(tx: Tx, { id, server_id, host_name }: UnansweredOrder): Promise<void> {
  const server = await lockActing(tx, server_id);
  const problem = `the agent of host ${host_name} has not answered`;
  if (!(await endAskedAction(tx, id, problem)) || !server) return;
  if (server.action !== null && server.hostName === host_name) await abandon(tx, server_id, `Given up: ${problem}.`);
}
