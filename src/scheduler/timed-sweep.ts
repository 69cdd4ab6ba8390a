import { Logger, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import { messageOf } from '../errors.js';

/** Sweeps again and again, one sweep at a time, until the process ends. */
export abstract class TimedSweep implements OnApplicationBootstrap, BeforeApplicationShutdown {
  protected readonly log = new Logger(this.constructor.name);
  private timer: NodeJS.Timeout | null = null;
  private running: Promise<void> = Promise.resolve();
  private stopped = false;

  /** @param intervalMs from the end of one sweep to the beginning of the next */
  protected constructor(private readonly intervalMs: number) {}

  /** Runs every step once; one that fails does not keep the others from running. */
  abstract sweep(): Promise<void>;

  onApplicationBootstrap(): void {
    this.next();
  }

  /** Resolves when the sweep under way is over. */
  async beforeApplicationShutdown(): Promise<void> {
    this.stopped = true;
    if (this.timer) clearTimeout(this.timer);
    await this.running;
  }

  protected async attempt(sweep: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.log.warn({ message: 'sweep failed', sweep, problem: messageOf(error) });
    }
  }

  private next(): void {
    if (this.stopped) return;
    this.timer = setTimeout(() => {
      this.running = this.sweep().finally(() => this.next());
    }, this.intervalMs);
  }
}
