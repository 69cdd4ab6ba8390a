import { Logger, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import { messageOf } from '../errors.js';

/** How long to rest after a round that failed: twice as long each time. */
interface Backoff {
  readonly firstMs: number;
  readonly maxMs: number;
  /** What the log says then. */
  readonly message: string;
}

/**
 * Works round after round until the process ends, one at a time. A nudge ends the rest between two; one that comes during a round is
 * answered by the next. After a failure there are no nudges: whoever writes on must not make it try all the time.
 */
export abstract class Rounds implements OnApplicationBootstrap, BeforeApplicationShutdown {
  protected readonly log = new Logger(this.constructor.name);
  protected stopped = false;
  private running: Promise<void> = Promise.resolve();
  private isNudged = false;
  private isBackingOff = false;
  private wake: (() => void) | null = null;

  protected constructor(private readonly backoff: Backoff) {}

  /** @returns how long to rest until the next, unless nudged; 0 when there is more to do */
  protected abstract round(isNudged: boolean): Promise<number>;

  onApplicationBootstrap(): void {
    this.running = this.run();
  }

  /** Resolves when the round under way is over. */
  async beforeApplicationShutdown(): Promise<void> {
    this.stopped = true;
    this.wake?.();
    await this.running;
  }

  /** There is something to do now. */
  nudge(): void {
    this.isNudged = true;
    if (!this.isBackingOff) this.wake?.();
  }

  private async run(): Promise<void> {
    let backoffMs = 0;
    while (!this.stopped) {
      const { isNudged } = this;
      this.isNudged = false;
      try {
        const restMs = await this.round(isNudged);
        backoffMs = 0;
        if (!this.isNudged) await this.rest(restMs);
      } catch (error) {
        const { firstMs, maxMs, message } = this.backoff;
        backoffMs = Math.min(maxMs, Math.max(firstMs, backoffMs * 2));
        this.log.warn({ message, problem: messageOf(error), in_ms: backoffMs });
        this.isBackingOff = true;
        await this.rest(backoffMs);
        this.isBackingOff = false;
      }
    }
  }

  private rest(ms: number): Promise<void> {
    if (this.stopped || ms === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
