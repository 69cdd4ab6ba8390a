import type { ReleasedDevice } from '../messages/bodies.js';
import type { DevicesCleaned } from '../messages/device-bodies.js';
import { envelope } from '../messages/envelope.js';
import { agentQueue } from '../messages/routes.js';
import type { Address } from '../pci/address.js';
import type { DeviceStatus } from '../pci/device-state.js';
import type { Tx } from './database.js';
import { readStatesAround, touchHosts, writeDeviceStates, type HostDeviceStates } from './device-states.store.js';
import { addToOutbox } from './outbox.store.js';

/** A device that its server gives back. */
export interface GivenBack {
  readonly claim_id: string;
  readonly server_id: string;
  readonly host_id: string;
  readonly device_id: string;
  readonly address: Address;
  readonly missing: boolean;
  /** Another card is in its place, which no server had. */
  readonly pending: boolean;
  /** Its server has had it, and it is for one server only. */
  readonly used_up: boolean;
}

/** What agents say of the devices that they gave back, by claim. */
export type ReleasedByClaim = ReadonlyMap<string, readonly ReleasedDevice[]>;

/**
 * Frees devices, as far as their agents say that they can be used as they are.
 *
 *   clean as it is ────────────────► free
 *   its agent cleans it ───────────► cleaning, until `devices.cleaned`
 *   its reset or cleaning failed ──► quarantined
 *   `one_time_use`, not cleaned ───► reserved, until somebody unreserves it
 *
 * @returns the reasons for which devices are held; to be written once their states are
 */
export function giveBack(
  held: readonly GivenBack[],
  states: ReadonlyMap<string, HostDeviceStates>,
  released: ReleasedByClaim,
): HoldReason[] {
  return held.flatMap((device): HoldReason[] => {
    const host = states.get(device.host_id);
    const care = released.get(device.claim_id)?.find(({ address }) => address === device.address)?.care;
    const { address, server_id: owner } = device;
    const isSame = !device.missing && !device.pending;
    if (isSame && care?.state === 'cleaning') {
      host?.apply('clean', address, owner);
      return [{ ...device, reason: `it is being cleaned after server ${owner}`, cleaning: true }];
    }
    host?.apply('free', address, owner);
    if (device.missing) host?.apply('remove', address, null);
    if (!isSame || !(care || device.used_up)) return [];
    const reason = care ? (care.reason ?? 'it could not be cleaned') : USED_UP;
    // what a relative keeps from everybody cannot be reserved
    const event = care || host?.status(address) !== 'available' ? 'quarantine' : 'reserve';
    host?.apply(event, address, null);
    return [{ ...device, reason, cleaning: false }];
  });
}

const USED_UP = 'one_time_use: a server has had it, and nothing has cleaned it since';

export interface HoldReason extends GivenBack {
  readonly reason: string;
  readonly cleaning: boolean;
}

export async function writeHoldReasons(tx: Tx, reasons: readonly HoldReason[]): Promise<void> {
  if (reasons.length === 0) return;
  await tx.query(
    `UPDATE devices d SET status_reason = r.reason, cleaning_claim = r.claim, cleaning_heard_at = now()
       FROM unnest($1::uuid[], $2::text[], $3::uuid[]) AS r(id, reason, claim) WHERE d.id = r.id`,
    [
      reasons.map(({ device_id }) => device_id),
      reasons.map(({ reason }) => reason),
      reasons.map(({ cleaning, claim_id }) => (cleaning ? claim_id : null)),
    ],
  );
}

interface CleanedRow {
  readonly id: string;
  readonly host_id: string;
  readonly status: DeviceStatus;
  readonly missing: boolean;
}

/**
 * An agent says what became of a cleaning. What comes late, or twice, says nothing: the device is not being cleaned after that claim any
 * more.
 *
 * @returns whether the device is held no longer
 */
export async function finishCleaning(tx: Tx, told: DevicesCleaned): Promise<boolean> {
  const [device] = (await tx.query(
    `SELECT d.id, d.host_id, d.status, d.missing_since IS NOT NULL AS missing
       FROM devices d JOIN hosts h ON h.id = d.host_id
      WHERE h.name = $1 AND d.address = $2 AND d.cleaning_claim = $3 FOR UPDATE OF h`,
    [told.host, told.address, told.claim_id],
  )) as CleanedRow[];
  if (!device) return false;
  // the row may have changed while the host was waited for
  const [now] = (await tx.query(`SELECT status FROM devices WHERE id = $1 AND cleaning_claim = $2`, [
    device.id,
    told.claim_id,
  ])) as { status: DeviceStatus }[];
  if (!now) return false;
  if (told.outcome === 'cleaning') {
    await hear(
      tx,
      device.id,
      told.reason === null ? null : `it is being cleaned; the last attempt failed: ${told.reason}`,
    );
    return false;
  }
  const states = await readStatesAround(tx, [device.id]);
  const reason = now.status === 'cleaning' ? settle(states.get(device.host_id), told, device.missing) : undefined;
  await writeDeviceStates(tx, states.values());
  await tx.query(
    `UPDATE devices SET cleaning_claim = NULL, cleaning_heard_at = NULL,
            status_reason = CASE WHEN $2 THEN $3 ELSE status_reason END WHERE id = $1`,
    [device.id, reason !== undefined, reason ?? null],
  );
  await touchHosts(tx, [{ id: device.host_id, by: 1 }]);
  return told.outcome === 'passed';
}

/** @returns why the device is held; null: it is not */
function settle(host: HostDeviceStates | undefined, told: DevicesCleaned, missing: boolean): string | null {
  if (told.outcome !== 'passed') {
    host?.apply('quarantine', told.address, null);
    if (told.outcome === 'unknown') return 'its agent knows nothing of the cleaning that it had begun';
    return `cleaning failed: ${told.reason ?? 'no reason is given'}`;
  }
  host?.apply('cleaned', told.address, null);
  if (missing) host?.apply('remove', told.address, null);
  return null;
}

async function hear(tx: Tx, id: string, reason: string | null): Promise<void> {
  await tx.query(
    `UPDATE devices SET cleaning_heard_at = now(), status_reason = coalesce($2, status_reason)
      WHERE id = $1 AND status = 'cleaning'`,
    [id, reason],
  );
}

/**
 * Asks agents for cleanings of which nobody has heard for this long: the word of their end may be lost.
 *
 * @returns how many
 */
export async function askForCleanings(tx: Tx, afterMs: number, limit: number): Promise<number> {
  const [rows] = (await tx.query(
    `UPDATE devices d SET cleaning_heard_at = now() FROM hosts h
      WHERE h.id = d.host_id AND d.id IN
        (SELECT id FROM devices WHERE cleaning_claim IS NOT NULL
            AND cleaning_heard_at < now() - $1::int * interval '1 millisecond'
          ORDER BY cleaning_heard_at LIMIT $2 FOR UPDATE SKIP LOCKED)
     RETURNING h.name AS host, d.address, d.cleaning_claim AS claim_id`,
    [afterMs, limit],
  )) as [{ host: string; address: string; claim_id: string }[], number];
  await addToOutbox(
    tx,
    rows.map(({ host, address, claim_id }) => ({
      queue: agentQueue(host),
      message: envelope('cleaning.request', { claim_id, address }),
    })),
  );
  return rows.length;
}
