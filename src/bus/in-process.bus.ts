import { BerthError } from '../errors.js';
import { encodeEnvelope, type Envelope, type MessageType } from '../messages/envelope.js';
import type { BusSettings } from '../settings/settings.js';
import { Bus, type ConsumeOptions, type Handler, type Subscription } from './bus.js';
import type { BusLog } from './bus-log.js';
import { InProcessQueue, type DeadLetter } from './in-process-queue.js';
import { LISTENER_AT_ONCE } from './limits.js';
import { MessageWorker, type Delivery } from './message-worker.js';

/**
 * The bus of `berth all`: the semantics of RabbitMQ inside one process, through the same bytes and the same checks.
 * Messages do not outlive the process; the ledger and its sweeps do.
 */
export class InProcessBus extends Bus {
  private readonly queues = new Map<string, InProcessQueue>();
  private readonly listeners = new Map<string, Set<MessageWorker>>();
  private readonly subscriptions = new Set<Subscription>();
  private closed = false;

  constructor(
    private readonly settings: Pick<BusSettings, 'messageBytesMax' | 'deliveryLimit'>,
    private readonly log: BusLog,
  ) {
    super();
  }

  override async publish<T extends MessageType>(queue: string, message: Envelope<T>): Promise<void> {
    this.publishBytes(queue, message.id, encodeEnvelope(message, this.settings.messageBytesMax));
  }

  /**
   * Queues bytes as they are, as a sender that is not Berth could do with RabbitMQ.
   *
   * @throws BerthError `bus.unavailable` when the queue is full or the bus closed
   */
  publishBytes(queue: string, messageId: string | null, bytes: Buffer): void {
    if (this.closed) throw new BerthError('bus.unavailable', 'The message bus is closed');
    this.queue(queue).push(messageId, bytes);
  }

  override async consume(queue: string, handler: Handler, { prefetch }: ConsumeOptions): Promise<Subscription> {
    if (this.closed) throw new BerthError('bus.unavailable', 'The message bus is closed');
    const worker = new MessageWorker({ queue, prefetch, settings: this.settings }, handler, this.log);
    const leave = this.queue(queue).join(worker, prefetch);
    const subscription = {
      stop: async () => {
        leave();
        await worker.stop();
        this.subscriptions.delete(subscription);
      },
    };
    this.subscriptions.add(subscription);
    return subscription;
  }

  override async broadcast<T extends MessageType>(topic: string, message: Envelope<T>): Promise<void> {
    const bytes = encodeEnvelope(message, this.settings.messageBytesMax);
    if (this.closed) throw new BerthError('bus.unavailable', 'The message bus is closed');
    for (const worker of this.listeners.get(topic) ?? []) setImmediate(() => worker.take(heard(message.id, bytes)));
  }

  override async listen(topic: string, handler: Handler): Promise<Subscription> {
    if (this.closed) throw new BerthError('bus.unavailable', 'The message bus is closed');
    const options = { queue: topic, prefetch: LISTENER_AT_ONCE, settings: this.settings, triesOnce: true };
    const worker = new MessageWorker(options, handler, this.log);
    const listeners = this.listeners.get(topic) ?? new Set();
    this.listeners.set(topic, listeners.add(worker));
    const subscription = {
      stop: async () => {
        listeners.delete(worker);
        await worker.stop();
        this.subscriptions.delete(subscription);
      },
    };
    this.subscriptions.add(subscription);
    return subscription;
  }

  /** What was given up in a queue, oldest first. */
  deadLetters(queue: string): readonly DeadLetter[] {
    return this.queues.get(queue)?.deadLetters() ?? [];
  }

  override unheardQueues(): readonly string[] {
    return [];
  }

  override isReady(): boolean {
    return !this.closed;
  }

  /** Handlers that are still running may publish until they have ended. */
  override async close(): Promise<void> {
    await Promise.all([...this.subscriptions].map((subscription) => subscription.stop()));
    this.closed = true;
  }

  private queue(name: string): InProcessQueue {
    let queue = this.queues.get(name);
    if (!queue) {
      queue = new InProcessQueue(name, this.settings.deliveryLimit);
      this.queues.set(name, queue);
    }
    return queue;
  }
}

/** One copy of a broadcast: nobody asks how it ended. */
function heard(messageId: string, bytes: Buffer): Delivery {
  const nothing = (): void => undefined;
  return {
    bytes,
    messageId,
    deliveredBefore: 0,
    isLost: () => false,
    done: nothing,
    giveBack: nothing,
    bury: nothing,
  };
}
