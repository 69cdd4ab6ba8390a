import { BerthError } from '../../errors.js';
import { DEFAULT_ZONE } from '../../placement/host-defaults.js';
import * as aggregates from '../../store/aggregates.store.js';
import type { Tx } from '../../store/database.js';

const NAMED_MAX = 3;

/**
 * Changes what these hosts belong to, and has everybody look at them again. A host may be in many aggregates, and in one zone
 * only (Nova's rule); and a server that asked for the zone of its host keeps it.
 *
 * @param hostIds their rows are locked
 * @throws BerthError `aggregate.zone_conflict`; the caller's transaction must end
 */
export async function keepingZones(tx: Tx, hostIds: readonly string[], change: () => Promise<unknown>): Promise<void> {
  const before = await aggregates.zonesOf(tx, hostIds);
  await change();
  const after = await aggregates.zonesOf(tx, hostIds);
  await assertOneZone(tx, after);
  const zoneOf = (zones: typeof before, id: string): string => zones.get(id)?.[0] ?? DEFAULT_ZONE;
  const moved = hostIds
    .filter((id) => zoneOf(before, id) !== zoneOf(after, id))
    .map((hostId) => ({ hostId, zone: zoneOf(before, hostId) }));
  await assertPromisesKept(tx, moved);
  await aggregates.raiseGenerations(tx, hostIds);
}

async function assertOneZone(tx: Tx, zones: ReadonlyMap<string, readonly string[]>): Promise<void> {
  const [conflict] = [...zones].filter(([, names]) => names.length > 1);
  if (!conflict) return;
  const [hostId, names] = conflict;
  const [host] = await aggregates.hostNamesOf(tx, [hostId]);
  throw new BerthError(
    'aggregate.zone_conflict',
    `Host ${host} would be in the zones ${names.join(' and ')}; a host is in one, so take it out of the other aggregate first`,
  );
}

async function assertPromisesKept(
  tx: Tx,
  moved: readonly { readonly hostId: string; readonly zone: string }[],
): Promise<void> {
  const servers = await aggregates.serversAskingFor(tx, moved, NAMED_MAX + 1);
  if (servers.length === 0) return;
  const named = servers.slice(0, NAMED_MAX).map(({ name, host }) => `${name} on ${host}`);
  const more = servers.length > NAMED_MAX ? ', and more,' : '';
  throw new BerthError(
    'aggregate.zone_conflict',
    `${named.join(', ')}${more} asked for zone ${servers[0]?.zone}, which the host would leave; delete or move such servers first`,
  );
}
