import { Injectable, Logger, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import { messageOf } from '../errors.js';
import type { AuditSettings } from '../settings/settings.js';
import { hasUnsealed, pruneAudit, sealAudit } from '../store/audit.store.js';
import { Ledger } from '../store/ledger.js';

const INTERVAL_MS = 250;
const BACKOFF_MAX_MS = 10_000;
const PRUNE_INTERVAL_MS = 3_600_000;
/** Steps of one pruning; what is left over is for the next one. */
const PRUNES_MAX = 200;

/**
 * Puts what transactions wrote for the audit into the chain. Every scheduler has one; one of them works at a time. Nobody
 * waits for it: while it is behind, or cannot work at all, rows wait in `audit_pending` and nothing is lost.
 */
@Injectable()
export class AuditSealer implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly log = new Logger(AuditSealer.name);
  private stopped = false;
  private running: Promise<void> | null = null;
  private wake: (() => void) | null = null;
  private backoffMs = 0;
  private prunedAt = 0;

  constructor(
    private readonly ledger: Ledger,
    private readonly settings: AuditSettings,
  ) {}

  onApplicationBootstrap(): void {
    this.running = this.run();
  }

  /** Resolves when the round under way is over. */
  async beforeApplicationShutdown(): Promise<void> {
    this.stopped = true;
    this.nudge();
    await this.running;
  }

  /** There is something to seal now. */
  nudge(): void {
    this.wake?.();
  }

  private async run(): Promise<void> {
    while (!this.stopped) {
      try {
        await this.seal();
        await this.prune();
        this.backoffMs = 0;
      } catch (error) {
        this.backoffMs = Math.min(BACKOFF_MAX_MS, Math.max(INTERVAL_MS, this.backoffMs * 2));
        this.log.warn({
          message: 'the audit is behind, trying again',
          problem: messageOf(error),
          in_ms: this.backoffMs,
        });
      }
      await this.sleep(Math.max(INTERVAL_MS, this.backoffMs));
    }
  }

  private async seal(): Promise<void> {
    while (!this.stopped && (await hasUnsealed(this.ledger.pool))) {
      const { more } = await this.ledger.transaction(sealAudit);
      if (!more) return;
    }
  }

  private async prune(): Promise<void> {
    if (Date.now() - this.prunedAt < PRUNE_INTERVAL_MS) return;
    this.prunedAt = Date.now();
    for (let step = 0; step < PRUNES_MAX && !this.stopped; step++) {
      if (!(await this.ledger.transaction((tx) => pruneAudit(tx, this.settings.keepDays)))) return;
    }
  }

  private sleep(ms: number): Promise<void> {
    if (this.stopped) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
