import { BerthError } from '../errors.js';
import { COMMANDS_PER_MESSAGE_MAX } from '../messages/routes.js';
import type { Address } from '../pci/address.js';
import type { AuditedTransition } from './audit-bodies.js';
import type { Tx } from './database.js';
import type { DecidedServer } from './decided-server.js';
import { readStatesForClaim } from './device-states.store.js';
import { batchValues, type DeviceOf, type PlacedNow, type TouchedHost } from './placement-batch-values.js';
import { inKeyOrder } from './placements.store.js';

/**
 * Writes a batch that is nothing but new placements in one statement, if everything is still as it was decided on. That it mostly is:
 * so one round trip, and plans that the database has ready, do for most batches.
 *
 * @param tx no transaction: the statement is one
 * @returns false when it wrote nothing: the batch is of another kind, or a host, a device, a key or a quota is in the way of something;
 *   `commitDecisions` knows of what
 */
export async function commitAsDecided(
  tx: Tx,
  decided: readonly DecidedServer[],
  claimTimeoutMs: number,
  deviceOf: DeviceOf,
): Promise<boolean> {
  if (!decided.every(isPlain)) return false;
  const placed = inKeyOrder(decided.filter(isPlaced));
  if (placed.length === 0) return true;
  const hosts = hostsOf(placed);
  if (hosts.some(({ placed: count }) => count > COMMANDS_PER_MESSAGE_MAX)) return false;
  const transitions = await transitionsOf(tx, placed, deviceOf);
  if (!transitions) return false;
  const values = batchValues({ placed, hosts, transitions, deviceOf, claimTimeoutMs });
  const [row] = (await tx.query(commitPlacements(values.length), values)) as [{ done: boolean }];
  return row.done;
}

function commitPlacements(values: number): string {
  const numbers = Array.from({ length: values }, (_unused, index) => `$${index + 1}`);
  return `SELECT commit_placements(${numbers.join(', ')}) AS done`;
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

/**
 * What becomes of devices. One that has no relatives is claimed, and that is all; others are looked up with their relatives.
 *
 * @returns null when one cannot be claimed any more
 */
async function transitionsOf(
  tx: Tx,
  placed: readonly PlacedNow[],
  deviceOf: DeviceOf,
): Promise<readonly AuditedTransition[] | null> {
  const transitions: AuditedTransition[] = [];
  const related: RelatedDevice[] = [];
  for (const { server, decision } of placed) {
    for (const { deviceId: id, address } of decision.devices) {
      const device = deviceOf(decision.hostId, id);
      if (!device) return null;
      const claimed = { id, host_id: decision.hostId, address, server_id: server.id };
      if (device.parentAddress !== null || device.deviceType === 'type-PF') related.push(claimed);
      else transitions.push(alone(claimed));
    }
  }
  const around = await transitionsAround(tx, related);
  return around && [...transitions, ...around];
}

interface RelatedDevice {
  readonly id: string;
  readonly host_id: string;
  readonly address: Address;
  readonly server_id: string;
}

function alone({ id: device_id, ...device }: RelatedDevice): AuditedTransition {
  return { device_id, ...device, event: 'claim', from: 'available', to: 'claimed' };
}

async function transitionsAround(tx: Tx, devices: readonly RelatedDevice[]): Promise<AuditedTransition[] | null> {
  const states = await readStatesForClaim(
    tx,
    devices.map(({ id }) => id),
  );
  try {
    for (const device of devices) states.get(device.host_id)?.apply('claim', device.address, device.server_id);
  } catch (error) {
    if (error instanceof BerthError) return null;
    throw error;
  }
  // a claim makes no relative freer, whatever those of its relatives are that were not read
  return [...states.values()].flatMap(({ transitions }) =>
    transitions.filter(({ from, server_id: owner }) => owner !== null || from === 'available'),
  );
}
