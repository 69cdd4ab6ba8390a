import 'reflect-metadata';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, inject, it, vi } from 'vitest';
import type { Handler } from '../../src/bus/bus.js';
import { envelope, type Envelope } from '../../src/messages/envelope.js';
import {
  aMessage,
  amqpHarness,
  aQueue,
  DELIVERY_LIMIT,
  inProcessHarness,
  MESSAGE_BYTES_MAX,
  type BusHarness,
} from './bus-harness.js';

const SOON = { timeout: 15_000, interval: 10 };

/** The contract of the port: every test holds for both implementations. */
describe.each([
  ['RabbitMQ', () => amqpHarness(inject('amqpUrl'))],
  ['in process', inProcessHarness],
])('bus: %s', (_name, start) => {
  let harness: BusHarness;
  let queue: string;

  beforeEach(async () => {
    harness = await start();
    queue = aQueue();
    await vi.waitFor(() => expect(harness.bus.isReady()).toBe(true), SOON);
  });

  afterEach(() => harness.close());

  const publish = async (count: number): Promise<string[]> => {
    const messages = Array.from({ length: count }, aMessage);
    for (const message of messages) await harness.bus.publish(queue, message);
    return messages.map(({ id }) => id);
  };

  const consume = (handler: Handler, prefetch = 1) => harness.bus.consume(queue, handler, { prefetch });

  it('delivers what was published, unchanged', async () => {
    const sent = aMessage();
    const got: Envelope[] = [];
    await consume(async (message) => void got.push(message));
    await harness.bus.publish(queue, sent);
    await vi.waitFor(() => expect(got).toHaveLength(1), SOON);
    expect(got[0]).toEqual(sent);
    expect(got[0]).not.toBe(sent);
  });

  it('has every listener of a topic hear what is said, and nobody what was said before', async () => {
    const heard: string[][] = [[], []];
    await harness.bus.broadcast(queue, aMessage());
    for (const own of heard) await harness.bus.listen(queue, async ({ id }) => void own.push(id));
    await harness.bus.listen(aQueue(), async ({ id }) => void heard[0]?.push(`elsewhere ${id}`));
    const said = Array.from({ length: 20 }, aMessage);
    for (const message of said) await harness.bus.broadcast(queue, message);
    const ids = said.map(({ id }) => id);
    await vi.waitFor(() => expect(heard).toEqual([ids, ids]), SOON);
  });

  it('says a message once: a listener that throws has missed it and hears the next, one that stopped hears nothing', async () => {
    const heard: string[] = [];
    const listening = await harness.bus.listen(queue, async ({ id }) => {
      heard.push(id);
      if (heard.length === 1) throw new Error('not now');
    });
    const [first, second, third] = [aMessage(), aMessage(), aMessage()];
    await harness.bus.broadcast(queue, first);
    await harness.bus.broadcast(queue, second);
    await vi.waitFor(() => expect(heard).toEqual([first.id, second.id]), SOON);
    await sleep(200);
    await listening.stop();
    await harness.bus.broadcast(queue, third);
    await sleep(100);
    expect(heard).toEqual([first.id, second.id]);
  });

  it('listens on after the connection was lost, and says what cannot be read to nobody', async () => {
    const heard: string[] = [];
    await harness.bus.listen(queue, async ({ id }) => void heard.push(id));
    await harness.interrupt();
    await vi.waitFor(() => expect([harness.bus.isReady(), harness.bus.unheardQueues()]).toEqual([true, []]), SOON);
    const after = aMessage();
    await harness.bus.broadcast(queue, after);
    await vi.waitFor(() => expect(heard).toEqual([after.id]), SOON);
    const wrong = { ...aMessage(), type: 'nothing' } as unknown as Envelope;
    await expect(harness.bus.broadcast(queue, wrong)).rejects.toMatchObject({ code: 'message.invalid' });
  });

  it('never runs a handler before publish has come back to its caller', async () => {
    const steps: string[] = [];
    await consume(async () => void steps.push('handled'));
    const publishing = harness.bus.publish(queue, aMessage());
    steps.push('publish returned');
    await publishing;
    await vi.waitFor(() => expect(steps).toEqual(['publish returned', 'handled']), SOON);
  });

  it('keeps the order of one queue when one message is handled at a time', async () => {
    const got: string[] = [];
    await consume(async ({ id }) => {
      await sleep(Math.random() * 5);
      got.push(id);
    });
    const sent = await publish(30);
    await vi.waitFor(() => expect(got).toHaveLength(30), SOON);
    expect(got).toEqual(sent);
  });

  it('keeps messages for a consumer that comes later', async () => {
    const sent = await publish(5);
    const got: string[] = [];
    await consume(async ({ id }) => void got.push(id));
    await vi.waitFor(() => expect(got).toEqual(sent), SOON);
  });

  it('has no more messages in the handler than the prefetch says', async () => {
    const open: (() => void)[] = [];
    let handled = 0;
    await consume(async () => {
      await new Promise<void>((resolve) => open.push(resolve));
      handled += 1;
    }, 3);
    await publish(10);
    await vi.waitFor(() => expect(open).toHaveLength(3), SOON);
    await sleep(200);
    expect(open).toHaveLength(3);
    open[0]?.();
    await vi.waitFor(() => expect(open).toHaveLength(4), SOON);
    await sleep(100);
    expect(open).toHaveLength(4);
    await vi.waitFor(() => {
      for (const go of open) go();
      expect(handled).toBe(10);
    }, SOON);
  });

  it('tries a message again after its handler threw', async () => {
    const attempts: string[] = [];
    await consume(async ({ id }) => {
      attempts.push(id);
      if (attempts.length === 1) throw new Error('the database is away');
    });
    const [sent] = await publish(1);
    await vi.waitFor(() => expect(attempts).toEqual([sent, sent]), SOON);
    await sleep(200);
    expect(attempts).toHaveLength(2);
    expect(await harness.deadLetters(queue)).toEqual([]);
    expect(harness.log).toContainEqual(
      expect.objectContaining({
        level: 'warn',
        fields: expect.objectContaining({ messageId: sent, queue, attempt: 1, reason: 'the database is away' }),
      }),
    );
  });

  it('moves a message that fails each time to the dead-letter queue, and goes on with the others', async () => {
    const attempts: number[] = [];
    const got: string[] = [];
    const bad = aMessage();
    await consume(async ({ id }) => {
      if (id !== bad.id) return void got.push(id);
      attempts.push(Date.now());
      throw new Error('never');
    }, 2);
    await harness.bus.publish(queue, bad);
    const sent = await publish(5);
    await vi.waitFor(async () => {
      expect(await harness.deadLetters(queue)).toEqual([
        expect.objectContaining({ messageId: bad.id, reason: 'delivery_limit' }),
      ]);
    }, SOON);
    expect(attempts).toHaveLength(DELIVERY_LIMIT + 1);
    expect(got).toEqual(sent);
    const [first = 0, second = 0, third = 0] = attempts;
    expect(second - first).toBeGreaterThanOrEqual(45);
    expect(third - second).toBeGreaterThanOrEqual(90);
  });

  it('survives a handler that throws at once instead of rejecting', async () => {
    let attempts = 0;
    await consume(() => {
      attempts += 1;
      throw new Error('at once');
    });
    await publish(1);
    await vi.waitFor(async () => expect(await harness.deadLetters(queue)).toHaveLength(1), SOON);
    expect(attempts).toBe(DELIVERY_LIMIT + 1);
  });

  it.each([
    ['no JSON', 'server.requested'],
    ['an array', '[]'],
    ['an unknown type', JSON.stringify({ ...aMessage(), type: 'server.exploded' })],
    ['a body without its field', JSON.stringify({ ...aMessage(), body: {} })],
    ['nothing at all', ''],
    [
      'an abyss',
      JSON.stringify(aMessage()).replace('"body":{', `"body":{"x":${'['.repeat(9_000)}${']'.repeat(9_000)},`),
    ],
    ['a too large message', JSON.stringify({ ...aMessage(), padding: 'x'.repeat(MESSAGE_BYTES_MAX) })],
  ])('buries %s at once and goes on', async (_what, text) => {
    const got: string[] = [];
    await consume(async ({ id }) => void got.push(id));
    const bytes = Buffer.from(text);
    await harness.sendBytes(queue, 'from-a-stranger', bytes);
    const sent = await publish(1);
    await vi.waitFor(() => expect(got).toEqual(sent), SOON);
    await vi.waitFor(async () => {
      expect(await harness.deadLetters(queue)).toEqual([{ messageId: 'from-a-stranger', bytes, reason: 'rejected' }]);
    }, SOON);
    expect(harness.log).toContainEqual({
      level: 'error',
      message: 'message buried: not valid',
      fields: { queue, messageId: 'from-a-stranger', reason: expect.stringMatching(/\w{3}/) },
    });
  });

  it('refuses to publish a message that is too large', async () => {
    const message = envelope('report.request', { reason: 'x'.repeat(MESSAGE_BYTES_MAX) });
    await expect(harness.bus.publish(queue, message)).rejects.toMatchObject({ code: 'message.too_large' });
  });

  it('refuses to publish a message that no receiver would take', async () => {
    const message = envelope('server.requested', { server_id: 'mine' });
    await expect(harness.bus.publish(queue, message)).rejects.toMatchObject({
      code: 'message.invalid',
      message: 'server.requested: server_id: server_id must be a UUID',
    });
  });

  it('stop() lets the handlers end, starts no more and leaves the rest in the queue', async () => {
    const started: string[] = [];
    const ended: string[] = [];
    let go = (): void => undefined;
    const gate = new Promise<void>((resolve) => (go = resolve));
    const subscription = await consume(async ({ id }) => {
      started.push(id);
      await gate;
      ended.push(id);
    }, 2);
    const sent = await publish(6);
    await vi.waitFor(() => expect(started).toHaveLength(2), SOON);

    let isStopped = false;
    const stopping = subscription.stop().then(() => (isStopped = true));
    await sleep(200);
    expect(isStopped).toBe(false);
    go();
    await stopping;
    expect(ended).toEqual(started);
    expect(started).toEqual(sent.slice(0, 2));

    const rest: string[] = [];
    await consume(async ({ id }) => void rest.push(id));
    await vi.waitFor(() => expect(rest).toHaveLength(4), SOON);
    await sleep(100);
    expect(rest).toEqual(sent.slice(2));
    expect(started).toHaveLength(2);
  });

  it('stop() does not wait for the pause before the next try', async () => {
    let attempts = 0;
    const subscription = await consume(async () => {
      attempts += 1;
      throw new Error('not now');
    });
    const [sent] = await publish(1);
    await vi.waitFor(() => expect(attempts).toBe(1), SOON);
    await subscription.stop();
    const got: string[] = [];
    await consume(async ({ id }) => void got.push(id));
    await vi.waitFor(() => expect(got).toEqual([sent]), SOON);
  });

  it('shares the messages of a queue between its consumers, each message to one of them', async () => {
    const got: [string[], string[]] = [[], []];
    await consume(async ({ id }) => {
      await sleep(5);
      got[0].push(id);
    });
    await consume(async ({ id }) => {
      await sleep(5);
      got[1].push(id);
    });
    const sent = await publish(30);
    await vi.waitFor(() => expect(got.flat()).toHaveLength(30), SOON);
    await sleep(100);
    expect(got.flat().sort()).toEqual([...sent].sort());
    expect(got[0].length).toBeGreaterThan(3);
    expect(got[1].length).toBeGreaterThan(3);
  });

  it('takes no more messages from a queue than the prefetch, so that another consumer gets the rest', async () => {
    const sent = await publish(4);
    let go = (): void => undefined;
    const gate = new Promise<void>((resolve) => (go = resolve));
    const busy: string[] = [];
    await consume(async ({ id }) => {
      busy.push(id);
      await gate;
    });
    await vi.waitFor(() => expect(busy).toEqual(sent.slice(0, 1)), SOON);
    const idle: string[] = [];
    await consume(async ({ id }) => void idle.push(id));
    await vi.waitFor(() => expect(idle).toEqual(sent.slice(1)), SOON);
    go();
  });

  it('loses nothing when the connection is lost, and goes on consuming', async () => {
    const got = new Set<string>();
    const sent = await publish(10);
    await harness.interrupt();
    await vi.waitFor(() => expect(harness.bus.isReady()).toBe(true), SOON);
    await consume(async ({ id }) => {
      await sleep(20);
      got.add(id);
    }, 2);
    await vi.waitFor(() => expect(got.size).toBeGreaterThan(2), SOON);
    await harness.interrupt();
    await vi.waitFor(() => expect(harness.bus.isReady()).toBe(true), SOON);
    sent.push(...(await publish(3)));
    await vi.waitFor(() => expect([...got].sort()).toEqual([...sent].sort()), SOON);
  });

  it('close() lets handlers end, and what they publish is sent', async () => {
    let isIn = false;
    const outcome = aMessage();
    const next = aQueue();
    await consume(async () => {
      isIn = true;
      await sleep(150);
      await harness.bus.publish(next, outcome);
      isIn = false;
    });
    await publish(1);
    await vi.waitFor(() => expect(isIn).toBe(true), SOON);
    await harness.bus.close();
    expect(isIn).toBe(false);
    expect(harness.bus.isReady()).toBe(false);
    await expect(harness.bus.publish(queue, aMessage())).rejects.toMatchObject({ code: 'bus.unavailable' });
    await expect(consume(async () => undefined)).rejects.toMatchObject({ code: 'bus.unavailable' });
    expect(harness.log.filter(({ level }) => level !== 'info')).toEqual([]);
  });
});
