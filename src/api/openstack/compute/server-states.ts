import type { VmState } from '../../../store/compute-servers.store.js';

/** Nova's states of servers: what users read as `status`, by `vm_state` and by the task under way. */
const STATUSES: Readonly<Record<VmState, string>> = {
  building: 'BUILD',
  active: 'ACTIVE',
  error: 'ERROR',
  deleted: 'DELETED',
};

/** The others that Nova has; no server is in one of them. */
const OTHER_STATUSES: ReadonlySet<string> = new Set([
  ...[
    'REBOOT',
    'HARD_REBOOT',
    'PASSWORD',
    'REBUILD',
    'MIGRATING',
    'RESIZE',
    'SHUTOFF',
    'VERIFY_RESIZE',
    'REVERT_RESIZE',
  ],
  ...['PAUSED', 'SUSPENDED', 'RESCUE', 'SOFT_DELETED', 'SHELVED', 'SHELVED_OFFLOADED'],
]);

const RUNNING = 1;
const NO_STATE = 0;

export function statusOf({ vm_state }: { readonly vm_state: VmState }): string {
  return STATUSES[vm_state];
}

export function powerStateOf({ vm_state }: { readonly vm_state: VmState }): number {
  return vm_state === 'active' ? RUNNING : NO_STATE;
}

/**
 * The states of servers that have one of some statuses.
 *
 * @param statuses in any case
 * @returns null when none of them is a status at all
 */
export function statesOf(statuses: readonly string[]): readonly VmState[] | null {
  const wanted = new Set(statuses.map((status) => status.toUpperCase()));
  const states = (Object.keys(STATUSES) as VmState[]).filter((state) => wanted.has(STATUSES[state]));
  return states.length === 0 && ![...wanted].some((status) => OTHER_STATUSES.has(status)) ? null : states;
}
