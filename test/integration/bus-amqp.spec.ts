import { isIP } from 'node:net';
import 'reflect-metadata';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type Channel } from 'amqplib';
import { afterEach, beforeEach, describe, expect, inject, it, vi } from 'vitest';
import { AmqpBus } from '../../src/bus/amqp.bus.js';
import { agentQueue, deadLetterQueue } from '../../src/messages/routes.js';
import { freePort } from '../support/processes.js';
import { startRabbitMq } from '../support/rabbitmq.js';
import { aMessage, amqpHarness, aQueue, DELIVERY_LIMIT, MESSAGE_BYTES_MAX, type AmqpHarness } from './bus-harness.js';

const SOON = { timeout: 20_000, interval: 10 };
const SETTINGS = { messageBytesMax: MESSAGE_BYTES_MAX, deliveryLimit: DELIVERY_LIMIT };
const UNAVAILABLE = { name: 'BerthError', code: 'bus.unavailable' };

describe('RabbitMQ', () => {
  let harness: AmqpHarness;
  let queue: string;

  beforeEach(async () => {
    harness = await amqpHarness(inject('amqpUrl'));
    queue = aQueue();
    await isReady(harness);
  });

  afterEach(() => harness.close());

  it('says by which of our addresses it reaches the broker, as long as it does', async () => {
    const address = harness.bus.localAddress();
    expect(isIP(address ?? '')).toBeGreaterThan(0);
    await harness.proxy.stop();
    await vi.waitFor(() => expect(harness.bus.localAddress()).toBeNull(), SOON);
  });

  it('makes a replicated queue that gives up at the delivery limit, and its dead-letter queue', async () => {
    await harness.bus.publish(queue, aMessage());
    await withChannel(async (channel) => {
      const found = await channel.get(queue);
      expect(found && found.properties).toMatchObject({
        deliveryMode: 2,
        contentType: 'application/json',
        type: 'server.requested',
        appId: 'berth',
      });
      await channel.checkQueue(deadLetterQueue(queue));
    });
    // RabbitMQ takes a second declaration only when every argument is the same.
    const same = {
      'x-delivery-limit': DELIVERY_LIMIT,
      'x-dead-letter-exchange': '',
      'x-dead-letter-routing-key': `${queue}.dead`,
      'x-dead-letter-strategy': 'at-least-once',
      'x-overflow': 'reject-publish',
      'x-max-length': 100_000,
      'x-max-length-bytes': 1_073_741_824,
    };
    await withChannel((channel) => channel.assertQueue(queue, quorum(same)));
    await expect(
      withChannel((channel) => channel.assertQueue(queue, quorum({ ...same, 'x-delivery-limit': 99 }))),
    ).rejects.toThrow(/inequivalent arg 'x-delivery-limit'/);
  });

  it('makes classic queues for agents, and gives a command up at the delivery limit to the dead letters of all agents', async () => {
    const commands = agentQueue(`bus-amqp-${process.pid}`);
    let tries = 0;
    const fail = async (): Promise<void> => {
      tries += 1;
      throw new Error('never');
    };
    const taken = await harness.bus.consume(commands, fail, { prefetch: 1, channel: 'shared' });
    const sent = aMessage();
    await harness.bus.publish(commands, sent);
    await vi.waitFor(() => expect(tries).toBe(DELIVERY_LIMIT + 1), SOON);
    await withChannel(async (channel) => {
      await vi.waitFor(async () => {
        const dead = await channel.get('berth.agents.dead', { noAck: true });
        expect(dead && dead.properties).toMatchObject({ messageId: sent.id, deliveryMode: 1 });
      }, SOON);
      const arguments_ = {
        'x-queue-type': 'classic',
        'x-dead-letter-exchange': '',
        'x-dead-letter-routing-key': 'berth.agents.dead',
        'x-overflow': 'reject-publish',
        'x-max-length': 100_000,
        'x-max-length-bytes': 1_073_741_824,
      };
      await channel.assertQueue(commands, { durable: true, arguments: arguments_ });
      await taken.stop();
      await channel.deleteQueue(commands);
    });
    expect(tries).toBe(DELIVERY_LIMIT + 1);
  });

  it('acknowledges messages that end together, and none that is still under way', async () => {
    const handled: string[] = [];
    let end = (): void => undefined;
    const ended = new Promise<void>((resolve) => (end = resolve));
    const allHere = (): Promise<void> => vi.waitFor(() => expect(handled.length).toBeGreaterThanOrEqual(20), SOON);
    const handle = async ({ id }: { readonly id: string }): Promise<void> => {
      await (handled.push(id) === 10 ? ended : allHere());
    };
    await harness.bus.consume(queue, handle, { prefetch: 21 });
    await Promise.all(Array.from({ length: 20 }, () => harness.bus.publish(queue, aMessage())));
    await allHere();
    await sleep(200);
    await harness.interrupt();
    await vi.waitFor(() => expect(handled.length).toBeGreaterThan(20), SOON);
    await sleep(200);
    expect(handled.slice(20)).toEqual([handled[9]]);
    end();
  });

  it('consumes many queues on one channel, also after the connection was lost and when one of them was deleted', async () => {
    const queues = [aQueue(), aQueue(), aQueue()];
    const got: string[] = [];
    for (const one of queues) {
      await harness.bus.consume(one, async ({ id }) => void got.push(id), { prefetch: 1, channel: 'shared' });
    }
    const round = async (): Promise<void> => {
      const sent = queues.map(() => aMessage());
      for (const [index, message] of sent.entries()) await harness.bus.publish(queues[index] ?? '', message);
      await vi.waitFor(() => expect(got).toEqual(expect.arrayContaining(sent.map(({ id }) => id))), SOON);
    };
    await round();
    await withChannel((channel) => channel.deleteQueue(queues[1] ?? ''));
    await vi.waitFor(() => expect(harness.bus.unheardQueues()).toEqual([queues[1]]), SOON);
    await vi.waitFor(() => expect(harness.bus.unheardQueues()).toEqual([]), SOON);
    await round();
    await harness.interrupt();
    await vi.waitFor(() => expect([harness.bus.isReady(), harness.bus.unheardQueues()]).toEqual([true, []]), SOON);
    await round();
  });

  it('gives a listener a queue that goes with it, and makes a topic again that was deleted', async () => {
    const heard: string[] = [];
    const listening = await harness.bus.listen(queue, async ({ id }) => void heard.push(id));
    await harness.bus.broadcast(queue, aMessage());
    await vi.waitFor(() => expect(heard).toHaveLength(1), SOON);
    await withChannel((channel) => channel.assertExchange(queue, 'fanout', { durable: true }));
    await listening.stop();
    // nobody is bound any more: else the broker would refuse this
    await withChannel((channel) => channel.deleteExchange(queue, { ifUnused: true }));
    await expect(harness.bus.broadcast(queue, aMessage())).rejects.toMatchObject(UNAVAILABLE);
    await vi.waitFor(() => harness.bus.broadcast(queue, aMessage()), SOON);
  });

  it('declares a queue that was deleted when something is published to it', async () => {
    await harness.bus.publish(queue, aMessage());
    await withChannel((channel) => channel.deleteQueue(queue));
    const sent = aMessage();
    await harness.bus.publish(queue, sent);
    expect(await harness.bus.publish(queue, sent)).toBeUndefined();
    await withChannel(async (channel) => expect(await channel.checkQueue(queue)).toMatchObject({ messageCount: 2 }));
  });

  it('declares a queue that was deleted under its consumer, and goes on', async () => {
    const got = await collect(harness, queue);
    await withChannel((channel) => channel.deleteQueue(queue));
    await vi.waitFor(() => expect(harness.log.map(({ message }) => message)).toContain(DELETED), SOON);
    const sent = aMessage();
    await harness.bus.publish(queue, sent);
    await vi.waitFor(() => expect(got).toEqual([sent.id]), SOON);
  });

  it('goes on trying to consume a queue that it may not use, also over a new connection', async () => {
    const owner = await connect(inject('amqpUrl'));
    await (await owner.createChannel()).assertQueue(queue, { durable: true, exclusive: true });
    const got = await collect(harness, queue);
    const refusals = () => harness.log.filter(({ message }) => message === 'cannot consume yet');
    await vi.waitFor(() => expect(refusals().length).toBeGreaterThan(3), SOON);
    await harness.interrupt();
    await isReady(harness);
    await vi.waitFor(() => expect(refusals().length).toBeGreaterThan(4), SOON);
    await owner.close();
    const sent = aMessage();
    await harness.bus.publish(queue, sent);
    await vi.waitFor(() => expect(got).toEqual([sent.id]), SOON);
    expect(refusals()[0]?.fields).toMatchObject({ queue, reason: expect.stringContaining('RESOURCE_LOCKED') });
  });

  it('uses a queue that exists with other arguments, and says so', async () => {
    await withChannel((channel) => channel.assertQueue(queue, quorum({ 'x-dead-letter-exchange': 'elsewhere' })));
    const got = await collect(harness, queue);
    await harness.bus.publish(queue, aMessage());
    await vi.waitFor(() => expect(got).toHaveLength(1), SOON);
    expect(harness.log).toContainEqual({
      level: 'warn',
      message: expect.stringContaining('other arguments'),
      fields: { queue, reason: expect.stringContaining('x-dead-letter-exchange') },
    });
  });

  it('tells the sender that a full queue did not take the message', async () => {
    await withChannel((channel) =>
      channel.assertQueue(queue, quorum({ 'x-max-length': 1, 'x-overflow': 'reject-publish' })),
    );
    let taken = 0;
    const fill = async () => {
      for (; taken < 50; taken += 1) await harness.bus.publish(queue, aMessage());
    };
    await expect(fill()).rejects.toMatchObject(UNAVAILABLE);
    expect(taken).toBeGreaterThan(0);
    await withChannel(async (channel) => expect((await channel.checkQueue(queue)).messageCount).toBe(taken));
  });

  it('recovers from a connection that the broker closed', async () => {
    const got = await collect(harness, queue);
    harness.proxy.offendBroker();
    await vi.waitFor(() => expect(harness.log.map(({ message }) => message)).toContain('message broker lost'), SOON);
    await isReady(harness);
    await harness.bus.publish(queue, aMessage());
    await vi.waitFor(() => expect(got).toHaveLength(1), SOON);
  });

  it('rejects a message whose connection is lost before the broker has confirmed it', async () => {
    await harness.bus.publish(queue, aMessage());
    harness.proxy.freeze();
    const publishing = expect(harness.bus.publish(queue, aMessage())).rejects.toMatchObject(UNAVAILABLE);
    await sleep(100);
    harness.proxy.cut();
    await publishing;
    await expect(harness.bus.publish(queue, aMessage())).rejects.toMatchObject(UNAVAILABLE);
  });

  it('rejects a message that is not confirmed in ten seconds, and then notices by the heartbeat that all is silent', async () => {
    await harness.bus.publish(queue, aMessage());
    harness.proxy.freeze();
    const start = Date.now();
    await expect(harness.bus.publish(queue, aMessage())).rejects.toMatchObject({
      ...UNAVAILABLE,
      message: 'The message broker did not confirm in 10000 ms',
    });
    expect(Date.now() - start).toBeGreaterThan(9_900);
    expect(Date.now() - start).toBeLessThan(13_000);
    await vi.waitFor(() => expect(harness.bus.isReady()).toBe(false), { timeout: 45_000, interval: 50 });
  });

  it('keeps to the prefetch when messages of a lost connection are still in their handlers', async () => {
    let inHandler = 0;
    let most = 0;
    const done = new Set<string>();
    let go = (): void => undefined;
    const gate = new Promise<void>((resolve) => (go = resolve));
    await harness.bus.consume(
      queue,
      async ({ id }) => {
        most = Math.max(most, ++inHandler);
        await gate;
        inHandler -= 1;
        done.add(id);
      },
      { prefetch: 2 },
    );
    for (let count = 0; count < 5; count += 1) await harness.bus.publish(queue, aMessage());
    await vi.waitFor(() => expect(inHandler).toBe(2), SOON);
    await harness.interrupt();
    await isReady(harness);
    await sleep(300);
    go();
    await vi.waitFor(() => expect(done.size).toBe(5), SOON);
    expect(most).toBe(2);
  });

  it('closes within seconds when the broker does not answer', async () => {
    await collect(harness, queue);
    harness.proxy.freeze();
    const start = Date.now();
    await harness.bus.close();
    expect(Date.now() - start).toBeLessThan(12_000);
    await vi.waitFor(() => expect(harness.proxy.connections()).toBe(0), SOON);
  });

  it('closes at once while it waits to connect again', async () => {
    await collect(harness, queue);
    await vi.waitFor(() => expect(harness.bus.unheardQueues()).toEqual([]), SOON);
    await harness.proxy.stop();
    await vi.waitFor(() => expect(harness.log.map(({ message }) => message)).toContain(UNREACHABLE), SOON);
    expect(harness.bus.unheardQueues()).toEqual([queue]);
    const start = Date.now();
    await harness.bus.close();
    expect(Date.now() - start).toBeLessThan(4_000);
  });

  it('shares a queue between processes', async () => {
    const other = await amqpHarness(inject('amqpUrl'));
    try {
      await isReady(other);
      const got = [await collect(harness, queue, 5), await collect(other, queue, 5)];
      for (let count = 0; count < 20; count += 1) await harness.bus.publish(queue, aMessage());
      await vi.waitFor(() => expect(got.flat()).toHaveLength(20), SOON);
      expect(new Set(got.flat()).size).toBe(20);
      for (const part of got) expect(part.length).toBeGreaterThan(0);
    } finally {
      await other.close();
    }
  });
});

describe('RabbitMQ that cannot be reached', () => {
  it('lets the bus start, and consumes when the broker comes', async () => {
    const harness = await amqpHarness(inject('amqpUrl'));
    await harness.proxy.stop();
    const queue = aQueue();
    const got = await collect(harness, queue);
    expect(harness.bus.isReady()).toBe(false);
    await expect(harness.bus.publish(queue, aMessage())).rejects.toMatchObject(UNAVAILABLE);
    await vi.waitFor(() => expect(harness.log.map(({ message }) => message)).toContain(UNREACHABLE), SOON);
    await sleep(1_000);
    // Many attempts, but each reason once.
    const reasons = harness.log.filter(({ message }) => message === UNREACHABLE).map(({ fields }) => fields['reason']);
    expect(new Set(reasons).size).toBe(reasons.length);

    await harness.proxy.listen();
    await isReady(harness);
    // a queue that was just declared may have no leader yet, and then takes nothing: the relay tries again, and so do we
    await vi.waitFor(() => harness.bus.publish(queue, aMessage()), SOON);
    await vi.waitFor(() => expect(got).toHaveLength(1), SOON);
    await harness.close();
  });

  it('closes at once in the middle of a handshake that nobody answers, and leaves nothing behind', async () => {
    const port = await freePort();
    const silent = createServer();
    silent.listen(port, '127.0.0.1');
    const accepted = new Promise<void>((resolve) => silent.once('connection', () => resolve()));
    const bus = new AmqpBus({ ...SETTINGS, url: `amqp://127.0.0.1:${port}` }, () => undefined);
    await bus.consume(aQueue(), async () => undefined, { prefetch: 1 });
    await accepted;
    const start = Date.now();
    await bus.close();
    expect(Date.now() - start).toBeLessThan(4_000);
    const left = () => new Promise<number>((resolve) => silent.getConnections((_error, count) => resolve(count)));
    await vi.waitFor(async () => expect(await left()).toBe(0), SOON);
    silent.close();
  });

  it('never writes the password to the log', async () => {
    const url = new URL(inject('amqpUrl'));
    url.password = 'swordfish%2F1';
    const lines: string[] = [];
    const bus = new AmqpBus({ ...SETTINGS, url: url.href }, (...line) => lines.push(JSON.stringify(line)));
    await vi.waitFor(() => expect(lines.join()).toMatch(/ACCESS.REFUSED/), SOON);
    await bus.close();
    expect(lines.join()).not.toContain('swordfish');
  });

  it.each(['http://user:swordfish@host', 'amqp//user:swordfish@host', ''])('refuses the URL "%s"', (url) => {
    const start = () => new AmqpBus({ ...SETTINGS, url }, () => undefined);
    expect(start).toThrow(expect.objectContaining({ code: 'settings.invalid' }));
    expect(start).not.toThrow(/swordfish/);
  });
});

describe('RabbitMQ that is killed', () => {
  it('has every message that it confirmed, and bus and consumers go on when it is back', async () => {
    const broker = await startRabbitMq();
    const harness = await amqpHarness(broker.url);
    try {
      await isReady(harness);
      const kept = aQueue();
      const consumed = aQueue();
      const got = await collect(harness, consumed);
      const { confirmed, failures } = await publishUntilFailure(harness, kept, () => broker.kill9());
      expect(confirmed.length).toBeGreaterThan(10);
      for (const failure of failures) expect(failure).toMatchObject(UNAVAILABLE);
      expect(failures.length).toBeGreaterThan(0);
      expect(harness.bus.isReady()).toBe(false);

      await broker.restart();
      await isReady(harness);
      await vi.waitFor(() => harness.bus.publish(consumed, aMessage()), SOON);
      await vi.waitFor(() => expect(got.length).toBeGreaterThan(0), SOON);
      const found = await collect(harness, kept, 0, 50);
      const lost = () => {
        const have = new Set(found);
        return confirmed.filter((id) => !have.has(id));
      };
      await vi.waitFor(() => expect(lost()).toEqual([]), SOON);
    } finally {
      await harness.close();
      await broker.stop();
    }
  }, 240_000);
});

const DELETED = 'queue was deleted and is declared again';
const UNREACHABLE = 'message broker cannot be reached; trying on';

function isReady(harness: AmqpHarness): Promise<void> {
  return vi.waitFor(() => expect(harness.bus.isReady()).toBe(true), SOON);
}

function quorum(more: Record<string, unknown>): { durable: true; arguments: Record<string, unknown> } {
  return { durable: true, arguments: { 'x-queue-type': 'quorum', ...more } };
}

/** The ids of what arrives, as it arrives. */
async function collect(harness: AmqpHarness, queue: string, workMs = 0, prefetch = 1): Promise<string[]> {
  const got: string[] = [];
  const handler = async ({ id }: { readonly id: string }) => {
    await sleep(workMs);
    got.push(id);
  };
  await harness.bus.consume(queue, handler, { prefetch });
  return got;
}

async function withChannel<T>(work: (channel: Channel) => Promise<T>): Promise<T> {
  const connection = await connect(inject('amqpUrl'));
  try {
    const channel = await connection.createChannel();
    channel.on('error', () => undefined);
    return await work(channel);
  } finally {
    await connection.close();
  }
}

/** Sends, four at a time, until the broker that `kill` ends is gone. */
async function publishUntilFailure(harness: AmqpHarness, queue: string, kill: () => Promise<void>) {
  const confirmed: string[] = [];
  const failures: unknown[] = [];
  const sender = async () => {
    while (failures.length === 0) {
      const message = aMessage();
      try {
        await harness.bus.publish(queue, message);
        confirmed.push(message.id);
      } catch (error) {
        failures.push(error);
      }
    }
  };
  const senders = Promise.all([sender(), sender(), sender(), sender()]);
  await vi.waitFor(() => expect(confirmed.length).toBeGreaterThan(50), SOON);
  // RabbitMQ 3.10 writes down within a second that a quorum queue was made; killed before, it has lost the queue.
  await sleep(2_000);
  await kill();
  await senders;
  return { confirmed, failures };
}
