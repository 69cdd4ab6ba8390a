import { envelope } from '../messages/envelope.js';
import { QUEUES } from '../messages/routes.js';
import type { Tx } from './database.js';
import { addToOutbox } from './outbox.store.js';
import { QUEUE_ORDER } from './queue.store.js';
import type { Amounts } from './quota-amounts.js';
import { EVERY_PROJECT, lockProjects } from './quotas.store.js';

/** Limits under such names are kept for clients that ask for them, and limit nothing here. */
export const KEPT_PREFIX = 'kept:';

/** What is limited of a project. */
export interface QuotaLimits {
  /** Its own; of `*` the defaults. */
  readonly own: Amounts;
  /** Of every project; -1 is no limit. */
  readonly defaults: Amounts;
}

export async function readQuotaLimits(tx: Tx, projectId: string): Promise<QuotaLimits> {
  const rows = await tx.query<{ project_id: string; resource: string; hard_limit: number }[]>(
    `SELECT project_id, resource, hard_limit FROM quotas WHERE project_id = ANY($1) ORDER BY resource`,
    [[projectId, EVERY_PROJECT]],
  );
  const of = (id: string): Amounts =>
    new Map(rows.filter((row) => row.project_id === id).map((row) => [row.resource, row.hard_limit]));
  return { own: of(projectId), defaults: of(EVERY_PROJECT) };
}

/** Changes limits of a project; null removes one. Whoever waits for its quota is looked at again. */
export async function changeQuotaLimits(
  tx: Tx,
  projectId: string,
  changes: ReadonlyMap<string, number | null>,
): Promise<void> {
  const removed = [...changes].filter(([, limit]) => limit === null).map(([resource]) => resource);
  const set = [...changes].filter((change): change is [string, number] => change[1] !== null);
  await tx.query(`DELETE FROM quotas WHERE project_id = $1 AND resource = ANY($2)`, [projectId, removed]);
  await tx.query(
    `INSERT INTO quotas (project_id, resource, hard_limit)
     SELECT $1, * FROM unnest($2::text[], $3::bigint[])
     ON CONFLICT (project_id, resource) DO UPDATE SET hard_limit = EXCLUDED.hard_limit, updated_at = now()`,
    [projectId, set.map(([resource]) => resource), set.map(([, limit]) => limit)],
  );
  await nudgeOverQuota(tx, projectId);
}

/** One change at a time for each project, and none while it claims something. */
export async function lockQuotaLimits(tx: Tx, projectId: string): Promise<void> {
  await lockProjects(tx, [projectId]);
}

const NUDGED_MAX = 1000;

/** Has the scheduler look at those in the queue that a quota turned down: no host changes when a limit does. */
async function nudgeOverQuota(tx: Tx, projectId: string): Promise<void> {
  const rows = await tx.query<{ id: string }[]>(
    `SELECT id FROM servers
      WHERE task_state = 'waiting' AND status = 'BUILD' AND fault ->> 'code' = 'quota.exceeded' AND $1 IN (project_id, $2)
      ORDER BY ${QUEUE_ORDER} LIMIT ${NUDGED_MAX}`,
    [projectId, EVERY_PROJECT],
  );
  await addToOutbox(
    tx,
    rows.map(({ id }) => ({ queue: QUEUES.requests, message: envelope('server.requested', { server_id: id }) })),
  );
}
