import type { DataSource } from 'typeorm';
import { describe, expect, it } from 'vitest';
import type { Ledger } from '../../src/store/ledger.js';
import { countWaiting, listQueue, queuePosition } from '../../src/store/queue.store.js';
import {
  agentsAnswer,
  ask,
  askTogether,
  events,
  hostWithGpus,
  onScheduledLedger,
  remove,
  scheduler,
  show,
  states,
  waitSince,
} from '../support/scheduler-world.js';

let source: DataSource;
let ledger: Ledger;

onScheduledLedger((opened) => {
  ({ source, ledger } = opened);
});

describe('servers that are asked for together', () => {
  it('none is placed when there is room for fewer than the least, and all say why', async () => {
    await hostWithGpus('node-1', 2);
    const ids = await askTogether(3, 3);
    await scheduler().schedule(ids[0] ?? '');
    expect(await states(ids)).toEqual(['ERROR', 'ERROR', 'ERROR']);
    for (const id of ids) {
      const { fault } = await show(id);
      expect(fault?.message).toMatch(/^2 of at least 3 servers would fit, so none is placed\. No valid host: .*gpu/);
    }
    expect(await source.query(`SELECT 1 FROM claims`)).toEqual([]);
    expect(await source.query(`SELECT 1 FROM devices WHERE status <> 'available'`)).toEqual([]);
  });

  it('all are placed in one transaction when there is room, by one nudge for any of them', async () => {
    await hostWithGpus('node-1', 2);
    await hostWithGpus('node-2', 1);
    const ids = await askTogether(3, 3);
    expect(await source.query(`SELECT 1 FROM outbox`)).toHaveLength(1);
    await scheduler().schedule(ids[2] ?? '');
    expect(await states(ids)).toEqual(Array(3).fill('BUILD preparing'));
    const [times] = (await source.query(`SELECT count(DISTINCT created_at)::int AS times FROM claims`)) as [
      { times: number },
    ];
    expect(times).toEqual({ times: 1 });
  });

  it('between the least and the most as many as fit', async () => {
    await hostWithGpus('node-1', 3);
    const ids = await askTogether(5, 2);
    await scheduler().schedule(ids[0] ?? '');
    expect(await states(ids)).toEqual([...Array<string>(3).fill('BUILD preparing'), 'ERROR', 'ERROR']);
    expect((await show(ids[4] ?? '')).fault?.message).toMatch(/^No valid host: .*gpu/);
  });

  it('a conflict on one host takes the whole gang back, and it is decided anew', async () => {
    await hostWithGpus('node-1', 1);
    await hostWithGpus('node-2', 1);
    const late = scheduler();
    await late.schedule(await ask('warm-up', { gpus: 9 })); // it has seen both hosts free
    await scheduler().schedule(await ask('other'));
    const ids = await askTogether(2, 2);
    await late.schedule(ids[0] ?? '');
    expect(await states(ids)).toEqual(['ERROR', 'ERROR']);
    expect(await source.query(`SELECT 1 FROM claims`)).toHaveLength(1);
  });

  it('races of gangs and single servers on several schedulers: each gang is placed whole or not at all', async () => {
    for (const name of ['node-1', 'node-2', 'node-3']) await hostWithGpus(name, 3);
    const gangs = await Promise.all([3, 3, 2, 2].map((count) => askTogether(count, count)));
    const singles = await Promise.all(Array.from({ length: 4 }, (_unused, index) => ask(`one-${index}`)));
    const all = [...gangs.map(([first = '']) => first), ...singles];
    await Promise.all(
      all.map(async (id) => {
        const own = scheduler();
        for (let attempt = 0; attempt < 5; attempt++) {
          const lost = await own.schedule(id).then(
            () => false,
            () => true,
          );
          if (!lost) return;
        }
      }),
    );
    for (const gang of gangs) expect(new Set(await states(gang)).size).toBe(1);
    const placed =
      [...gangs.flat(), ...singles].length -
      (await states([...gangs.flat(), ...singles])).filter((state) => state === 'ERROR').length;
    expect(await source.query(`SELECT DISTINCT device_id FROM allocations`)).toHaveLength(placed);
    expect(placed).toBeLessThanOrEqual(9);
    expect(placed).toBeGreaterThanOrEqual(7);
    const attempts = await Promise.all([...gangs.flat(), ...singles].map(show));
    // whoever lost a race has not failed on the host: no attempt is counted, no host is left out
    expect(attempts.every(({ status, attempts: count }) => count === (status === 'ERROR' ? 0 : 1))).toBe(true);
    expect(await source.query(`SELECT 1 FROM servers WHERE excluded_hosts <> '[]'`)).toEqual([]);
  });

  it('wait together, and are placed together once there is room for all', async () => {
    await hostWithGpus('node-1', 2);
    const own = scheduler();
    const first = await ask('first');
    await own.schedule(first);
    await agentsAnswer();
    const ids = await askTogether(2, 2, { wait: true });
    await own.schedule(ids[0] ?? '');
    expect(await states(ids)).toEqual(['BUILD waiting', 'BUILD waiting']);
    await remove(first);
    await own.lookAtQueue();
    expect(await states(ids)).toEqual(['BUILD preparing', 'BUILD preparing']);
  });
});

describe('the queue', () => {
  it('a server that fits nowhere waits, and is placed when another is deleted', async () => {
    await hostWithGpus('node-1', 1);
    const own = scheduler();
    const first = await ask('first');
    await own.schedule(first);
    await agentsAnswer();
    const second = await ask('second', { wait: true });
    await own.schedule(second);
    expect(await show(second)).toMatchObject({
      status: 'BUILD',
      task_state: 'waiting',
      fault: { code: 'placement.no_valid_host' },
    });
    expect(await queuePosition(ledger.pool, second)).toBe(1);
    await own.lookAtQueue();
    await own.lookAtQueue();
    expect(await source.query(`SELECT 1 FROM decisions WHERE server_id = $1`, [second])).toHaveLength(1);
    await remove(first);
    await own.lookAtQueue();
    expect(await show(second)).toMatchObject({ status: 'BUILD', task_state: 'preparing', host: 'node-1', fault: null });
    expect(await queuePosition(ledger.pool, second)).toBeNull();
    expect(await events(second)).toEqual(['requested', 'waiting', 'placed']);
  });

  it('a host that comes makes room too', async () => {
    const own = scheduler();
    const id = await ask('vm', { wait: true });
    await own.schedule(id);
    expect(await states([id])).toEqual(['BUILD waiting']);
    await hostWithGpus('node-1', 1);
    await own.lookAtQueue();
    expect(await states([id])).toEqual(['BUILD preparing']);
  });

  it('is in the order of priority and age, the older first among equals', async () => {
    const own = scheduler();
    const ids: string[] = [];
    for (const [name, priority] of [
      ['low', 0],
      ['high', 5],
      ['old', 0],
      ['high-too', 5],
    ] as const) {
      const id = await ask(name, { priority, wait: true });
      await own.schedule(id);
      ids.push(id);
    }
    await waitSince(ids[2] ?? '', 7);
    const names = (await listQueue(ledger.pool, { after: 0, limit: 10 })).map(({ name, position }) => [position, name]);
    expect(names).toEqual([
      [1, 'old'],
      [2, 'high'],
      [3, 'high-too'],
      [4, 'low'],
    ]);
    await hostWithGpus('node-1', 3);
    await own.lookAtQueue();
    expect(await states(ids)).toEqual(['BUILD waiting', ...Array<string>(3).fill('BUILD preparing')]);
  });

  it('a newcomer does not get what somebody has been waiting for', async () => {
    const own = scheduler();
    const waiting = await ask('waiting', { wait: true });
    await own.schedule(waiting);
    await hostWithGpus('node-1', 1);
    const newcomer = await ask('newcomer');
    await own.schedule(newcomer);
    expect(await states([waiting, newcomer])).toEqual(['BUILD preparing', 'ERROR']);
  });

  it('is full at some point: then servers end in ERROR', async () => {
    const own = scheduler({ queue: { max: 1, ageingPerMinute: 1, patienceMs: 60_000 } });
    const ids = [await ask('a', { wait: true }), await ask('b', { wait: true })];
    for (const id of ids) await own.schedule(id);
    expect(await states(ids)).toEqual(['BUILD waiting', 'ERROR']);
    expect((await show(ids[1] ?? '')).fault).toMatchObject({
      code: 'queue.full',
      message: expect.stringMatching(/^1 servers/),
    });
    expect(await countWaiting(ledger.pool)).toBe(1);
  });

  it('a large one is not passed for ever: after a while the host is kept for it', async () => {
    await hostWithGpus('node-1', 2);
    const own = scheduler();
    const small = [await ask('small-1'), await ask('small-2')];
    for (const id of small) await own.schedule(id);
    await agentsAnswer();
    const large = await ask('large', { gpus: 2, wait: true });
    await own.schedule(large);
    await remove(small[0] ?? '');
    const passes = await ask('small-3', { wait: true });
    await own.schedule(passes);
    expect(await states([large, passes])).toEqual(['BUILD waiting', 'BUILD preparing']);
    await agentsAnswer();
    await waitSince(large, 2);
    await remove(passes);
    const stays = await ask('small-4', { wait: true });
    await own.schedule(stays);
    expect(await states([large, stays])).toEqual(['BUILD waiting', 'BUILD waiting']);
    expect((await show(stays)).fault?.message).toContain('kept for a server that is ahead in the queue');
    await remove(small[1] ?? '');
    await own.lookAtQueue();
    expect(await states([large, stays])).toEqual(['BUILD preparing', 'BUILD waiting']);
  });
});

describe('preemption', () => {
  const on = { preemption: true } as const;

  it('the less important leave, and the more important has their place once it is given back', async () => {
    await hostWithGpus('node-1', 2);
    const own = scheduler(on);
    const low = [await ask('low-1', { preemptible: true }), await ask('low-2', { preemptible: true, priority: 1 })];
    for (const id of low) await own.schedule(id);
    await agentsAnswer();
    const high = await ask('high', { priority: 5 });
    await own.schedule(high);
    expect(await states([...low, high])).toEqual(['BUILD waiting', 'ACTIVE', 'BUILD waiting']);
    expect((await show(low[0] ?? '')).fault).toMatchObject({ code: 'server.preempted' });
    expect(await events(low[0] ?? '')).toEqual(['requested', 'placed', 'prepared', 'preempted']);
    const thief = await ask('thief', { priority: 9, gpus: 1, wait: true });
    await own.schedule(thief);
    await own.lookAtQueue();
    expect(await states([high])).toEqual(['BUILD waiting']);
    await agentsAnswer();
    await own.lookAtQueue();
    expect(await states([high])).toEqual(['BUILD preparing']);
    expect(await source.query(`SELECT 1 FROM servers WHERE nominated_host_id IS NOT NULL AND id = $1`, [high])).toEqual(
      [],
    );
  });

  it('nobody leaves when it is off, for who is as important, or who may not be preempted', async () => {
    await hostWithGpus('node-1', 1);
    const own = scheduler(on);
    const holder = await ask('holder', { preemptible: true, priority: 3 });
    await own.schedule(holder);
    await agentsAnswer();
    const equal = await ask('equal', { priority: 3 });
    await own.schedule(equal);
    const unable = await ask('unable', { priority: 9 });
    await scheduler().schedule(unable);
    expect(await states([holder, equal, unable])).toEqual(['ACTIVE', 'ERROR', 'ERROR']);
  });

  it('two preemptors do not get one place: the second has another victim leave', async () => {
    await hostWithGpus('node-1', 1);
    await hostWithGpus('node-2', 1);
    const own = scheduler(on);
    const low = [await ask('low-1', { preemptible: true }), await ask('low-2', { preemptible: true })];
    for (const id of low) await own.schedule(id);
    await agentsAnswer();
    const high = [await ask('high-1', { priority: 5 }), await ask('high-2', { priority: 5 })];
    await Promise.all(high.map((id) => own.schedule(id)));
    expect(await states([...low, ...high])).toEqual(Array(4).fill('BUILD waiting'));
    await agentsAnswer();
    await own.lookAtQueue();
    expect(await states([...low, ...high])).toEqual([
      ...Array<string>(2).fill('BUILD waiting'),
      ...Array<string>(2).fill('BUILD preparing'),
    ]);
  });
});
