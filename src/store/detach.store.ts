import { randomUUID } from 'node:crypto';
import type { Tx } from './database.js';
import { addServerEvents } from './server-events.store.js';

/** A device that a server holds, and by which claim. */
export interface HeldDevice {
  readonly device_id: string;
  readonly address: string;
  readonly alias: string | null;
  /** null: it was not asked for, and came along. */
  readonly request_index: number | null;
  readonly iommu_group: number | null;
  readonly claim_id: string;
  readonly host_id: string;
  readonly host_name: string;
}

/** What a server holds and is not giving back, in address order. */
export async function readHeldDevices(tx: Tx, serverId: string): Promise<HeldDevice[]> {
  return tx.query(
    `SELECT d.id AS device_id, d.address, a.alias, a.request_index, d.iommu_group, a.claim_id, c.host_id, h.name AS host_name
       FROM allocations a JOIN claims c ON c.id = a.claim_id JOIN hosts h ON h.id = c.host_id JOIN devices d ON d.id = a.device_id
      WHERE a.server_id = $1 AND a.released_at IS NULL AND c.status = 'allocated'
      ORDER BY length(d.address), d.address`,
    [serverId],
  );
}

/**
 * Parts devices of one claim from it: they are a claim of their own from here on, which is being given back. The server is locked,
 * ACTIVE and at rest.
 *
 * @returns the new claim; its release is to be sent
 */
export async function splitForDetach(
  tx: Tx,
  serverId: string,
  devices: readonly HeldDevice[],
): Promise<{ readonly id: string; readonly hostName: string }> {
  const [{ claim_id: from, host_id: hostId, host_name: hostName }] = devices as [HeldDevice];
  const claimId = randomUUID();
  await tx.query(
    `INSERT INTO claims (id, server_id, host_id, attempt, status, kind, split_from, vcpus, memory_mb, disk_gb)
     SELECT $1, server_id, $2, attempt, 'releasing', 'attach', id, 0, 0, 0 FROM claims WHERE id = $3`,
    [claimId, hostId, from],
  );
  await tx.query(
    `UPDATE allocations SET claim_id = $1 WHERE claim_id = $2 AND device_id = ANY($3) AND released_at IS NULL`,
    [claimId, from, devices.map((device) => device.device_id)],
  );
  // one that came by attaching and has nothing left is over
  await tx.query(
    `UPDATE claims c SET status = 'released', updated_at = now() WHERE id = $1 AND kind = 'attach'
        AND NOT EXISTS (SELECT 1 FROM allocations a WHERE a.claim_id = c.id AND a.released_at IS NULL)`,
    [from],
  );
  await tx.query(`UPDATE servers SET task_state = 'detaching', updated_at = now() WHERE id = $1`, [serverId]);
  const addresses = devices.map((device) => device.address).join(', ');
  await addServerEvents(tx, [
    { serverId, event: 'detach_requested', message: `Detaching was asked for: ${addresses}.` },
  ]);
  return { id: claimId, hostName };
}

/** The agent has the devices back: the server is at rest again. */
export async function endDetach(
  tx: Tx,
  claim: { readonly serverId: string; readonly hostName: string },
): Promise<void> {
  const [, ended] = (await tx.query(
    `UPDATE servers SET task_state = NULL, updated_at = now()
      WHERE id = $1 AND status = 'ACTIVE' AND task_state = 'detaching'
        AND NOT EXISTS (SELECT 1 FROM claims WHERE server_id = $1 AND split_from IS NOT NULL AND status = 'releasing')`,
    [claim.serverId],
  )) as [unknown, number];
  if (ended === 0) return;
  const message = `Host ${claim.hostName}: the devices are given back.`;
  await addServerEvents(tx, [{ serverId: claim.serverId, event: 'detached', message }]);
}
