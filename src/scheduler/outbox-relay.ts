import { Injectable, Logger, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import { Bus } from '../bus/bus.js';
import { BerthError, messageOf } from '../errors.js';
import { Ledger } from '../store/ledger.js';
import { addToOutbox, takeFromOutbox, type OutboxLine } from '../store/outbox.store.js';
import type { SchedulerSettings } from '../settings/settings.js';

const LINES_PER_ROUND = 256;
const BACKOFF_MAX_MS = 5_000;

/**
 * Publishes what transactions left in the outbox. A line is deleted in the transaction in which the broker confirmed it:
 * it goes out at least once. Polls; whoever writes lines in this process can `nudge` it.
 */
@Injectable()
export class OutboxRelay implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly log = new Logger(OutboxRelay.name);
  private stopped = false;
  private running: Promise<void> | null = null;
  private wake: (() => void) | null = null;

  constructor(
    private readonly ledger: Ledger,
    private readonly bus: Bus,
    private readonly settings: SchedulerSettings,
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

  nudge(): void {
    this.wake?.();
  }

  private async run(): Promise<void> {
    let backoffMs = 0;
    while (!this.stopped) {
      try {
        const sent = this.bus.isReady() ? await this.relayOnce() : 0;
        backoffMs = 0;
        if (sent < LINES_PER_ROUND) await this.sleep(this.settings.relayIntervalMs);
      } catch (error) {
        backoffMs = Math.min(BACKOFF_MAX_MS, Math.max(100, backoffMs * 2));
        this.log.warn({ message: 'relay failed, trying again', problem: messageOf(error), in_ms: backoffMs });
        await this.sleep(backoffMs);
      }
    }
  }

  /** @returns how many lines were taken */
  private relayOnce(): Promise<number> {
    return this.ledger.transaction(async (tx) => {
      const lines = await takeFromOutbox(tx, LINES_PER_ROUND);
      const unsent = (await Promise.all(lines.map((line) => this.publish(line)))).filter((line) => line !== null);
      if (unsent.length > 0 && unsent.length === lines.length) {
        throw new BerthError('bus.unavailable', 'no message could be sent');
      }
      // one queue that takes no messages must not hold up the others: its lines go to the end
      await addToOutbox(tx, unsent);
      return lines.length;
    });
  }

  /** @returns the line when it has to be tried again */
  private async publish(line: OutboxLine): Promise<OutboxLine | null> {
    try {
      await this.bus.publish(line.queue, line.message);
      return null;
    } catch (error) {
      if (error instanceof BerthError && error.code !== 'bus.unavailable') {
        this.log.error({
          message: 'a message cannot be sent, it is dropped',
          queue: line.queue,
          problem: error.message,
        });
        return null;
      }
      return line;
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
