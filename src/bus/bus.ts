import type { Envelope, MessageType } from '../messages/envelope.js';
import type { Refused } from './forged-messages.js';

export interface ConsumeOptions {
  /** How many messages may be in the handler at once. */
  readonly prefetch: number;
  /** Subscriptions that name the same channel share it, where there are channels: for a process with thousands of queues. */
  readonly channel?: string;
}

export interface Subscription {
  /** Takes no more messages; resolves when those in the handler have ended (acknowledged or returned). */
  stop(): Promise<void>;
}

/**
 * Resolves: the message is done (ack). Throws: it is tried again, and after the delivery limit goes to the queue's
 * dead-letter queue. A message that is not a valid envelope never reaches a handler: it goes there at once.
 */
export type Handler = (message: Envelope) => Promise<void>;

/**
 * The port to the message broker: at-least-once delivery between rooms that share nothing else.
 *
 * Two implementations answer one contract test: RabbitMQ (`amqp.bus.ts`) and, for `berth all`, in-process
 * (`in-process.bus.ts`).
 */
export abstract class Bus {
  /**
   * Sends one message to one queue, which is declared if need be. Resolves when the broker has it: on disk, but for commands to agents,
   * which sweeps repeat.
   *
   * @throws BerthError `message.invalid`, `message.too_large`, `bus.unavailable`
   */
  abstract publish<T extends MessageType>(queue: string, message: Envelope<T>): Promise<void>;

  /**
   * Says something to everybody who listens on the topic now; who does not, misses it for ever. Resolves when the broker
   * has passed it on.
   *
   * @throws BerthError `message.invalid`, `message.too_large`, `bus.unavailable`
   */
  abstract broadcast<T extends MessageType>(topic: string, message: Envelope<T>): Promise<void>;

  /**
   * Hears what is broadcast on a topic from now on; goes on across reconnects, without what was said meanwhile. Nothing is
   * acknowledged or tried again: a handler that throws has missed the message.
   */
  abstract listen(topic: string, handler: Handler): Promise<Subscription>;

  /** Starts to consume a queue, which is declared if need be; goes on across reconnects. */
  abstract consume(queue: string, handler: Handler, options: ConsumeOptions): Promise<Subscription>;

  /** Whether a message could be sent right now. */
  abstract isReady(): boolean;

  /** Our end of the connection to the broker, an IP address; null: there is none, or it is no network's. */
  localAddress(): string | null {
    return null;
  }

  /** Queues and topics that we were asked to hear and that the broker does not deliver from now; empty when all is well. */
  abstract unheardQueues(): readonly string[];

  /** Messages that spoke for hosts that their senders are not; null: none, or nobody can tell. */
  refused(): Refused | null {
    return null;
  }

  /** Stops all subscriptions, waits for what is in flight, closes the connection. */
  abstract close(): Promise<void>;
}
