import type { ServerStatus, TaskState } from '../../../store/entities/workload.entities.js';

/** How a server is, in the ledger's words. */
export interface StatusFacts {
  readonly status: ServerStatus;
  readonly task_state: TaskState | null;
}

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

/** Nova's numbers. */
const POWER = { none: 0, running: 1 } as const;

const BUILDING = { status: 'BUILD', vmState: 'building', powerState: POWER.none } as const;
const RUNNING = { status: 'ACTIVE', vmState: 'active', powerState: POWER.running } as const;

/** A server that is being deleted still is what it was, with a task: it is gone when its devices are given back. */
export function novaStatus({ status, task_state }: StatusFacts): NovaStatus {
  switch (status) {
    case 'BUILD':
      return { ...BUILDING, taskState: task_state === 'preparing' ? 'spawning' : 'scheduling' };
    case 'ACTIVE':
      return { ...RUNNING, taskState: null };
    case 'ERROR':
      return { status: 'ERROR', vmState: 'error', taskState: null, powerState: POWER.none };
    case 'DELETING':
      return { ...RUNNING, taskState: 'deleting' };
    case 'DELETED':
      return { status: 'DELETED', vmState: 'deleted', taskState: null, powerState: POWER.none };
  }
}
