import { Injectable, Logger } from '@nestjs/common';
import { BerthError } from '../errors.js';
import { applyPlacement } from '../placement/apply-placement.js';
import type { Decision } from '../placement/decision.js';
import { place } from '../placement/place.js';
import type { PlacementPolicy } from '../placement/snapshot.js';
import type { SchedulerSettings } from '../settings/settings.js';
import { commitDecisions, readWaitingServers, type DecidedServer, type WaitingServer } from '../store/claims.store.js';
import { Ledger } from '../store/ledger.js';
import { SnapshotCache } from '../store/snapshot.store.js';
import { BatchIntake } from './batch-intake.js';

/** How often a batch is decided anew because hosts changed under it, before its messages go back to the queue. */
const CONFLICT_ROUNDS_MAX = 10;

/**
 * Turns wishes into claims: takes waiting servers in batches, decides each against the snapshot with the decisions
 * before it applied, and commits the batch in one transaction.
 */
@Injectable()
export class SchedulingService {
  private readonly log = new Logger(SchedulingService.name);
  private readonly intake: BatchIntake;

  constructor(
    private readonly ledger: Ledger,
    private readonly cache: SnapshotCache,
    private readonly settings: SchedulerSettings,
  ) {
    this.intake = new BatchIntake((ids) => this.scheduleBatch(ids), {
      sizeMax: settings.batchSizeMax,
      delayMs: settings.batchDelayMs,
    });
  }

  /** Resolves when the server's decision is in the ledger. Idempotent: a server that does not wait is left alone. */
  schedule(serverId: string): Promise<void> {
    return this.intake.add(serverId);
  }

  private async scheduleBatch(ids: readonly string[]): Promise<void> {
    let left = ids;
    for (let round = 0; left.length > 0; round++) {
      if (round === CONFLICT_ROUNDS_MAX) {
        throw new BerthError('claim.conflict', `${left.length} servers lost every race for their hosts; trying later`);
      }
      left = await this.scheduleOnce(left);
    }
  }

  /** @returns the servers to decide again */
  private async scheduleOnce(ids: readonly string[]): Promise<readonly string[]> {
    await this.cache.refresh();
    const servers = await readWaitingServers(this.ledger.pool, ids);
    if (servers.length === 0) return [];
    const decided = servers.map((server) => this.decide(server));
    const touched = decided.flatMap(({ decision }) => (decision.outcome === 'placed' ? [decision.hostId] : []));
    try {
      const result = await this.ledger.transaction((tx) => commitDecisions(tx, decided, this.settings.claimTimeoutMs));
      if (result.staleHosts.length > 0) await this.cache.revert([...new Set(result.staleHosts)]);
      this.report(decided.filter((entry) => result.committed.includes(entry.server.id)));
      return result.conflicts;
    } catch (error) {
      await this.cache.revert([...new Set(touched)]);
      throw error;
    }
  }

  private decide(server: WaitingServer): DecidedServer {
    const snapshot = { hosts: this.cache.list(), policy: placementPolicy(this.settings) };
    const decision = place(snapshot, server.request, server.excludedHosts);
    if (decision.outcome === 'placed') {
      const host = this.cache.get(decision.hostId);
      const owner = { serverId: server.id, serverName: server.name };
      if (host) this.cache.put(applyPlacement(host, decision, server.request, owner));
    }
    return { server, decision };
  }

  private report(decided: readonly DecidedServer[]): void {
    for (const { server, decision } of decided) {
      this.log.log({ message: 'decided', server_id: server.id, ...summary(decision) });
    }
  }
}

/** The part of the settings that a decision may look at. */
export function placementPolicy(settings: SchedulerSettings): PlacementPolicy {
  return {
    compat: settings.compat,
    filters: settings.filters,
    weigherMultipliers: settings.weigherMultipliers,
    cpuAllocationRatio: settings.cpuAllocationRatio,
    ramAllocationRatio: settings.ramAllocationRatio,
    diskAllocationRatio: settings.diskAllocationRatio,
  };
}

function summary(decision: Decision): Record<string, unknown> {
  return decision.outcome === 'placed'
    ? { outcome: 'placed', host: decision.hostName, devices: decision.devices.map((device) => device.address) }
    : { outcome: 'rejected', reason: decision.message };
}
