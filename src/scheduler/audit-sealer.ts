import { Injectable } from '@nestjs/common';
import type { AuditSettings } from '../settings/settings.js';
import { hasUnsealed, pruneAudit, sealAudit } from '../store/audit.store.js';
import { Ledger } from '../store/ledger.js';
import { Rounds } from './rounds.js';

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
export class AuditSealer extends Rounds {
  private prunedAt = 0;

  constructor(
    private readonly ledger: Ledger,
    private readonly settings: AuditSettings,
  ) {
    super({ firstMs: INTERVAL_MS, maxMs: BACKOFF_MAX_MS, message: 'the audit is behind, trying again' });
  }

  protected override async round(): Promise<number> {
    await this.seal();
    await this.prune();
    return INTERVAL_MS;
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
}
