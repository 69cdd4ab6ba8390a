import type { Channel, ConsumeMessage } from 'amqplib';
import { BerthError, messageOf } from '../errors.js';
import { isAgentQueue } from '../messages/routes.js';
import { AmqpAcknowledgements } from './amqp-acknowledgements.js';
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
const COUNTED_MAX = 10_000;

export interface AmqpSubscriptionOptions {
  readonly queue: string;
  readonly prefetch: number;
  readonly deliveryLimit: number;
  readonly onStopped: () => void;
  /** `queue` is a topic's name: we consume a queue of our own, made anew each time, and acknowledge nothing. */
  readonly isTopic?: boolean;
  /** Of a channel that we share with others; else we have one of our own. */
  readonly channelName?: string | undefined;
}

/** A consumer that outlives channels, connections and the queue itself. */
export class AmqpSubscription implements Subscription {
  /** The channel that delivers to us; null while there is none. Acknowledgements of any other are void. */
  private channel: Channel | null = null;
  private consumerTag: string | null = null;
  private timer: NodeJS.Timeout | null = null;
  private failures = 0;
  /** How often messages were given back, where the broker does not count. */
  private readonly counts = new Map<string, number>();
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
      const { channelName } = this.options;
      const channel = channelName === undefined ? session.channel() : session.sharedChannel(channelName);
      await this.consume(session, await channel, queue);
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
    await session.prepareToConsume(queue);
    return queue;
  }

  private async consume(session: AmqpSession, channel: Channel, queue: string): Promise<void> {
    this.channel = channel;
    if (this.isStopped) return this.leaveChannel();
    const onClose = (): void => {
      if (this.channel === channel) this.forgetChannel();
      this.attachLater(session);
    };
    channel.on('close', onClose);
    const { prefetch, isTopic = false } = this.options;
    if (!isTopic) await channel.prefetch(prefetch);
    const take = (message: ConsumeMessage | null): void => {
      if (message) this.worker.take(this.delivery(channel, message));
      else
        this.onQueueDeleted(() => {
          channel.off('close', onClose);
          this.attachLater(session);
        });
    };
    const { consumerTag } = await channel.consume(queue, take, { noAck: isTopic });
    this.consumerTag = consumerTag;
    // Stopped while the broker was setting us up: `stop` did not know the tag yet.
    if (this.isStopped) await this.leaveChannel();
  }

  /** A channel of our own is closed, which has us attach again; one that others use is only left. */
  private onQueueDeleted(attachAgain: () => void): void {
    this.log('warn', 'queue was deleted and is declared again', this.fields());
    void this.leaveChannel();
    if (this.options.channelName !== undefined) attachAgain();
  }

  private delivery(channel: Channel, message: ConsumeMessage): Delivery {
    const { messageId, userId } = message.properties as { messageId?: string; userId?: string };
    const acknowledgements = AmqpAcknowledgements.of(channel);
    if (!this.options.isTopic) acknowledgements.delivered(message);
    const deliveredBefore = this.deliveredBefore(message);
    const isLast = deliveredBefore.by === 'us' && deliveredBefore.times >= this.options.deliveryLimit;
    const answer = (send: () => void) => () => {
      if (this.channel === channel && !this.options.isTopic) send();
    };
    return {
      bytes: message.content,
      messageId: messageId ?? null,
      user: userId ?? null,
      deliveredBefore: deliveredBefore.times,
      isLost: () => this.channel !== channel && !this.options.isTopic,
      done: answer(() => {
        this.counts.delete(messageId ?? '');
        acknowledgements.done(message);
      }),
      giveBack: answer(() => {
        this.count(messageId, deliveredBefore.times + 1);
        acknowledgements.refused(message, !isLast);
      }),
      bury: answer(() => acknowledgements.refused(message, false)),
    };
  }

  /** Quorum queues count deliveries; for a classic one we do, as long as this subscription lives. */
  private deliveredBefore({ fields, properties }: ConsumeMessage): { times: number; by: 'us' | 'broker' } {
    const counted: unknown = properties.headers?.['x-delivery-count'];
    if (counted !== undefined || !fields.redelivered) return { times: Number(counted ?? 0), by: 'broker' };
    return { times: this.counts.get(String(properties.messageId)) ?? 0, by: 'us' };
  }

  private count(messageId: string | undefined, times: number): void {
    if (messageId === undefined || !isAgentQueue(this.options.queue)) return;
    if (times > this.options.deliveryLimit) this.counts.delete(messageId);
    else this.counts.set(messageId, times);
    for (const oldest of this.counts.keys()) {
      if (this.counts.size <= COUNTED_MAX) return;
      this.counts.delete(oldest);
    }
  }

  /** Closing a channel gives back what it has delivered and we have not acknowledged. */
  private async leaveChannel(): Promise<void> {
    const { channel, consumerTag } = this;
    this.forgetChannel();
    if (!channel) return;
    AmqpAcknowledgements.of(channel).tell();
    if (this.options.channelName === undefined) await answered(closed(channel));
    else if (consumerTag !== null) await answered(channel.cancel(consumerTag));
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
