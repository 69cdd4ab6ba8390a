import { placeDevices } from '../placement/attach.js';
import type { Decision } from '../placement/decision.js';
import type { PlacementPolicy } from '../placement/snapshot.js';
import { type AttachingServer, commitAttach, readAttaching, refuseAttach } from '../store/attach.store.js';
import type { Ledger } from '../store/ledger.js';
import type { SnapshotCache } from '../store/snapshot.store.js';

/** How often one attachment is decided anew because its host changed under it; then it is the next nudge's. */
const ROUNDS_MAX = 10;

/** Attaches what is asked for to those of these servers that run: on their own host, or not at all. */
export async function attachDevices(
  ids: readonly string[],
  ledger: Ledger,
  cache: SnapshotCache,
  { policy, claimTimeoutMs }: { readonly policy: PlacementPolicy; readonly claimTimeoutMs: number },
): Promise<void> {
  for (const server of await readAttaching(ledger.pool, ids)) {
    for (let round = 0; round < ROUNDS_MAX; round++) {
      await cache.refresh();
      const decision = decide(server, cache, policy);
      const outcome = await ledger.transaction(async (tx) => {
        if (decision.outcome === 'placed') return commitAttach(tx, server, decision, claimTimeoutMs);
        await refuseAttach(tx, server, decision);
        return 'refused';
      });
      if (outcome !== 'conflict') break;
      await cache.revert([server.hostId]);
    }
  }
}

function decide({ id, hostId, devices }: AttachingServer, cache: SnapshotCache, policy: PlacementPolicy): Decision {
  const host = cache.get(hostId);
  const server = host?.servers.find((hosted) => hosted.id === id);
  if (host && server) return placeDevices(host, policy, server, devices);
  return {
    ...{ outcome: 'rejected', message: 'The server is not on its host any more.', rejections: [], hostsConsidered: 0 },
  } as const;
}
