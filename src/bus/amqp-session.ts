import type { Channel, ChannelModel } from 'amqplib';
import { BerthError, messageOf } from '../errors.js';
import { AmqpPublisher, type OutgoingMessage } from './amqp-publisher.js';
import { agentQueue, deadLetterQueue, isAgentQueue, isOfAgents } from '../messages/routes.js';
import {
  bindToAgents,
  checkQueue,
  declareDeadLetters,
  declareListener,
  declareQueue,
  declareTopic,
  openChannel,
  passOnFromAgents,
} from './amqp-topology.js';
import type { BusLog } from './bus-log.js';
import { DECLARED_AT_ONCE_MAX } from './limits.js';
import { Turns } from './turns.js';

export interface SessionOptions {
  readonly deliveryLimit: number;
  /** Each agent has a user of its own, which may declare nothing. */
  readonly perHost: boolean;
}

/** What lives exactly as long as one connection to the broker. */
export class AmqpSession {
  /** Resolves when the connection has ended, for whatever reason. */
  readonly ended: Promise<void>;
  private isOver = false;
  private isBlocked = false;
  private publisher: Promise<AmqpPublisher> | null = null;
  private readonly declaring = new Map<string, Promise<void>>();
  /** A broker allows so many channels for a connection, and a declaration takes one. */
  private readonly turns = new Turns(DECLARED_AT_ONCE_MAX);
  private readonly shared = new Map<string, Promise<Channel>>();
  /** Those of this connection's queues; many queues share one. */
  private readonly deadLetters = new Map<string, Promise<void>>();
  private readonly topics = new Map<string, Promise<void>>();
  /** Hosts whose command queues were declared. */
  private readonly hosts = new Set<string>();

  constructor(
    private readonly model: ChannelModel,
    private readonly options: SessionOptions,
    private readonly log: BusLog,
  ) {
    this.ended = new Promise((resolve) => {
      model.on('close', () => {
        this.isOver = true;
        resolve();
      });
    });
    model.on('error', () => undefined);
    model.on('blocked', (reason) => {
      this.isBlocked = true;
      log('warn', 'the message broker takes no messages', { reason });
    });
    model.on('unblocked', () => {
      this.isBlocked = false;
      log('info', 'the message broker takes messages again', {});
    });
  }

  isOpen(): boolean {
    return !this.isOver;
  }

  isReady(): boolean {
    return !this.isOver && !this.isBlocked;
  }

  /** amqplib has the socket, and does not say so in its types. */
  localAddress(): string | null {
    const { stream } = this.model.connection as { readonly stream?: { readonly localAddress?: string } };
    return stream?.localAddress ?? null;
  }

  channel(): Promise<Channel> {
    return openChannel(this.model);
  }

  /**
   * Sends to a queue and, when there is none, declares it first. So a queue that exists costs nothing extra, and one
   * that was deleted comes back.
   *
   * @throws BerthError `bus.unavailable`, or an error of amqplib
   */
  async publish(queue: string, message: OutgoingMessage): Promise<void> {
    if (await (await this.openPublisher()).send(queue, message)) return;
    if (message.from !== null) {
      throw new BerthError('bus.unavailable', `Nobody takes what agents say to ${queue}: did a scheduler ever run?`);
    }
    await this.declare(queue);
    if (await (await this.openPublisher()).send(queue, message)) return;
    throw new BerthError('bus.unavailable', `The message broker has no queue ${queue}, although it was declared`);
  }

  /**
   * Says it to all listeners of a topic, which is declared once for each connection, and again when that was in vain.
   *
   * @throws BerthError `bus.unavailable`, or an error of amqplib
   */
  async broadcast(topic: string, message: OutgoingMessage): Promise<void> {
    if (message.from !== null) return (await this.openPublisher()).broadcast(topic, message);
    let declared = this.topics.get(topic);
    if (!declared) this.topics.set(topic, (declared = declareTopic(this.model, topic)));
    try {
      await declared;
      await (await this.openPublisher()).broadcast(topic, message);
    } catch (error) {
      this.topics.delete(topic);
      throw error;
    }
  }

  /** @returns the name of a queue of this connection's own that gets what is said on the topic from now on */
  async listener(topic: string): Promise<string> {
    const queue = await declareListener(this.model, topic);
    if (this.options.perHost && isOfAgents(topic)) await passOnFromAgents(this.model, topic);
    return queue;
  }

  /** Has the queue there: an agent that may not declare it finds the one that a scheduler has declared. */
  prepareToConsume(queue: string): Promise<void> {
    return this.options.perHost && isAgentQueue(queue) ? checkQueue(this.model, queue) : this.declare(queue);
  }

  /** Declares the command queue of an agent that may not do it, once. Never throws: a command that finds none declares it, too. */
  async declareFor(host: string): Promise<void> {
    if (this.hosts.has(host)) return;
    this.hosts.add(host);
    try {
      await this.declare(agentQueue(host));
    } catch (error) {
      this.hosts.delete(host);
      this.log('warn', 'the queue of a host could not be declared yet', { host, reason: messageOf(error) });
    }
  }

  /** Declares a queue with its dead-letter queue; calls for one queue at one time share the work. */
  declare(queue: string): Promise<void> {
    let declaring = this.declaring.get(queue);
    if (!declaring) {
      const done = () => this.declaring.delete(queue);
      declaring = this.turns.take(() => this.declareBoth(queue));
      declaring.then(done, done);
      this.declaring.set(queue, declaring);
    }
    return declaring;
  }

  private async declareBoth(queue: string): Promise<void> {
    const dead = deadLetterQueue(queue);
    let declaring = this.deadLetters.get(dead);
    if (!declaring) this.deadLetters.set(dead, (declaring = declareDeadLetters(this.model, dead, this.log)));
    try {
      await declaring;
    } finally {
      // one that is shared by thousands of queues is declared once
      if (!isAgentQueue(queue) || !this.isReady()) this.deadLetters.delete(dead);
    }
    await declareQueue(this.model, queue, this.options.deliveryLimit, this.log);
    if (this.options.perHost && isOfAgents(queue)) await bindToAgents(this.model, queue);
  }

  /** One channel for all that name it so, for as long as it is open. */
  sharedChannel(name: string): Promise<Channel> {
    let opening = this.shared.get(name);
    if (!opening) {
      const forget = () => this.shared.delete(name);
      opening = openChannel(this.model).then((channel) => channel.setMaxListeners(0).once('close', forget));
      opening.catch(forget);
      this.shared.set(name, opening);
    }
    return opening;
  }

  /** The confirm channel; a new one when the broker has closed the last (it does on a message above its own limit). */
  openPublisher(): Promise<AmqpPublisher> {
    if (!this.publisher) {
      const forget = () => (this.publisher = null);
      this.publisher = AmqpPublisher.open(this.model, forget, this.log);
      this.publisher.catch(forget);
    }
    return this.publisher;
  }
}
