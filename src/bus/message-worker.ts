import { setTimeout as sleep } from 'node:timers/promises';
import { BerthError, messageOf } from '../errors.js';
import { decodeEnvelope, type Envelope } from '../messages/envelope.js';
import type { BusSettings } from '../settings/settings.js';
import type { Handler } from './bus.js';
import type { BusLog } from './bus-log.js';
import { LISTENER_MESSAGES_MAX, retryDelayMs, STOP_MS_MAX } from './limits.js';
import { withTimeLimit } from './time-limit.js';

/** One message as a broker hands it over. Exactly one of `done`, `giveBack` and `bury` is called, once. */
export interface Delivery {
  readonly bytes: Buffer;
  /** What the sender told the broker; only for the log. */
  readonly messageId: string | null;
  /** Who sent it, as the broker has checked; null: it does not say. */
  readonly user?: string | null;
  /** How often this message was handed out before. */
  readonly deliveredBefore: number;
  /** The broker has taken the message back already (the connection was lost). */
  isLost(): boolean;
  done(): void;
  /** Back to its place in the queue; at the delivery limit the broker moves it to the dead-letter queue. */
  giveBack(): void;
  /** To the dead-letter queue at once. */
  bury(): void;
}

export interface WorkerOptions {
  readonly queue: string;
  readonly prefetch: number;
  readonly settings: Pick<BusSettings, 'messageBytesMax' | 'deliveryLimit'>;
  /** Nobody sends it again: a message that failed is passed over, and of too many that wait the oldest is dropped. */
  readonly triesOnce?: boolean | undefined;
  /** Whether the sender may say that; left out: everybody may. What is refused goes to the dead letters, and is told there. */
  readonly isGenuine?: ((message: Envelope, user: string | null) => boolean) | undefined;
}

/**
 * What happens to a message between broker and handler; the same for both buses.
 *
 *   delivery ──► valid, and its sender's to say? ──no──► bury
 *                 │yes
 *                 ▼
 *              handler ──throws──► pause (grows) ──► giveBack
 *                 │
 *                 ▼
 *               done
 *
 * A message in its pause keeps its prefetch slot. So, when every message fails because the database is away, the
 * consumer slows down instead of driving a whole queue through its delivery limit within a second.
 */
export class MessageWorker {
  private readonly waiting: Delivery[] = [];
  private readonly running = new Set<Promise<void>>();
  private readonly stopping = new AbortController();
  private held = false;

  constructor(
    private readonly options: WorkerOptions,
    private readonly handler: Handler,
    private readonly log: BusLog,
  ) {}

  take(delivery: Delivery): void {
    if (this.stopping.signal.aborted) {
      delivery.giveBack();
      return;
    }
    this.waiting.push(delivery);
    if (this.options.triesOnce && this.waiting.length > LISTENER_MESSAGES_MAX) this.waiting.shift();
    this.startNext();
  }

  /**
   * Starts no more handlers. What arrives now is kept until `stop`: given back while the broker still delivers to us
   * it would come again at once, and count as one more delivery each time.
   */
  hold(): void {
    this.held = true;
  }

  /** Gives back what has not been started and waits for the handlers, at most {@link STOP_MS_MAX}. */
  async stop(): Promise<void> {
    this.held = true;
    this.stopping.abort();
    for (const delivery of this.waiting.splice(0)) delivery.giveBack();
    try {
      const late = () => new BerthError('internal.error', `${this.running.size} handlers did not end in time`);
      await withTimeLimit(Promise.all(this.running), STOP_MS_MAX, late);
    } catch (error) {
      this.log('error', 'message handlers left behind', { queue: this.options.queue, reason: messageOf(error) });
    }
  }

  /** After a reconnect messages of the old connection may still be in their handlers: they keep their slots. */
  private startNext(): void {
    while (!this.held && this.running.size < this.options.prefetch) {
      const delivery = this.waiting.shift();
      if (!delivery) return;
      if (delivery.isLost()) continue;
      const run: Promise<void> = this.handle(delivery).finally(() => {
        this.running.delete(run);
        this.startNext();
      });
      this.running.add(run);
    }
  }

  private async handle(delivery: Delivery): Promise<void> {
    const message = this.decode(delivery);
    if (!message || this.options.isGenuine?.(message, delivery.user ?? null) === false) return delivery.bury();
    try {
      await this.handler(message);
    } catch (error) {
      return this.tryAgain(delivery, message, error);
    }
    delivery.done();
  }

  private decode(delivery: Delivery): Envelope | null {
    try {
      return decodeEnvelope(delivery.bytes, this.options.settings.messageBytesMax);
    } catch (error) {
      this.log('error', 'message buried: not valid', {
        queue: this.options.queue,
        messageId: delivery.messageId,
        reason: messageOf(error),
      });
      return null;
    }
  }

  private async tryAgain(delivery: Delivery, message: Envelope, error: unknown): Promise<void> {
    const isLast = !this.options.triesOnce && delivery.deliveredBefore >= this.options.settings.deliveryLimit;
    this.log(isLast ? 'error' : 'warn', isLast ? 'message buried: handler failed' : 'message handler failed', {
      queue: this.options.queue,
      messageId: message.id,
      type: message.type,
      attempt: delivery.deliveredBefore + 1,
      reason: messageOf(error),
      stack: error instanceof Error ? error.stack : undefined,
    });
    if (!isLast && !this.options.triesOnce) await this.pause(retryDelayMs(delivery.deliveredBefore));
    delivery.giveBack();
  }

  private async pause(ms: number): Promise<void> {
    try {
      await sleep(ms, undefined, { signal: this.stopping.signal });
    } catch {
      // Stopped: the message goes back now.
    }
  }
}
