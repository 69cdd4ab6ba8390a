import { createHash } from 'node:crypto';
import type { ActionEventRow, ActionRow } from '../../../store/server-actions.store.js';

/** Who reads, and in which version. */
export interface ActionsAudience {
  readonly minor: number;
  readonly isAdmin: boolean;
  /** The server's. */
  readonly projectId: string;
}

const SINCE = { events: 51, updatedAt: 58, hostId: 62, details: 84 } as const;

/** What went wrong is told to administrators word by word: it names hosts and devices. */
const FAILED = 'Error';

/** What somebody asked for. Who asked from another project has no name in it. */
export function actionView(row: ActionRow, { minor, isAdmin, projectId }: ActionsAudience): object {
  const isOwn = isAdmin || row.project_id === projectId;
  return {
    action: row.action,
    instance_uuid: row.server_id,
    request_id: row.request_id,
    user_id: isOwn ? row.user_id : '',
    project_id: isOwn ? row.project_id : '',
    start_time: novaTime(row.started_at),
    message: row.result === 'error' ? (isAdmin ? (row.message ?? FAILED) : FAILED) : null,
    ...(minor >= SINCE.updatedAt ? { updated_at: novaTime(row.updated_at) } : {}),
  };
}

/** The same with the steps that it brought about; `hosts` are names of hosts as far as they are known. */
export function actionWithEventsView(
  row: ActionRow,
  events: readonly ActionEventRow[],
  audience: ActionsAudience & { readonly host: string | null },
): object {
  const { minor, isAdmin } = audience;
  const isShown = isAdmin || minor >= SINCE.events;
  return {
    ...actionView(row, audience),
    ...(isShown ? { events: events.map((event) => eventView(event, row, audience)) } : {}),
  };
}

function eventView(
  { event, message, created_at }: ActionEventRow,
  { host_name }: ActionRow,
  { minor, isAdmin, projectId, host }: ActionsAudience & { readonly host: string | null },
): object {
  const where = host_name ?? host ?? '';
  return {
    event: `berth_${event}`,
    start_time: novaTime(created_at),
    finish_time: novaTime(created_at),
    result: FAILURES.has(event) ? 'Error' : 'Success',
    ...(isAdmin ? { traceback: null } : {}),
    ...(minor >= SINCE.hostId ? { ...(isAdmin ? { host: where } : {}), hostId: hostIdOf(projectId, where) } : {}),
    ...(minor >= SINCE.details && isAdmin ? { details: message } : {}),
  };
}

/** Events of a server's history that tell of something that went wrong. */
const FAILURES: ReadonlySet<string> = new Set([
  ...['rejected', 'failed', 'attach_refused', 'attach_failed', 'guest_ended', 'action_failed', 'evacuation_stuck'],
]);

/** Says whether two servers of a project are on one host, and not on which. */
function hostIdOf(projectId: string, host: string): string {
  return host === '' ? '' : createHash('sha224').update(`${projectId}${host}`).digest('hex');
}

/** `2026-11-21T01:26:12.000000`, in UTC. */
export function novaTime(time: Date): string {
  return `${time.toISOString().slice(0, 19)}.000000`;
}
