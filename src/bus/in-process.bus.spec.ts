import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import { envelope } from '../messages/envelope.js';
import { InProcessBus } from './in-process.bus.js';
import { DEAD_MESSAGES_MAX, QUEUE_MESSAGES_MAX } from './limits.js';

const SOON = { timeout: 15_000, interval: 10 };

function aBus(deliveryLimit = 2): InProcessBus {
  return new InProcessBus({ messageBytesMax: 10_000, deliveryLimit }, () => undefined);
}

// What holds for both buses is in test/integration/bus.spec.ts; here are the limits, which a broker keeps by itself.
describe('in-process bus', () => {
  it('refuses a message for a full queue, and takes one again when there is room', async () => {
    const bus = aBus();
    const bytes = Buffer.from(JSON.stringify(envelope('report.request', {})));
    for (let count = 0; count < QUEUE_MESSAGES_MAX; count += 1) bus.publishBytes('full', null, bytes);
    await expect(bus.publish('full', envelope('report.request', {}))).rejects.toMatchObject({
      code: 'bus.unavailable',
      message: 'The queue full is full',
    });
    await bus.publish('other', envelope('report.request', {}));

    let handled = 0;
    const subscription = await bus.consume('full', async () => void (handled += 1), { prefetch: 10 });
    await vi.waitFor(() => expect(handled).toBeGreaterThan(0), SOON);
    await subscription.stop();
    await bus.publish('full', envelope('report.request', {}));
    await bus.close();
  });

  it('says nothing after it was closed, and nothing to who listens afterwards', async () => {
    const bus = aBus();
    await bus.broadcast('topic', envelope('report.request', {}));
    await bus.close();
    await expect(bus.broadcast('topic', envelope('report.request', {}))).rejects.toMatchObject({
      code: 'bus.unavailable',
    });
    await expect(bus.listen('topic', async () => undefined)).rejects.toMatchObject({ code: 'bus.unavailable' });
  });

  it('keeps the youngest dead letters up to a limit', async () => {
    const bus = aBus();
    const more = 5;
    for (let count = 0; count < DEAD_MESSAGES_MAX + more; count += 1) {
      bus.publishBytes('bad', String(count), Buffer.from('garbage'));
    }
    await bus.consume('bad', async () => undefined, { prefetch: 100 });
    const last = String(DEAD_MESSAGES_MAX + more - 1);
    await vi.waitFor(() => expect(bus.deadLetters('bad').at(-1)?.messageId).toBe(last), SOON);
    expect(bus.deadLetters('bad')).toHaveLength(DEAD_MESSAGES_MAX);
    expect(bus.deadLetters('bad')[0]?.messageId).toBe(String(more));
    await bus.close();
  });

  it('gives a returned message its old place in the queue', async () => {
    const bus = aBus();
    const sent = Array.from({ length: 4 }, () => envelope('report.request', {}));
    for (const message of sent) await bus.publish('ordered', message);
    const first = await bus.consume('ordered', () => Promise.reject(new Error('not now')), { prefetch: 2 });
    await sleep(20);
    await first.stop();
    const got: string[] = [];
    await bus.consume('ordered', async ({ id }) => void got.push(id), { prefetch: 1 });
    await vi.waitFor(() => expect(got).toEqual(sent.map(({ id }) => id)), SOON);
    await bus.close();
  });
});
