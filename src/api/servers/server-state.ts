import type { GuestAction, ServerStatus, TaskState, VmState } from '../../store/entities/workload.entities.js';

/** How a server is, in the ledger's words. */
export interface StateFacts {
  readonly status: ServerStatus;
  readonly task_state: TaskState | null;
  readonly vm_state: VmState;
  readonly action: GuestAction | null;
}

/** What actions ask of a server, in the words that clients know from Nova. */
export interface ServerState {
  readonly vmState:
    'building' | 'active' | 'stopped' | 'paused' | 'suspended' | 'shelved_offloaded' | 'error' | 'deleted';
  /** What is under way; null: it is at rest. */
  readonly task: string | null;
}

const TASKS: Readonly<Record<GuestAction, string>> = {
  stop: 'powering-off',
  start: 'powering-on',
  reboot: 'reboot_started',
  reboot_hard: 'reboot_started_hard',
  pause: 'pausing',
  unpause: 'unpausing',
  suspend: 'suspending',
  resume: 'resuming',
  rebuild: 'rebuilding',
  unshelve: 'unshelving',
  migrate: 'resize_migrating',
  resize: 'resize_prep',
};

/** A server that is being deleted still is what it was, with a task; one that is unshelved is shelved until it is placed. */
export function serverState({ status, task_state, vm_state, action }: StateFacts): ServerState {
  const task = action === null ? null : TASKS[action];
  switch (status) {
    case 'BUILD':
      if (action === 'unshelve') return { vmState: 'shelved_offloaded', task };
      return { vmState: 'building', task: task_state === 'preparing' ? 'spawning' : 'scheduling' };
    case 'ACTIVE':
      return { vmState: vm_state, task };
    case 'SHELVED':
      return { vmState: 'shelved_offloaded', task: null };
    case 'ERROR':
      return { vmState: 'error', task: null };
    case 'DELETING':
      return { vmState: vm_state, task: 'deleting' };
    case 'DELETED':
      return { vmState: 'deleted', task: null };
  }
}
