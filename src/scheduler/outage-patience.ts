import { setTimeout as sleep } from 'node:timers/promises';
import { outageOf } from '../store/outage.js';

/**
 * How long one delivery outlasts the database; then the message goes back to the broker, which counts that as a try and may
 * give it to a scheduler that reaches the database.
 */
const PATIENCE_MS = 20_000;
const RETRY_MS_FIRST = 100;
const RETRY_MS_MAX = 1_000;

/**
 * Does work again for as long as the database is away.
 *
 * A message is nobody's fault while there is no ledger to look at: were each failure a try, a restart of the database would
 * send every message under way to the dead letters, and claims whose agents had answered would expire.
 */
export class OutagePatience {
  private readonly stopping = new AbortController();

  constructor(private readonly patienceMs: number = PATIENCE_MS) {}

  /** @throws what `work` throws, when that is no outage, or one that lasts */
  async through<T>(work: () => Promise<T>): Promise<T> {
    const deadline = performance.now() + this.patienceMs;
    for (let failures = 0; ; failures++) {
      try {
        return await work();
      } catch (error) {
        const pauseMs = Math.min(RETRY_MS_MAX, RETRY_MS_FIRST * 2 ** failures);
        const hasTime = performance.now() + pauseMs < deadline;
        if (outageOf(error) !== 'unavailable' || !hasTime || !(await this.pause(pauseMs))) throw error;
      }
    }
  }

  /** From now on nothing is tried again. */
  stop(): void {
    this.stopping.abort();
  }

  /** @returns false when it was stopped */
  private pause(ms: number): Promise<boolean> {
    return sleep(ms, true, { signal: this.stopping.signal }).catch(() => false);
  }
}
