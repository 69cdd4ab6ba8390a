import type { ChannelModel, ConfirmChannel, Message } from 'amqplib';
import { BerthError, messageOf } from '../errors.js';
import { agentKey, AGENTS_EXCHANGE, agentUser, isAgentQueue } from '../messages/routes.js';
import type { BusLog } from './bus-log.js';

export interface OutgoingMessage {
  readonly id: string;
  readonly type: string;
  readonly bytes: Buffer;
  /** The host whose agent sends it as a user of its own; null: it is sent as whoever we are. */
  readonly from: string | null;
}

/**
 * One confirm channel.
 *
 * For a message that no queue takes, RabbitMQ sends first the message back and then the confirm. They are matched by
 * correlation id, because one message may be sent twice at the same time.
 */
export class AmqpPublisher {
  private readonly returned = new Set<string>();
  private lastNumber = 0;

  private constructor(
    private readonly channel: ConfirmChannel,
    log: BusLog,
  ) {
    channel.on('error', (error: Error) => log('warn', 'the message broker refuses', { reason: messageOf(error) }));
    channel.on('return', (message: Message) => this.returned.add(String(message.properties.correlationId)));
  }

  /** @param onClose called once, when the channel can send no more */
  static async open(model: ChannelModel, onClose: () => void, log: BusLog): Promise<AmqpPublisher> {
    const channel = await model.createConfirmChannel();
    channel.on('close', onClose);
    return new AmqpPublisher(channel, log);
  }

  /**
   * Resolves when the broker has the message in the queue (true), or when there is no such queue (false). What is for an agent it has
   * in memory, all else on disk.
   *
   * @throws BerthError `bus.unavailable` when the broker refuses, or the connection is lost before it has answered
   */
  send(queue: string, message: OutgoingMessage): Promise<boolean> {
    const correlationId = String(++this.lastNumber);
    const persistent = !isAgentQueue(queue);
    const properties = { ...propertiesOf(message), mandatory: true, persistent, correlationId };
    const { exchange, key } = destinationOf(queue, message);
    return new Promise((resolve, reject) => {
      this.channel.publish(exchange, key, message.bytes, properties, (error: unknown) => {
        if (error) reject(refused(queue, error));
        else resolve(!this.returned.delete(correlationId));
      });
    });
  }

  /**
   * Resolves when the exchange has passed it on, be it to nobody. An exchange that does not exist ends the channel.
   *
   * @throws BerthError `bus.unavailable`
   */
  broadcast(topic: string, message: OutgoingMessage): Promise<void> {
    const properties = { ...propertiesOf(message), persistent: false };
    const { exchange, key } = message.from === null ? { exchange: topic, key: '' } : destinationOf(topic, message);
    return new Promise((resolve, reject) => {
      this.channel.publish(exchange, key, message.bytes, properties, (error: unknown) => {
        if (error) reject(refused(topic, error));
        else resolve();
      });
    });
  }
}

/** The default exchange has every queue under its name. */
function destinationOf(queue: string, { from }: OutgoingMessage): { readonly exchange: string; readonly key: string } {
  return from === null ? { exchange: '', key: queue } : { exchange: AGENTS_EXCHANGE, key: agentKey(queue, from) };
}

/** The broker refuses a `userId` that is not the sender's. */
function propertiesOf({ id, type, from }: OutgoingMessage) {
  const said = { contentType: 'application/json', contentEncoding: 'utf-8', messageId: id, type, appId: 'berth' };
  return from === null ? said : { ...said, userId: agentUser(from) };
}

function refused(queue: string, cause: unknown): BerthError {
  return new BerthError(
    'bus.unavailable',
    `The message broker did not take a message for ${queue}: ${messageOf(cause)}`,
    {
      cause,
    },
  );
}
