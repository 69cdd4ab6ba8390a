import { type ServerState, serverState, type StateFacts } from '../../servers/server-state.js';

/** How a server is, in the ledger's words. */
export type StatusFacts = StateFacts;

/** How a server is, in Nova's words. */
export interface NovaStatus {
  /** `status` of a server. */
  readonly status: string;
  /** `OS-EXT-STS:vm_state`. */
  readonly vmState: string;
  /** `OS-EXT-STS:task_state`: what is under way with it; null: nothing that Nova has a word for. */
  readonly taskState: string | null;
  /** `OS-EXT-STS:power_state`. */
  readonly powerState: number;
}

/** Nova's word for a server at rest, and its number for the power. */
const AT_REST: Readonly<Record<ServerState['vmState'], readonly [status: string, power: number]>> = {
  building: ['BUILD', 0],
  active: ['ACTIVE', 1],
  stopped: ['SHUTOFF', 4],
  paused: ['PAUSED', 3],
  suspended: ['SUSPENDED', 7],
  shelved_offloaded: ['SHELVED_OFFLOADED', 4],
  error: ['ERROR', 0],
  deleted: ['DELETED', 0],
};

/** Tasks that Nova shows as a status of their own. */
const SHOWN_TASKS: Readonly<Record<string, string>> = {
  reboot_started: 'REBOOT',
  reboot_started_hard: 'HARD_REBOOT',
  rebuilding: 'REBUILD',
  resize_migrating: 'RESIZE',
  resize_prep: 'RESIZE',
};

/** A server that is being deleted still is what it was, with a task: it is gone when its devices are given back. */
export function novaStatus(facts: StatusFacts): NovaStatus {
  const { vmState, task } = serverState(facts);
  const [status, powerState] = AT_REST[vmState];
  return { status: SHOWN_TASKS[task ?? ''] ?? status, vmState, taskState: task, powerState };
}
