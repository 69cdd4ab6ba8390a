import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { envelope } from '../messages/envelope.js';
import type { Handler } from './bus.js';
import { retryDelayMs } from './limits.js';
import { MessageWorker, type Delivery } from './message-worker.js';

const SETTINGS = { messageBytesMax: 10_000, deliveryLimit: 5 };

interface Told extends Delivery {
  readonly answers: string[];
}

/** A delivery that writes down what the broker is told. */
function aDelivery(more: Partial<Delivery> = {}): Told {
  const answers: string[] = [];
  return {
    bytes: Buffer.from(JSON.stringify(envelope('report.request', {}))),
    messageId: null,
    deliveredBefore: 0,
    isLost: () => false,
    done: () => void answers.push('done'),
    giveBack: () => void answers.push('giveBack'),
    bury: () => void answers.push('bury'),
    ...more,
    answers,
  };
}

function aWorker(handler: Handler, prefetch = 1): MessageWorker {
  return new MessageWorker({ queue: 'q', prefetch, settings: SETTINGS }, handler, () => undefined);
}

describe('message worker', () => {
  it('keeps what arrives after hold, and gives it back with the rest on stop', async () => {
    let handled = 0;
    const worker = aWorker(async () => {
      handled += 1;
      await sleep(30);
    });
    const [first, waiting, late] = [aDelivery(), aDelivery(), aDelivery()];
    worker.take(first);
    worker.take(waiting);
    worker.hold();
    worker.take(late);
    await sleep(60);
    expect([first.answers, waiting.answers, late.answers]).toEqual([['done'], [], []]);
    await worker.stop();
    expect([first.answers, waiting.answers, late.answers]).toEqual([['done'], ['giveBack'], ['giveBack']]);
    expect(handled).toBe(1);
    const afterwards = aDelivery();
    worker.take(afterwards);
    expect(afterwards.answers).toEqual(['giveBack']);
  });

  it('does not start a message that the broker took back while it waited', async () => {
    let handled = 0;
    const worker = aWorker(async () => {
      handled += 1;
      await sleep(10);
    });
    const [lost, next] = [aDelivery({ isLost: () => true }), aDelivery()];
    worker.take(aDelivery());
    worker.take(lost);
    worker.take(next);
    await sleep(60);
    expect(handled).toBe(2);
    expect([lost.answers, next.answers]).toEqual([[], ['done']]);
  });

  it('gives a failed message back after a pause, and on stop at once', async () => {
    const worker = aWorker(() => Promise.reject(new Error('no')), 2);
    const [fresh, old] = [aDelivery(), aDelivery({ deliveredBefore: 4 })];
    worker.take(fresh);
    worker.take(old);
    await sleep(10);
    expect([fresh.answers, old.answers]).toEqual([[], []]);
    await sleep(120);
    expect([fresh.answers, old.answers]).toEqual([['giveBack'], []]);
    const start = Date.now();
    await worker.stop();
    expect(Date.now() - start).toBeLessThan(600);
    expect(old.answers).toEqual(['giveBack']);
  });

  it('gives a message back without a pause when the broker will bury it', async () => {
    const worker = aWorker(() => Promise.reject(new Error('no')));
    const last = aDelivery({ deliveredBefore: SETTINGS.deliveryLimit });
    worker.take(last);
    await sleep(10);
    expect(last.answers).toEqual(['giveBack']);
  });

  it('has pauses that grow to two seconds', () => {
    expect([0, 1, 2, 5, 6, 100].map(retryDelayMs)).toEqual([50, 100, 200, 1_600, 2_000, 2_000]);
  });
});
