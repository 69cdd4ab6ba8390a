import { Injectable } from '@nestjs/common';
import { Bus } from '../bus/bus.js';
import { BerthError } from '../errors.js';
import { Ledger } from '../store/ledger.js';
import { hasOutboxLines, putBackToOutbox, takeFromOutbox, type OutboxLine } from '../store/outbox.store.js';
import type { SchedulerSettings } from '../settings/settings.js';
import { Rounds } from './rounds.js';

const LINES_PER_ROUND = 512;
/** Commits that follow each other closely are sent together. */
const GATHER_MS = 20;

/**
 * Publishes what transactions left in the outbox. A line is deleted in the transaction in which the broker confirmed it:
 * it goes out at least once. What this process commits is taken within
 * milliseconds, and what others do when it looks the next time.
 */
@Injectable()
export class OutboxRelay extends Rounds {
  constructor(
    private readonly ledger: Ledger,
    private readonly bus: Bus,
    private readonly settings: Pick<SchedulerSettings, 'relayIntervalMs'>,
  ) {
    super({ firstMs: 100, maxMs: 5_000, message: 'relay failed, trying again' });
  }

  override onApplicationBootstrap(): void {
    this.ledger.onOutbox(() => this.nudge());
    super.onApplicationBootstrap();
  }

  protected override async round(isNudged: boolean): Promise<number> {
    const { relayIntervalMs } = this.settings;
    if (!this.bus.isReady()) return relayIntervalMs;
    if (isNudged) await new Promise((resolve) => setTimeout(resolve, GATHER_MS));
    else if (!(await hasOutboxLines(this.ledger.pool))) return relayIntervalMs;
    return (await this.relayOnce()) < LINES_PER_ROUND ? relayIntervalMs : 0;
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
      await putBackToOutbox(tx, unsent);
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
}
