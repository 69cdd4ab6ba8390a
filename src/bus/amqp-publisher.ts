import type { ChannelModel, ConfirmChannel, Message } from 'amqplib';
import { BerthError, messageOf } from '../errors.js';
import { isAgentQueue } from '../messages/routes.js';

export interface OutgoingMessage {
  readonly id: string;
  readonly type: string;
  readonly bytes: Buffer;
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

  private constructor(private readonly channel: ConfirmChannel) {
    channel.on('error', () => undefined);
    channel.on('return', (message: Message) => this.returned.add(String(message.properties.correlationId)));
  }

  /** @param onClose called once, when the channel can send no more */
  static async open(model: ChannelModel, onClose: () => void): Promise<AmqpPublisher> {
    const channel = await model.createConfirmChannel();
    channel.on('close', onClose);
    return new AmqpPublisher(channel);
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
    return new Promise((resolve, reject) => {
      this.channel.sendToQueue(queue, message.bytes, properties, (error: unknown) => {
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
  broadcast(exchange: string, message: OutgoingMessage): Promise<void> {
    const properties = { ...propertiesOf(message), persistent: false };
    return new Promise((resolve, reject) => {
      this.channel.publish(exchange, '', message.bytes, properties, (error: unknown) => {
        if (error) reject(refused(exchange, error));
        else resolve();
      });
    });
  }
}

function propertiesOf({ id, type }: OutgoingMessage) {
  return { contentType: 'application/json', contentEncoding: 'utf-8', messageId: id, type, appId: 'berth' };
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
