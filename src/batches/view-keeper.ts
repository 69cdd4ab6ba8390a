import type { SnapshotCache } from '../store/snapshot.store.js';
import { TimedSweep } from './timed-sweep.js';

const EVERY_MS = 250;

/**
 * Keeps the view of the hosts fresh while nobody asks for a decision: who asks first after a busy time of releases and reports
 * does not wait until all of it is read.
 */
export class ViewKeeper extends TimedSweep {
  constructor(private readonly cache: SnapshotCache) {
    super(EVERY_MS);
  }

  async sweep(): Promise<void> {
    // whoever needs the view reads it again, and tells of what fails
    await this.cache.refresh().catch(() => undefined);
  }
}
