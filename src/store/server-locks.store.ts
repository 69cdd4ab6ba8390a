import type { Tx } from './database.js';
import { addServerEvents } from './server-events.store.js';

/** The server is locked for changes (its row) by the caller's transaction, in each of these. */
export async function lockServerRow(
  tx: Tx,
  id: string,
  { by, reason }: { readonly by: 'owner' | 'admin'; readonly reason: string | null },
): Promise<void> {
  await tx.query(`UPDATE servers SET locked_by = $2, locked_reason = $3, updated_at = now() WHERE id = $1`, [
    ...[id, by, reason],
  ]);
  const message = `Nobody of the project may touch it${reason === null ? '.' : `: ${reason}`}`;
  await addServerEvents(tx, [{ serverId: id, event: 'locked', message }]);
}

export async function unlockServerRow(tx: Tx, id: string): Promise<void> {
  await tx.query(`UPDATE servers SET locked_by = NULL, locked_reason = NULL, updated_at = now() WHERE id = $1`, [id]);
  await addServerEvents(tx, [{ serverId: id, event: 'unlocked', message: 'Its project may touch it again.' }]);
}

/** An administrator says how a server is; nobody looks whether it is true. */
export async function markVmState(tx: Tx, id: string, state: 'active' | 'error'): Promise<void> {
  await tx.query(`UPDATE servers SET vm_state = $2, action = NULL, updated_at = now() WHERE id = $1`, [id, state]);
  const message = `An administrator says that it is ${state}.`;
  await addServerEvents(tx, [{ serverId: id, event: 'state_reset', message }]);
}

/** Says that the scheduler is asked to do something with the server, until it has. */
export async function markAction(tx: Tx, id: string, action: 'migrate' | 'resize'): Promise<void> {
  await tx.query(`UPDATE servers SET action = $2, updated_at = now() WHERE id = $1`, [id, action]);
}
