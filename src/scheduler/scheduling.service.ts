import { Injectable, Logger } from '@nestjs/common';
import { BerthError } from '../errors.js';
import type { Decision } from '../placement/decision.js';
import type { PlacementPolicy } from '../placement/snapshot.js';
import type { SchedulerSettings } from '../settings/settings.js';
import { commitDecisions, readWaitingServers, type DecidedServer } from '../store/claims.store.js';
import { Ledger } from '../store/ledger.js';
import { countStillWaiting, readNominations, readQueue, type Nomination } from '../store/queue.store.js';
import { LiveMix } from '../store/live-mix.js';
import { SnapshotCache } from '../store/snapshot.store.js';
import { attachDevices } from './attachments.js';
import { BatchDecisions } from './batch-decisions.js';
import { BatchIntake } from './batch-intake.js';
import { evacuate } from './evacuations.js';
import { DecisionRecorder } from './decision-recorder.js';
import { WaitingPass } from './waiting-pass.js';

/** How often a batch is decided anew because hosts changed under it, before its messages go back to the queue. */
const CONFLICT_ROUNDS_MAX = 10;

/** Stands among the ids of a batch for "look whether somebody in the queue can be placed now". */
const QUEUE = 'queue';

/**
 * Turns wishes into claims: takes servers in batches, decides each against the snapshot with the decisions before it applied, and
 * commits the batch in one transaction.
 *
 * Whenever a host has changed, those who wait in the queue are decided in the same batch and in one order with whoever has just
 * come: a newcomer does not get what somebody with a better claim has been waiting for.
 */
@Injectable()
export class SchedulingService {
  private readonly log = new Logger(SchedulingService.name);
  private readonly intake: BatchIntake;
  private readonly pass = new WaitingPass();
  private readonly nextSearchMs = new Map<string, number>();
  private readonly mix = new LiveMix();

  constructor(
    private readonly ledger: Ledger,
    private readonly cache: SnapshotCache,
    private readonly settings: SchedulerSettings,
    private readonly recorder: DecisionRecorder,
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

  /** Resolves when the queue was looked through, if anything has changed since it was last. */
  lookAtQueue(): Promise<void> {
    return this.intake.add(QUEUE);
  }

  /** Moves servers that are to leave their hosts, where others take them. */
  async evacuateHosts(limit: number): Promise<void> {
    const { claimTimeoutMs, queue } = this.settings;
    const rules = { policy: placementPolicy(this.settings), claimTimeoutMs, queue };
    await evacuate({ ledger: this.ledger, cache: this.cache, rules }, limit);
  }

  private async scheduleBatch(ids: readonly string[]): Promise<void> {
    let left: readonly string[] = ids.filter((id) => id !== QUEUE);
    await this.cache.refresh();
    const part = await this.partOfQueue();
    for (let round = 0; left.length + part.length > 0; round++) {
      if (round === CONFLICT_ROUNDS_MAX) {
        throw new BerthError('claim.conflict', `${left.length} servers lost every race for their hosts; trying later`);
      }
      if (round > 0) await this.cache.refresh();
      left = await this.scheduleOnce(round === 0 ? [...part, ...left] : left);
      if (left.length === 0) break;
    }
    await this.attach(ids.filter((id) => id !== QUEUE));
    if (await this.passGoesOn(part)) void this.lookAtQueue().catch(() => undefined); // a failure is the next look's
  }

  private async attach(ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return;
    const { claimTimeoutMs } = this.settings;
    await attachDevices(ids, this.ledger, this.cache, { policy: placementPolicy(this.settings), claimTimeoutMs });
  }

  /** Ids of those in the queue who are to be tried now. */
  private async partOfQueue(): Promise<readonly string[]> {
    const part = this.pass.next(this.cache.changes);
    return part ? readQueue(this.ledger.pool, part) : [];
  }

  private async passGoesOn(part: readonly string[]): Promise<boolean> {
    const placed = part.length === 0 ? 0 : part.length - (await countStillWaiting(this.ledger.pool, part));
    return this.pass.done(part.length, placed);
  }

  /** @returns the servers to decide again */
  private async scheduleOnce(ids: readonly string[]): Promise<readonly string[]> {
    const { queue, claimTimeoutMs } = this.settings;
    const servers = await readWaitingServers(this.ledger.pool, ids, queue.ageingPerMinute);
    if (servers.length === 0) return [];
    const policy = await this.policyFor(servers.length);
    const decided = this.decisions(policy, await readNominations(this.ledger.pool)).decide(servers);
    const touched = decided.flatMap(({ decision }) => (decision.outcome === 'placed' ? [decision.hostId] : []));
    try {
      const result = await this.ledger.transaction((tx) => commitDecisions(tx, decided, claimTimeoutMs, queue));
      if (result.staleHosts.length > 0) await this.cache.revert([...new Set(result.staleHosts)]);
      this.report(decided.filter((entry) => result.committed.includes(entry.server.id)));
      return result.conflicts;
    } catch (error) {
      await this.cache.revert([...new Set(touched)]);
      throw error;
    } finally {
      void this.recorder.flush();
    }
  }

  /** Resolves when what was decided is recorded. */
  recorded(): Promise<void> {
    return this.recorder.flush();
  }

  private policyFor(servers: number): Promise<PlacementPolicy> {
    const snapshot = { hosts: this.cache.list(), policy: placementPolicy(this.settings) };
    return this.mix.addTo(this.ledger.pool, snapshot, servers);
  }

  private decisions(policy: PlacementPolicy, nominations: readonly Nomination[]): BatchDecisions {
    const { preemption, queue } = this.settings;
    const rules = { policy, preemption, patienceMs: queue.patienceMs };
    return new BatchDecisions(this.cache, this.recorder, rules, nominations, this.nextSearchMs);
  }

  private report(decided: readonly DecidedServer[]): void {
    for (const { server, decision } of decided) {
      if (decision.outcome === 'rejected' && server.taskState === 'waiting') continue;
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
    placementPolicies: settings.placementPolicies,
    cpuAllocationRatio: settings.cpuAllocationRatio,
    ramAllocationRatio: settings.ramAllocationRatio,
    diskAllocationRatio: settings.diskAllocationRatio,
    maxInstancesPerHost: settings.maxInstancesPerHost,
    maxIoOpsPerHost: settings.maxIoOpsPerHost,
  };
}

function summary(decision: Decision): Record<string, unknown> {
  return decision.outcome === 'placed'
    ? { outcome: 'placed', host: decision.hostName, devices: decision.devices.map((device) => device.address) }
    : { outcome: 'rejected', reason: decision.message };
}
