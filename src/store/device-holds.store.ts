import { BerthError } from '../errors.js';
import type { DeviceEvent } from '../pci/device-state.js';
import { writeAudit } from './audit.store.js';
import type { Tx } from './database.js';
import { isHeldByWish } from './sriov-wishes.store.js';
import { readDeviceStates, touchHosts, writeDeviceStates } from './device-states.store.js';

/** What an admin does to a device that nobody uses. */
export type HoldEvent = DeviceEvent & ('reserve' | 'unreserve' | 'quarantine' | 'repair');

/** Whatever it was held for, an administrator has looked at it. What still lasts goes on to be shown. */
async function settleNotes(tx: Tx, id: string): Promise<void> {
  await tx.query(
    `UPDATE devices SET drift = (SELECT jsonb_agg(n) FROM jsonb_array_elements(drift) n WHERE n->>'kind' = 'link_degraded')
      WHERE id = $1 AND drift IS NOT NULL`,
    [id],
  );
}

/**
 * Takes a device out of use, or gives it back. Its relatives follow: VFs of a PF that is held are not free either.
 *
 * @param reason kept while the device is held; null when it is given back
 * @throws BerthError `device.unknown`, `device.invalid_status`
 */
export async function holdDevice(tx: Tx, id: string, event: HoldEvent, reason: string | null): Promise<void> {
  const [device] = (await tx.query(
    `SELECT d.host_id, d.address FROM devices d JOIN hosts h ON h.id = d.host_id WHERE d.id = $1 FOR UPDATE OF h`,
    [id],
  )) as { host_id: string; address: string }[];
  if (!device) throw new BerthError('device.unknown', `There is no device with the id ${id}`);
  if (event === 'unreserve' && (await isHeldByWish(tx, device.host_id, device.address))) {
    const message = `The number of VFs of ${device.address} is being changed; it is given back when that is done`;
    throw new BerthError('device.invalid_status', message, { details: { address: device.address, event } });
  }
  const states = await readDeviceStates(tx, [device.host_id]);
  states.get(device.host_id)?.apply(event, device.address, null);
  await writeDeviceStates(tx, states.values());
  await tx.query(`UPDATE devices SET status_reason = $2 WHERE id = $1`, [id, reason]);
  if (event === 'repair') await settleNotes(tx, id);
  await touchHosts(tx, [{ id: device.host_id, by: 1 }]);
  const held = { device_id: id, host_id: device.host_id, reason };
  await writeAudit(tx, [{ kind: 'admin', action: `device.${event}`, actor: 'rest', ...held }]);
}
