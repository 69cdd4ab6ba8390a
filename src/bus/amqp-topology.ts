import type { Channel, ChannelModel, Options } from 'amqplib';
import { messageOf } from '../errors.js';
import { agentKey, AGENTS_EXCHANGE, deadLetterQueue, isAgentQueue } from '../messages/routes.js';
import type { BusLog } from './bus-log.js';
import {
  DEAD_BYTES_MAX,
  DEAD_MESSAGES_MAX,
  LISTENER_MESSAGES_MAX,
  QUEUE_BYTES_MAX,
  QUEUE_MESSAGES_MAX,
} from './limits.js';

/** RabbitMQ's answer to a queue declared again with other arguments. */
const PRECONDITION_FAILED = 406;
/** In a topic exchange's pattern: names of hosts may have dots. */
const ANY_HOST = '#';

/**
 * Declares a queue, whose dead-letter queue is there already. A queue that exists with other arguments (made by another version, or
 * with another delivery limit) is used as it is, and the log says so: to refuse would stop a whole installation
 * for a changed number.
 */
export async function declareQueue(
  model: ChannelModel,
  queue: string,
  deliveryLimit: number,
  log: BusLog,
): Promise<void> {
  await assertQueue(model, queue, liveOptions(queue, deliveryLimit), log);
}

export function declareDeadLetters(model: ChannelModel, queue: string, log: BusLog): Promise<void> {
  return assertQueue(model, queue, deadOptions(), log);
}

/** On one broker, and what is in them in its memory: there are as many as hosts, and a command that is lost is repeated by a sweep. */
export function agentOptions(queue: string): Options.AssertQueue {
  return {
    durable: true,
    arguments: {
      'x-queue-type': 'classic',
      'x-dead-letter-exchange': '',
      'x-dead-letter-routing-key': deadLetterQueue(queue),
      'x-overflow': 'reject-publish',
      'x-max-length': QUEUE_MESSAGES_MAX,
      'x-max-length-bytes': QUEUE_BYTES_MAX,
    },
  };
}

/**
 * Replicated and on disk. A dead letter leaves the queue only when the dead-letter queue has it
 * (`at-least-once`, which needs `reject-publish`: https://www.rabbitmq.com/docs/quorum-queues#dead-lettering).
 */
function liveOptions(queue: string, deliveryLimit: number): Options.AssertQueue {
  if (isAgentQueue(queue)) return agentOptions(queue);
  return {
    durable: true,
    arguments: {
      'x-queue-type': 'quorum',
      'x-delivery-limit': deliveryLimit,
      'x-dead-letter-exchange': '',
      'x-dead-letter-routing-key': deadLetterQueue(queue),
      'x-dead-letter-strategy': 'at-least-once',
      'x-overflow': 'reject-publish',
      'x-max-length': QUEUE_MESSAGES_MAX,
      'x-max-length-bytes': QUEUE_BYTES_MAX,
    },
  };
}

/** On disk, but on one broker only: a replicated queue for each host's few dead letters would cost more than it saves. */
function deadOptions(): Options.AssertQueue {
  return {
    durable: true,
    arguments: {
      'x-queue-type': 'classic',
      'x-overflow': 'drop-head',
      'x-max-length': DEAD_MESSAGES_MAX,
      'x-max-length-bytes': DEAD_BYTES_MAX,
    },
  };
}

/** The exchange of a topic: everybody who listens has a copy of what is said. */
export async function declareTopic(model: ChannelModel, topic: string): Promise<void> {
  const channel = await openChannel(model);
  await channel.assertExchange(topic, 'fanout', { durable: true });
  await channel.close();
}

/**
 * A listener's own queue: it is in the broker's memory only, and goes with its connection or its consumer. When the
 * listener is slow the oldest is dropped, because only the youngest is of interest.
 *
 * @returns its name, which the broker gives
 */
export async function declareListener(model: ChannelModel, topic: string): Promise<string> {
  const channel = await openChannel(model);
  await channel.assertExchange(topic, 'fanout', { durable: true });
  const { queue } = await channel.assertQueue('', {
    exclusive: true,
    autoDelete: true,
    durable: false,
    arguments: { 'x-max-length': LISTENER_MESSAGES_MAX, 'x-overflow': 'drop-head' },
  });
  await channel.bindQueue(queue, topic, '');
  await channel.close();
  return queue;
}

/** What agents send for a queue, each under a key of its own, goes there. */
export async function bindToAgents(model: ChannelModel, queue: string): Promise<void> {
  const channel = await openChannel(model);
  await channel.assertExchange(AGENTS_EXCHANGE, 'topic', { durable: true });
  await channel.bindQueue(queue, AGENTS_EXCHANGE, agentKey(queue, ANY_HOST));
  await channel.close();
}

/** The same for a topic, whose exchange is there already. */
export async function passOnFromAgents(model: ChannelModel, topic: string): Promise<void> {
  const channel = await openChannel(model);
  await channel.assertExchange(AGENTS_EXCHANGE, 'topic', { durable: true });
  await channel.bindExchange(topic, AGENTS_EXCHANGE, agentKey(topic, ANY_HOST));
  await channel.close();
}

/** @throws an error of amqplib when the queue is not there */
export async function checkQueue(model: ChannelModel, queue: string): Promise<void> {
  const channel = await openChannel(model);
  await channel.checkQueue(queue);
  await channel.close();
}

async function assertQueue(
  model: ChannelModel,
  queue: string,
  options: Options.AssertQueue,
  log: BusLog,
): Promise<void> {
  // A channel of its own: RabbitMQ closes the channel on which a declaration is refused.
  const channel = await openChannel(model);
  try {
    await channel.assertQueue(queue, options);
  } catch (error) {
    if ((error as { code?: unknown }).code !== PRECONDITION_FAILED) throw error;
    log('warn', 'queue exists with other arguments and is used as it is; delete it when empty to have it made anew', {
      queue,
      reason: messageOf(error),
    });
    return;
  }
  await channel.close();
}

/** A channel whose errors reach who uses it through the failed call and its `close` event, and never kill the process. */
export async function openChannel(model: ChannelModel): Promise<Channel> {
  const channel = await model.createChannel();
  channel.on('error', () => undefined);
  return channel;
}
