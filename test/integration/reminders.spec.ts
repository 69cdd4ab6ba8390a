import type { DataSource } from 'typeorm';
import { describe, expect, it } from 'vitest';
import { takeFromOutbox } from '../../src/store/outbox.store.js';
import { remindPrepares } from '../../src/store/unfinished.store.js';
import { agentsAnswer, ask, hostWithGpus, onScheduledLedger, scheduler, SETTINGS } from '../support/scheduler-world.js';

let source: DataSource;

onScheduledLedger((opened) => {
  source = opened.source;
});

const AFTER_MS = SETTINGS.claimTimeoutMs / 2;
const remind = (): Promise<number> => source.transaction((tx) => remindPrepares(tx, AFTER_MS, 10));

/** Commands that would go out now, with their queues. */
async function sent(): Promise<unknown[]> {
  const lines = await source.transaction((tx) => takeFromOutbox(tx, 10));
  return lines
    .filter(({ message }) => message.type === 'devices.prepare')
    .map(({ queue, message }) => ({ queue, body: message.body }));
}

async function waits(ms: number): Promise<void> {
  await source.query(`UPDATE claims SET updated_at = updated_at - $1::int * interval '1 millisecond'`, [ms]);
}

describe('a prepare command that was lost', () => {
  it('is sent again as it was when half of the time of the claim is over, once in that time', async () => {
    await hostWithGpus('node-1', 2);
    const id = await ask('vm-1', { gpus: 2 });
    await scheduler().schedule(id);
    const first = await sent();
    expect(first).toMatchObject([{ queue: 'berth.agent.node-1', body: { server_id: id } }]);
    await waits(AFTER_MS - 5_000);
    expect(await remind()).toBe(0);
    await waits(5_000);
    expect(await remind()).toBe(1);
    expect(await sent()).toEqual(first);
    expect(await remind()).toBe(0);
    expect(await sent()).toEqual([]);
  });

  it('is not when the agent has answered', async () => {
    await hostWithGpus('node-1', 1);
    await scheduler().schedule(await ask('vm-1'));
    await agentsAnswer();
    await sent();
    await waits(SETTINGS.claimTimeoutMs);
    expect(await remind()).toBe(0);
    expect(await sent()).toEqual([]);
  });
});
