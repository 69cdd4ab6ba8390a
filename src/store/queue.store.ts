import type { Tx } from './database.js';
import type { Fault } from './entities/workload.entities.js';
import { addServerEvents } from './server-events.store.js';

/**
 * The queue of servers that wait for room.
 *
 * The effective priority of a server is its own plus what it has aged, and all age alike; so the order of two does not
 * change while both wait, and can be written down once: by rank, the lower first, where the rank is the ageing up to the
 * time that the server began to wait, less its priority. Servers for which a host is kept are before all others.
 */
export const QUEUE_ORDER = `(nominated_host_id IS NULL), queue_rank, queued_at, gang_id, gang_place, id`;

/** The rank by a server's row; `ageing` is the SQL of a number, for each minute. Minutes count from 2026, which keeps them exact. */
export function rankOf(ageing: string, since: string): string {
  return `(${ageing}::float8 * extract(epoch FROM ${since} - '2026-01-01T00:00:00Z'::timestamptz)::float8 / 60 - priority)`;
}

/** Ids of waiting servers in the order of the queue. */
export async function readQueue(tx: Tx, page: { readonly after: number; readonly limit: number }): Promise<string[]> {
  const rows = (await tx.query(
    `SELECT id FROM servers WHERE task_state = 'waiting' AND status = 'BUILD' ORDER BY ${QUEUE_ORDER} OFFSET $1 LIMIT $2`,
    [page.after, page.limit],
  )) as { id: string }[];
  return rows.map((row) => row.id);
}

/** A host that is kept for a waiting server. */
export interface Nomination {
  readonly serverId: string;
  readonly hostId: string;
  /** Something is being given back there: the server may fit as soon as that is done. */
  readonly releasing: boolean;
}

export async function readNominations(tx: Tx): Promise<Nomination[]> {
  return tx.query(
    `SELECT s.id AS "serverId", s.nominated_host_id AS "hostId",
            EXISTS (SELECT 1 FROM claims c WHERE c.host_id = s.nominated_host_id AND c.status = 'releasing') AS releasing
       FROM servers s WHERE s.task_state = 'waiting' AND s.status = 'BUILD' AND s.nominated_host_id IS NOT NULL
      ORDER BY s.id`,
  );
}

export async function countWaiting(tx: Tx): Promise<number> {
  const [row] = (await tx.query(`SELECT count(*)::int AS count FROM servers WHERE task_state = 'waiting'`)) as [
    { count: number },
  ];
  return row.count;
}

/** How many of these servers are in the queue. */
export async function countStillWaiting(tx: Tx, ids: readonly string[]): Promise<number> {
  const [row] = (await tx.query(
    `SELECT count(*)::int AS count FROM servers WHERE id = ANY($1) AND task_state = 'waiting' AND status = 'BUILD'`,
    [ids],
  )) as [{ count: number }];
  return row.count;
}

/** A server that begins to wait, or goes on to. */
export interface WaitingEntry {
  readonly serverId: string;
  readonly fault: Fault;
  readonly rank: number;
  /** Whether it waits already. */
  readonly again: boolean;
  /** The host that is kept for it; null: none. */
  readonly nominated: string | null;
}

/** Of a server that waits already, only what has changed is written. */
export async function writeWaiting(tx: Tx, entries: readonly WaitingEntry[]): Promise<void> {
  if (entries.length === 0) return;
  await tx.query(
    `UPDATE servers s SET task_state = 'waiting', host_id = NULL, fault = c.fault, updated_at = now(),
            queued_at = coalesce(s.queued_at, s.created_at), queue_rank = coalesce(s.queue_rank, c.rank),
            nominated_host_id = c.nominated
       FROM unnest($1::uuid[], $2::jsonb[], $3::float8[], $4::uuid[]) AS c(id, fault, rank, nominated)
      WHERE s.id = c.id AND (s.task_state <> 'waiting' OR s.fault->>'message' IS DISTINCT FROM c.fault->>'message'
                             OR s.nominated_host_id IS DISTINCT FROM c.nominated)`,
    [
      entries.map((entry) => entry.serverId),
      entries.map((entry) => JSON.stringify(entry.fault)),
      entries.map((entry) => entry.rank),
      entries.map((entry) => entry.nominated),
    ],
  );
  const fresh = entries.filter((entry) => !entry.again);
  await addServerEvents(
    tx,
    fresh.map(({ serverId, fault }) => ({ serverId, event: 'waiting', message: `Waits for room. ${fault.message}` })),
  );
}

/** A waiting server as the queue shows it. */
export interface QueueRow {
  readonly id: string;
  readonly name: string;
  readonly project_id: string;
  readonly priority: number;
  readonly queued_at: Date;
  readonly fault: Fault | null;
  readonly nominated_host: string | null;
  readonly gang_id: string | null;
  /** From 1. */
  readonly position: number;
}

const POSITIONS = `SELECT id, (row_number() OVER (ORDER BY ${QUEUE_ORDER}))::int AS position
   FROM servers WHERE task_state = 'waiting' AND status = 'BUILD'`;

/** Who waits, in order. @param page `after`: the position that the page before ended with, 0 for the first */
export async function listQueue(tx: Tx, page: { readonly after: number; readonly limit: number }): Promise<QueueRow[]> {
  return tx.query(
    `SELECT s.id, s.name, s.project_id, s.priority, s.queued_at, s.fault, h.name AS nominated_host, s.gang_id, q.position
       FROM (${POSITIONS}) q JOIN servers s ON s.id = q.id LEFT JOIN hosts h ON h.id = s.nominated_host_id
      WHERE q.position > $1 ORDER BY q.position LIMIT $2`,
    [page.after, page.limit],
  );
}

/** The place of a server in the queue, from 1; null when it does not wait. */
export async function queuePosition(tx: Tx, serverId: string): Promise<number | null> {
  const [row] = (await tx.query(`SELECT position FROM (${POSITIONS}) q WHERE id = $1`, [serverId])) as {
    position: number;
  }[];
  return row?.position ?? null;
}
