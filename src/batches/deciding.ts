import type { BeforeApplicationShutdown } from '@nestjs/common';
import { randomInt } from 'node:crypto';
import type { PlacementPolicy, SnapshotDevice } from '../placement/snapshot.js';
import type { SchedulerSettings } from '../settings/settings.js';
import { commitDecisions, type CommitResult, type DecidedServer, type WaitingServer } from '../store/claims.store.js';
import type { Ledger } from '../store/ledger.js';
import { LiveMix } from '../store/live-mix.js';
import { placementBatch, type PlacementBatch, writePlacementBatch } from '../store/placement-batch.store.js';
import { type Nomination, readNominations } from '../store/queue.store.js';
import type { SnapshotCache } from '../store/snapshot.store.js';
import { BatchDecisions } from './batch-decisions.js';
import { CommitLine } from './commit-line.js';
import type { DecisionRecorder } from './decision-recorder.js';

/** For so long placements go by the hosts that were kept for others. */
const NOMINATIONS_MS = 50;

interface Unwritten {
  readonly decided: readonly DecidedServer[];
  /** Ids of the hosts that it was put ahead on. */
  readonly touched: readonly string[];
  /** For batches of new placements only. */
  readonly batch: PlacementBatch | null;
}

/** What was decided on a batch, as it is in the ledger, and what became of it. */
export interface DecidedBatch extends CommitResult {
  readonly decided: readonly DecidedServer[];
}

/**
 * Decides for one process: with its view of the hosts, its record of decisions, and one line for its commits. The REST face's
 * placements and the scheduler's servers go through the same one where they share a process.
 */
export class Deciding implements BeforeApplicationShutdown {
  private readonly line = new CommitLine();
  private readonly mix = new LiveMix();
  private readonly nextSearchMs = new Map<string, number>();
  private readonly policy: PlacementPolicy;
  private nominated: { readonly readAtMs: number; readonly list: readonly Nomination[] } = {
    readAtMs: -Infinity,
    list: [],
  };

  constructor(
    readonly ledger: Ledger,
    readonly cache: SnapshotCache,
    readonly settings: SchedulerSettings,
    private readonly recorder: DecisionRecorder,
  ) {
    this.policy = placementPolicy(settings);
  }

  /** Decides the servers in their order, each on the hosts as those before it leave them, and commits what was decided. */
  async decideAndCommit(servers: readonly WaitingServer[]): Promise<DecidedBatch> {
    const { queue, preemption } = this.settings;
    const policy = await this.policyFor(servers.length);
    const nominations = await this.nominationsFor(servers);
    const rules = { policy, preemption, patienceMs: queue.patienceMs };
    const decisions = new BatchDecisions(this.cache, this.recorder, rules, nominations, this.nextSearchMs);
    const decided = decisions.decide(servers);
    const touched = [
      ...new Set(decided.flatMap(({ decision }) => (decision.outcome === 'placed' ? [decision.hostId] : []))),
    ];
    // made while the batch before this one is still being written
    const batch = placementBatch(decided, this.settings.claimTimeoutMs, this.deviceOf);
    try {
      return await this.line.run(touched, async (isWrongAbout) => {
        const result = await this.commit({ decided, touched, batch }, isWrongAbout);
        const refused = new Map(result.refused.map((entry) => [entry.server.id, entry]));
        return { ...result, decided: decided.map((entry) => refused.get(entry.server.id) ?? entry) };
      });
    } finally {
      this.recorder.flushSoon();
    }
  }

  /** Resolves when what was decided is recorded. */
  recorded(): Promise<void> {
    return this.recorder.flush();
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.recorded();
  }

  /** The hosts that a batch is wrong about are read anew before the line goes on. */
  private async commit(
    { decided, touched, batch }: Unwritten,
    isWrongAbout: (hostId: string) => boolean,
  ): Promise<CommitResult> {
    const { queue, claimTimeoutMs } = this.settings;
    try {
      const isSure = batch !== null && !touched.some(isWrongAbout);
      if (isSure && (await writePlacementBatch(this.ledger.pool, batch))) {
        this.ledger.tellOfOutbox();
        return { committed: decided.map(({ server }) => server.id), conflicts: [], refused: [], staleHosts: [] };
      }
      const result = await this.ledger.transaction((tx) =>
        commitDecisions(tx, decided, claimTimeoutMs, queue, isWrongAbout),
      );
      if (result.staleHosts.length > 0) await this.cache.revert([...new Set(result.staleHosts)]);
      return result;
    } catch (error) {
      await this.cache.revert(touched);
      throw error;
    }
  }

  private readonly deviceOf = (hostId: string, deviceId: string): SnapshotDevice | null =>
    this.cache.get(hostId)?.devices.find(({ id }) => id === deviceId) ?? null;

  private policyFor(servers: number): Promise<PlacementPolicy> {
    return this.mix.addTo(this.ledger.pool, { hosts: this.cache.list(), policy: this.policy }, servers);
  }

  /** Placements do not wait, so nobody is nominated among them: what was read a moment ago is as good. */
  private async nominationsFor(servers: readonly WaitingServer[]): Promise<readonly Nomination[]> {
    const nowMs = Date.now();
    const isGood = nowMs - this.nominated.readAtMs < NOMINATIONS_MS && servers.every((server) => server.placement);
    if (!isGood) this.nominated = { readAtMs: nowMs, list: await readNominations(this.ledger.pool) };
    return this.nominated.list;
  }
}

/** What tells this process from others that decide on the same hosts. Journaled with the policy: a replay has the same. */
const OWN_TIE_SEED = randomInt(1, 2 ** 31);

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
    ...(isSeeded(settings) && { tieSeed: OWN_TIE_SEED }),
  };
}

function isSeeded({ tieBreak, compat }: SchedulerSettings): boolean {
  return tieBreak === 'process' || (tieBreak === 'auto' && compat !== 'nova');
}
