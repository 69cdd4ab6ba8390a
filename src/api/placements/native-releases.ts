import { BatchIntake } from '../../batches/batch-intake.js';
import type { Ledger } from '../../store/ledger.js';
import { type ReleaseOutcome, releasePlacements } from '../../store/placement-releases.store.js';
import type { ReleaseAnswerView } from './native-placements.dto.js';

const LIMITS = { sizeMax: 1_000, delayMs: 3 };

/** Gathers what callers give back into batches. */
export class Releasing {
  private readonly intake: BatchIntake<string, ReleaseOutcome>;

  constructor(ledger: Ledger) {
    this.intake = new BatchIntake(async (ids) => {
      const outcomes = await ledger.transaction((tx) => releasePlacements(tx, [...new Set(ids)]));
      return ids.map((id) => outcomes.get(id) ?? 'unknown');
    }, LIMITS);
  }

  release(ids: readonly string[]): Promise<readonly ReleaseAnswerView[]> {
    return Promise.all(ids.map(async (id) => ({ id, outcome: await this.intake.add(id) })));
  }
}
