import type { BeforeApplicationShutdown, OnApplicationBootstrap } from '@nestjs/common';
import type { SnapshotCache } from '../store/snapshot.store.js';

const EVERY_MS = 250;

/**
 * Keeps the view of the hosts fresh while nobody asks for a decision: who asks first after a busy time of releases and reports
 * does not wait until all of it is read.
 */
export class ViewKeeper implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private timer: NodeJS.Timeout | null = null;
  private running: Promise<void> = Promise.resolve();
  private stopped = false;

  constructor(private readonly cache: SnapshotCache) {}

  onApplicationBootstrap(): void {
    this.next();
  }

  /** Resolves when the read under way is over. */
  async beforeApplicationShutdown(): Promise<void> {
    this.stopped = true;
    if (this.timer) clearTimeout(this.timer);
    await this.running;
  }

  private next(): void {
    if (this.stopped) return;
    this.timer = setTimeout(() => {
      // whoever needs the view reads it again, and tells of what fails
      this.running = this.cache
        .refresh()
        .catch(() => undefined)
        .finally(() => this.next());
    }, EVERY_MS);
  }
}
