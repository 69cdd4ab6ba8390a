import { Injectable, Logger } from '@nestjs/common';
import { BatchIntake } from '../batches/batch-intake.js';
import { type Deciding, placementPolicy } from '../batches/deciding.js';
import { BerthError } from '../errors.js';
import type { Decision } from '../placement/decision.js';
import { readWaitingServers, type DecidedServer } from '../store/claims.store.js';
import type { Ledger } from '../store/ledger.js';
import { countStillWaiting, readQueue } from '../store/queue.store.js';
import type { SnapshotCache } from '../store/snapshot.store.js';
import { attachDevices } from './attachments.js';
import { evacuate } from './evacuations.js';
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
  private readonly intake: BatchIntake<string>;
  private readonly pass = new WaitingPass();

  constructor(private readonly deciding: Deciding) {
    const { batchSizeMax, batchDelayMs } = deciding.settings;
    this.intake = new BatchIntake<string>(
      async (ids) => {
        await this.scheduleBatch([...new Set(ids)]);
        return ids.map(() => undefined);
      },
      { sizeMax: batchSizeMax, delayMs: batchDelayMs },
    );
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
    const { settings } = this.deciding;
    const { claimTimeoutMs, queue } = settings;
    const rules = { policy: placementPolicy(settings), claimTimeoutMs, queue };
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
    const { settings } = this.deciding;
    const { claimTimeoutMs } = settings;
    await attachDevices(ids, this.ledger, this.cache, { policy: placementPolicy(settings), claimTimeoutMs });
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
    const servers = await readWaitingServers(this.ledger.pool, ids, this.deciding.settings.queue.ageingPerMinute);
    if (servers.length === 0) return [];
    const { decided, committed, conflicts } = await this.deciding.decideAndCommit(servers);
    const written = new Set(committed);
    this.report(decided.filter((entry) => written.has(entry.server.id)));
    return conflicts;
  }

  /** Resolves when what was decided is recorded. */
  recorded(): Promise<void> {
    return this.deciding.recorded();
  }

  private get ledger(): Ledger {
    return this.deciding.ledger;
  }

  private get cache(): SnapshotCache {
    return this.deciding.cache;
  }

  private report(decided: readonly DecidedServer[]): void {
    for (const { server, decision } of decided) {
      if (decision.outcome === 'rejected' && server.taskState === 'waiting') continue;
      this.log.log({ message: 'decided', server_id: server.id, ...summary(decision) });
    }
  }
}

function summary(decision: Decision): Record<string, unknown> {
  return decision.outcome === 'placed'
    ? { outcome: 'placed', host: decision.hostName, devices: decision.devices.map((device) => device.address) }
    : { outcome: 'rejected', reason: decision.message };
}
