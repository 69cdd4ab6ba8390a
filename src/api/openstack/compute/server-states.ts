import type { ServerFacts } from '../../../store/compute-servers.store.js';
import { GUEST_ACTIONS, SERVER_STATUSES, TASK_STATES, VM_STATES } from '../../../store/entities/workload.entities.js';
import { type NovaStatus, novaStatus } from './server-status.js';

/** Statuses that Nova has and no server here is ever in. */
const OTHER_STATUSES: ReadonlySet<string> = new Set([
  ...['PASSWORD', 'MIGRATING', 'VERIFY_RESIZE', 'REVERT_RESIZE', 'RESCUE', 'SOFT_DELETED', 'SHELVED'],
]);

/** All that can be said of how a server is, with Nova's words for it. */
const EVERY: readonly (ServerFacts & { readonly nova: NovaStatus })[] = SERVER_STATUSES.flatMap((status) =>
  [null, ...TASK_STATES].flatMap((task_state) =>
    VM_STATES.flatMap((vm_state) =>
      [null, ...GUEST_ACTIONS].map((action) => {
        const facts = { status, task_state, vm_state, action };
        return { ...facts, nova: novaStatus(facts) };
      }),
    ),
  ),
);

/** How servers may be, in the ledger's words, of which Nova's words hold. */
export function factsOf(holds: (nova: NovaStatus) => boolean): ServerFacts[] {
  return EVERY.filter(({ nova }) => holds(nova)).map(({ nova: _nova, ...facts }) => facts);
}

/**
 * The statuses of some words, as they are written.
 *
 * @param words in any case
 * @returns null when none of them is a status at all
 */
export function statusesOf(words: readonly string[]): ReadonlySet<string> | null {
  const known = new Set([...EVERY.map(({ nova }) => nova.status), ...OTHER_STATUSES]);
  const found = words.map((word) => word.toUpperCase()).filter((word) => known.has(word));
  return found.length === 0 ? null : new Set(found);
}
