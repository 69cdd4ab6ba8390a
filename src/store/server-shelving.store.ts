import type { PlacementRequest } from '../placement/request.js';
import { beginReleases, lockClaims, readUnreleasedClaims } from './claim-outcomes.store.js';
import type { Tx } from './database.js';
import { touchHosts } from './device-states.store.js';
import type { ActingServer } from './guest-orders.store.js';
import { addServerEvents } from './server-events.store.js';
import { nudgeServer } from './servers.store.js';

/** Takes a server that is locked, ACTIVE and at rest from its host: all that it holds is given back, and it stays as it was asked for. */
export async function shelveServer(tx: Tx, { id, hostId, hostName }: ActingServer): Promise<void> {
  await tx.query(
    `UPDATE servers SET status = 'SHELVED', task_state = NULL, host_id = NULL, fault = NULL, vm_state = 'active', action = NULL,
            attempts = 0, excluded_hosts = '[]', updated_at = now() WHERE id = $1`,
    [id],
  );
  const held = await lockClaims(tx, await readUnreleasedClaims(tx, id));
  await beginReleases(
    tx,
    held.filter(({ status }) => status === 'claimed' || status === 'allocated'),
  );
  if (hostId !== null) await touchHosts(tx, [{ id: hostId, by: 1 }]);
  await addServerEvents(tx, [
    { serverId: id, event: 'shelved', message: `Leaves host ${hostName}; it can be unshelved.` },
  ]);
}

/**
 * Has a shelved server placed again. Where there is no room it is shelved as before, and says why; one that was asked for with `wait`
 * waits.
 *
 * @param request as it is to be placed now
 */
export async function unshelveServer(
  tx: Tx,
  { id }: Pick<ActingServer, 'id'>,
  request: PlacementRequest,
): Promise<void> {
  await tx.query(
    `UPDATE servers SET status = 'BUILD', task_state = 'scheduling', action = 'unshelve', fault = NULL, attempts = 0,
            excluded_hosts = '[]', request = $2::jsonb, updated_at = now() WHERE id = $1`,
    [id, JSON.stringify(request)],
  );
  await addServerEvents(tx, [{ serverId: id, event: 'unshelve_requested', message: 'It is to be placed again.' }]);
  await nudgeServer(tx, id);
}
