import { COMMANDS_PER_MESSAGE_MAX } from '../messages/routes.js';
import type { SnapshotDevice } from '../placement/snapshot.js';
import type { Tx } from './database.js';
import type { DecidedServer } from './decided-server.js';
import { batchValues, type ClaimedDevice, type PlacedNow, type TouchedHost } from './placement-batch-values.js';
import { inKeyOrder } from './placements.store.js';

/** A batch that is nothing but new placements, as the values of the statement that writes it. */
export interface PlacementBatch {
  /** null: nobody is placed, and nothing is to be written. */
  readonly values: readonly unknown[] | null;
}

/** A device as the batch was decided on; null: not known any more. */
export type DeviceOf = (hostId: string, deviceId: string) => SnapshotDevice | null;

/** @returns null for a batch of any other kind, which goes through `commitDecisions` */
export function placementBatch(
  decided: readonly DecidedServer[],
  claimTimeoutMs: number,
  deviceOf: DeviceOf,
): PlacementBatch | null {
  if (!decided.every(isPlain)) return null;
  const placed = inKeyOrder(decided.filter(isPlaced));
  if (placed.length === 0) return { values: null };
  const hosts = hostsOf(placed);
  if (hosts.some(({ placed: count }) => count > COMMANDS_PER_MESSAGE_MAX)) return null;
  const claimed = claimedDevices(placed, deviceOf);
  return claimed && { values: batchValues({ placed, hosts, claimed, claimTimeoutMs }) };
}

/**
 * Writes a batch in one statement, if everything is still as it was decided on. That it mostly is: so one round trip, and plans that
 * the database has ready, do for most batches.
 *
 * @param tx no transaction: the statement is one
 * @returns false when it wrote nothing, because a host, a device, a key or a quota is in the way; `commitDecisions` knows of what
 */
export async function writePlacementBatch(tx: Tx, { values }: PlacementBatch): Promise<boolean> {
  if (!values) return true;
  const numbers = values.map((_value, index) => `$${index + 1}`);
  const [row] = (await tx.query(`SELECT commit_placements(${numbers.join(', ')}) AS done`, [...values])) as [
    { done: boolean },
  ];
  return row.done;
}

/** One by itself, that asks for nothing which has to be looked up: a turned down one is not written, so it only has to stand alone. */
function isPlain({ server }: DecidedServer): boolean {
  return server.placement !== undefined && server.gang === null && !server.request.host?.group;
}

function isPlaced(entry: DecidedServer): entry is PlacedNow {
  return entry.decision.outcome === 'placed' && entry.server.placement !== undefined;
}

/** The first decision of the batch on a host saw it as it was. */
function hostsOf(placed: readonly PlacedNow[]): TouchedHost[] {
  const hosts = new Map<string, TouchedHost>();
  for (const { decision } of placed) {
    const { hostId: id, hostName: name, generation } = decision;
    const host = hosts.get(id);
    if (!host) hosts.set(id, { id, name, generation, placed: 1 });
    else hosts.set(id, { ...host, generation: Math.min(host.generation, generation), placed: host.placed + 1 });
  }
  return [...hosts.values()];
}

/** By placement, as they are. null: one is not known, or it is a PF, whose VFs change with it. */
function claimedDevices(
  placed: readonly PlacedNow[],
  deviceOf: DeviceOf,
): ReadonlyMap<PlacedNow, readonly ClaimedDevice[]> | null {
  const claimed = new Map<PlacedNow, readonly ClaimedDevice[]>();
  for (const entry of placed) {
    const { hostId, devices } = entry.decision;
    const own: ClaimedDevice[] = [];
    for (const chosen of devices) {
      const device = deviceOf(hostId, chosen.deviceId);
      if (!device || device.deviceType === 'type-PF') return null;
      own.push({ ...chosen, device });
    }
    claimed.set(entry, own);
  }
  return claimed;
}
