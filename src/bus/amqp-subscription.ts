import type { Channel, ConsumeMessage } from 'amqplib';
import { BerthError, messageOf } from '../errors.js';
import type { AmqpSession } from './amqp-session.js';
import type { Subscription } from './bus.js';
import type { BusLog } from './bus-log.js';
import type { Delivery, MessageWorker } from './message-worker.js';
import { withTimeLimit } from './time-limit.js';

/** A broker that has gone silent is not waited for: it takes back what we had when the connection ends. */
const ANSWER_MS_MAX = 2_000;
/** A queue that has lost its leader keeps its consumer waiting for a minute; the log names it before. */
const SLOW_MS = 10_000;
const ATTACH_MS_FIRST = 100;
const ATTACH_MS_MAX = 5_000;

export interface AmqpSubscriptionOptions {
  readonly queue: string;
  readonly prefetch: number;
  readonly onStopped: () => void;
  /** `queue` is a topic's name: we consume a queue of our own, made anew each time, and acknowledge nothing. */
  readonly isTopic?: boolean;
}

/** A consumer that outlives channels, connections and the queue itself. */
export class AmqpSubscription implements Subscription {
  /** The channel that delivers to us; null while there is none. Acknowledgements of any other are void. */
  private channel: Channel | null = null;
  private consumerTag: string | null = null;
  private timer: NodeJS.Timeout | null = null;
  private failures = 0;
  private isStopped = false;

  constructor(
    private readonly options: AmqpSubscriptionOptions,
    private readonly worker: MessageWorker,
    private readonly log: BusLog,
  ) {}

  get queue(): string {
    return this.options.queue;
  }

  /** Whether the broker delivers to us. */
  isAttached(): boolean {
    return this.channel !== null && this.consumerTag !== null;
  }

  /** Consumes over this connection; tries again for as long as the connection lives. Never throws. */
  async attach(session: AmqpSession): Promise<void> {
    if (this.isStopped || !session.isOpen()) return;
    const slow = setTimeout(() => this.log('warn', 'the broker does not answer yet', this.fields()), SLOW_MS);
    try {
      const queue = await this.declared(session);
      await this.consume(session, await session.channel(), queue);
      this.failures = 0;
    } catch (error) {
      this.failures += 1;
      if (!this.isStopped) this.log('warn', 'cannot consume yet', this.fields(error));
      this.attachLater(session);
    } finally {
      clearTimeout(slow);
    }
  }

  async stop(): Promise<void> {
    this.isStopped = true;
    if (this.timer) clearTimeout(this.timer);
    this.worker.hold();
    if (this.channel && this.consumerTag) await answered(this.channel.cancel(this.consumerTag));
    await this.worker.stop();
    await this.leaveChannel();
    this.options.onStopped();
  }

  private async declared(session: AmqpSession): Promise<string> {
    const { queue, isTopic = false } = this.options;
    if (isTopic) return session.listener(queue);
    await session.declare(queue);
    return queue;
  }

  private async consume(session: AmqpSession, channel: Channel, queue: string): Promise<void> {
    if (this.isStopped) return void (await channel.close());
    this.channel = channel;
    channel.on('close', () => {
      if (this.channel === channel) this.forgetChannel();
      this.attachLater(session);
    });
    const { prefetch, isTopic = false } = this.options;
    if (!isTopic) await channel.prefetch(prefetch);
    const take = (message: ConsumeMessage | null): void => {
      if (message) this.worker.take(this.delivery(channel, message));
      else this.onQueueDeleted();
    };
    const { consumerTag } = await channel.consume(queue, take, { noAck: isTopic });
    this.consumerTag = consumerTag;
    // Stopped while the broker was setting us up: `stop` did not know the tag yet.
    if (this.isStopped) await this.leaveChannel();
  }

  private onQueueDeleted(): void {
    this.log('warn', 'queue was deleted and is declared again', this.fields());
    void this.leaveChannel();
  }

  private delivery(channel: Channel, message: ConsumeMessage): Delivery {
    const answer = (send: () => void) => () => {
      if (this.channel === channel && !this.options.isTopic) send();
    };
    return {
      bytes: message.content,
      messageId: (message.properties.messageId as string | undefined) ?? null,
      deliveredBefore: Number(message.properties.headers?.['x-delivery-count'] ?? 0),
      isLost: () => this.channel !== channel && !this.options.isTopic,
      done: answer(() => channel.ack(message)),
      giveBack: answer(() => channel.nack(message, false, true)),
      bury: answer(() => channel.nack(message, false, false)),
    };
  }

  /** Closing a channel gives back what it has delivered and we have not acknowledged. */
  private async leaveChannel(): Promise<void> {
    const channel = this.channel;
    this.forgetChannel();
    if (channel) await answered(closed(channel));
  }

  private forgetChannel(): void {
    this.channel = null;
    this.consumerTag = null;
  }

  private attachLater(session: AmqpSession): void {
    if (this.isStopped || !session.isOpen()) return;
    // One that waits may wait for a session that has ended.
    if (this.timer) clearTimeout(this.timer);
    const delayMs = Math.min(ATTACH_MS_MAX, ATTACH_MS_FIRST * 2 ** this.failures);
    this.timer = setTimeout(() => {
      this.timer = null;
      void this.attach(session);
    }, delayMs);
  }

  private fields(error?: unknown): Record<string, unknown> {
    const { queue } = this.options;
    return error === undefined ? { queue } : { queue, reason: messageOf(error), failures: this.failures };
  }
}

/** An error means that the channel is gone, and with it the consumer: which is what the caller wants. */
async function answered(call: Promise<unknown>): Promise<void> {
  const late = () => new BerthError('bus.unavailable', 'the message broker does not answer');
  await withTimeLimit(call, ANSWER_MS_MAX, late).catch(() => undefined);
}

/** `Channel.close` throws, instead of rejecting, when the channel is closed already. */
async function closed(channel: Channel): Promise<void> {
  await channel.close();
}
