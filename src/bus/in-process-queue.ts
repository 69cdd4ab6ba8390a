import { BerthError } from '../errors.js';
import { DEAD_BYTES_MAX, DEAD_MESSAGES_MAX, QUEUE_BYTES_MAX, QUEUE_MESSAGES_MAX } from './limits.js';
import type { Delivery, MessageWorker } from './message-worker.js';

export interface DeadLetter {
  readonly messageId: string | null;
  readonly bytes: Buffer;
  /** In RabbitMQ's words (`x-first-death-reason`). */
  readonly reason: 'rejected' | 'delivery_limit';
}

interface StoredMessage {
  /** Its place in the queue, for ever. */
  readonly place: number;
  readonly messageId: string | null;
  readonly bytes: Buffer;
  deliveries: number;
}

interface Consumer {
  readonly worker: MessageWorker;
  readonly prefetch: number;
  unacknowledged: number;
}

/**
 * One queue in memory. As in a quorum queue, a message that is given back keeps its place, and one that was given
 * back more often than the delivery limit is moved to the dead letters.
 */
export class InProcessQueue {
  private readonly fresh = new Map<number, StoredMessage>();
  /** Sorted by place; never longer than all prefetches together. All of them are older than the fresh ones. */
  private readonly returned: StoredMessage[] = [];
  private readonly dead: DeadLetter[] = [];
  /** In turn: the first in the list is the next to get a message. */
  private readonly consumers: Consumer[] = [];
  private bytes = 0;
  private deadBytes = 0;
  private nextPlace = 1;
  private isHandingOut = false;

  constructor(
    private readonly name: string,
    private readonly deliveryLimit: number,
  ) {}

  /** @throws BerthError `bus.unavailable` when the queue is full */
  push(messageId: string | null, bytes: Buffer): void {
    if (this.fresh.size >= QUEUE_MESSAGES_MAX || this.bytes + bytes.length > QUEUE_BYTES_MAX) {
      throw new BerthError('bus.unavailable', `The queue ${this.name} is full`);
    }
    const place = this.nextPlace++;
    this.fresh.set(place, { place, messageId, bytes, deliveries: 0 });
    this.bytes += bytes.length;
    this.handOutSoon();
  }

  /** Adds a consumer; the answer takes it away again. */
  join(worker: MessageWorker, prefetch: number): () => void {
    const consumer: Consumer = { worker, prefetch, unacknowledged: 0 };
    this.consumers.push(consumer);
    this.handOutSoon();
    return () => {
      const index = this.consumers.indexOf(consumer);
      if (index >= 0) this.consumers.splice(index, 1);
    };
  }

  deadLetters(): readonly DeadLetter[] {
    return [...this.dead];
  }

  /** Never within `push`: a sender must not find its handler to have run before `publish` came back. */
  private handOutSoon(): void {
    if (this.isHandingOut) return;
    this.isHandingOut = true;
    setImmediate(() => {
      this.isHandingOut = false;
      this.handOut();
    });
  }

  private handOut(): void {
    for (;;) {
      const index = this.consumers.findIndex((consumer) => consumer.unacknowledged < consumer.prefetch);
      const [consumer] = index < 0 ? [] : this.consumers.splice(index, 1);
      if (!consumer) return;
      this.consumers.push(consumer);
      const message = this.takeFirst();
      if (!message) return;
      consumer.unacknowledged += 1;
      consumer.worker.take(this.delivery(message, consumer));
    }
  }

  private takeFirst(): StoredMessage | undefined {
    const returned = this.returned.shift();
    if (returned) return returned;
    for (const [place, message] of this.fresh) {
      this.fresh.delete(place);
      return message;
    }
    return undefined;
  }

  private delivery(message: StoredMessage, consumer: Consumer): Delivery {
    const settle = (then: () => void) => () => {
      consumer.unacknowledged -= 1;
      then();
      this.handOutSoon();
    };
    return {
      bytes: message.bytes,
      messageId: message.messageId,
      deliveredBefore: message.deliveries,
      isLost: () => false,
      done: settle(() => this.remove(message)),
      giveBack: settle(() => this.takeBack(message)),
      bury: settle(() => this.bury(message, 'rejected')),
    };
  }

  private takeBack(message: StoredMessage): void {
    message.deliveries += 1;
    if (message.deliveries > this.deliveryLimit) return this.bury(message, 'delivery_limit');
    const next = this.returned.findIndex((other) => other.place > message.place);
    this.returned.splice(next < 0 ? this.returned.length : next, 0, message);
  }

  private bury(message: StoredMessage, reason: DeadLetter['reason']): void {
    this.remove(message);
    this.dead.push({ messageId: message.messageId, bytes: message.bytes, reason });
    this.deadBytes += message.bytes.length;
    while (this.dead.length > DEAD_MESSAGES_MAX || this.deadBytes > DEAD_BYTES_MAX) {
      this.deadBytes -= this.dead.shift()?.bytes.length ?? 0;
    }
  }

  private remove(message: StoredMessage): void {
    this.bytes -= message.bytes.length;
  }
}
