import { Logger } from '@nestjs/common';
import { BerthError } from '../errors.js';
import { place } from '../placement/place.js';
import type { ExcludedHost } from '../placement/request.js';
import type { PlacementPolicy } from '../placement/snapshot.js';
import type { QueueRules } from '../store/decided-server.js';
import {
  keepServer,
  leftHost,
  lockLeaving,
  moveServer,
  readLeaving,
  sendAway,
  settle,
  type Leaving,
} from '../store/evacuations.store.js';
import type { Ledger } from '../store/ledger.js';
import { readNominations } from '../store/queue.store.js';
import type { SnapshotCache } from '../store/snapshot.store.js';

const log = new Logger('Evacuations');
/** How often one server is decided anew because its new host changed; then it is the next sweep's. */
const ROUNDS_MAX = 10;
const CHANGING = 'its new host had changed, or its project was at a quota, each time that it was to go';
const BUSY = 'something is under way with it; it is tried again';

export interface EvacuationRules {
  readonly policy: PlacementPolicy;
  readonly claimTimeoutMs: number;
  readonly queue: QueueRules;
}

/** What an evacuation works on. */
interface World {
  readonly ledger: Ledger;
  readonly cache: SnapshotCache;
  readonly rules: EvacuationRules;
}

/**
 * Has servers leave their hosts, as was asked for: each is decided anew without its host, and goes only when another host takes it,
 * in one transaction. One for which there is no room stays, unless it was asked for with `force`. Safe to run in several schedulers.
 *
 * @returns how many have left
 */
export async function evacuate(world: World, limit: number): Promise<number> {
  let left = 0;
  for (const leaving of await readLeaving(world.ledger.pool, limit)) {
    if (await evacuateOne(world, leaving)) left += 1;
  }
  return left;
}

async function evacuateOne(world: World, leaving: Leaving): Promise<boolean> {
  for (let round = 0; round < ROUNDS_MAX; round++) {
    await world.cache.refresh();
    try {
      return await attempt(world, leaving);
    } catch (error) {
      if (!(error instanceof BerthError) || error.code !== 'claim.conflict') throw error;
    }
  }
  // who does not wait is told, and may be acted on again
  if (!leaving.waits) await world.ledger.transaction((tx) => keepServer(tx, leaving, CHANGING));
  return false;
}

async function attempt({ ledger, cache, rules }: World, leaving: Leaving): Promise<boolean> {
  const { hostId, hostName, serverId, request, force } = leaving;
  const snapshot = { hosts: cache.list(), policy: rules.policy };
  const decision = place(snapshot, request, [leftHost(hostId), ...(await keptForOthers(ledger, serverId))]);
  const outcome = await ledger
    .transaction(async (tx) => {
      const ready = await lockLeaving(tx, leaving);
      if (ready === 'over') await settle(tx, leaving, 'left', null);
      else if (ready === 'busy') await settle(tx, leaving, 'open', BUSY);
      else if (decision.outcome === 'placed') await moveServer(tx, leaving, decision, rules);
      else if (force) await sendAway(tx, leaving, decision.message);
      else await keepServer(tx, leaving, decision.message);
      return ready;
    })
    .finally(() => (decision.outcome === 'placed' ? cache.revert([decision.hostId]) : undefined));
  const hasLeft = outcome === 'ready' && (decision.outcome === 'placed' || force);
  if (hasLeft) log.log({ message: 'evacuating', server_id: serverId, host: hostName });
  return hasLeft;
}

/** Hosts that are kept for servers in the queue are left to them. */
async function keptForOthers(ledger: Ledger, serverId: string): Promise<ExcludedHost[]> {
  const others = (await readNominations(ledger.pool)).filter((nomination) => nomination.serverId !== serverId);
  return others.map((other) => ({ hostId: other.hostId, reason: 'it is kept for a waiting server', kept: true }));
}
