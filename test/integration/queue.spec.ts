import { randomUUID } from 'node:crypto';
import { Logger } from '@nestjs/common';
import type { DataSource } from 'typeorm';
import { describe, expect, it } from 'vitest';
import type { DeviceRequest, PlacementRequest } from '../../src/placement/request.js';
import { ClaimsService } from '../../src/scheduler/claims.service.js';
import { DecisionRecorder } from '../../src/scheduler/decision-recorder.js';
import { SchedulingService } from '../../src/scheduler/scheduling.service.js';
import type { SchedulerSettings } from '../../src/settings/settings.js';
import { Queue1763800002000 } from '../../migrations/1763800002000-queue.js';
import { askToAttach } from '../../src/store/attach.store.js';
import { sendRelease } from '../../src/store/claim-outcomes.store.js';
import { readHeldDevices, splitForDetach } from '../../src/store/detach.store.js';
import { absorbReport } from '../../src/store/inventory.store.js';
import { Ledger } from '../../src/store/ledger.js';
import { countWaiting, listQueue, queuePosition } from '../../src/store/queue.store.js';
import { insertServers, lockServerForDelete, markDeleting } from '../../src/store/servers.store.js';
import { SnapshotCache } from '../../src/store/snapshot.store.js';
import { nudgeUnfinished } from '../../src/store/unfinished.store.js';
import { onLedger } from '../support/ledger.js';
import { aReport } from '../support/reports.js';
import { aRequest, POLICY, wants } from '../support/snapshots.js';

const SETTINGS: SchedulerSettings = {
  ...POLICY,
  maxInstancesPerHost: 50,
  maxIoOpsPerHost: 8,
  placementPolicies: { default: 'spread', aliases: {} },
  attemptsMax: 3,
  claimTimeoutMs: 60_000,
  hostSilentAfterMs: 60_000,
  sweepIntervalMs: 1000,
  batchSizeMax: 64,
  batchDelayMs: 1,
  relayIntervalMs: 20,
  queue: { max: 10, ageingPerMinute: 1, patienceMs: 60_000 },
  preemption: false,
} as Partial<SchedulerSettings> as SchedulerSettings;

Logger.overrideLogger(false);

let source: DataSource;
let ledger: Ledger;

onLedger((opened) => {
  source = opened;
  ledger = new Ledger(opened);
});

/** A scheduler of its own, with a view of the hosts of its own. */
function scheduler(differing: Partial<SchedulerSettings> = {}): SchedulingService {
  const cache = new SnapshotCache(source);
  const journal = { keepHours: 0, baseIntervalMs: 1000 };
  const settings = { ...SETTINGS, journal, ...differing };
  return new SchedulingService(ledger, cache, settings, new DecisionRecorder(ledger, cache, journal));
}

async function hostWithGpus(host: string, count: number): Promise<void> {
  const devices = Array.from({ length: count }, (_unused, index) => ({
    address: `0000:8${index}:00.0`,
    ids: '10de:1bb0',
  }));
  await source.transaction((tx) => absorbReport(tx, aReport({ host, devices })));
}

const gpu = (count: number): DeviceRequest => wants('gpu', count, '10de:1bb0');

interface Asked extends Partial<PlacementRequest> {
  readonly gpus?: number;
  readonly wait?: boolean;
}

async function ask(name: string, { gpus = 1, wait = false, ...more }: Asked = {}): Promise<string> {
  const id = randomUUID();
  const request = aRequest([gpu(gpus)], { serverName: name, ...more });
  await source.transaction((tx) => insertServers(tx, [{ id, flavor: null, request, waits: wait, gang: null }]));
  return id;
}

async function askTogether(count: number, countMin: number, { gpus = 1, wait = false }: Asked = {}): Promise<string[]> {
  const ids = Array.from({ length: count }, () => randomUUID());
  await source.transaction((tx) =>
    insertServers(
      tx,
      ids.map((id, index) => ({
        id,
        flavor: null,
        request: aRequest([gpu(gpus)], { serverName: `vm-${index + 1}` }),
        waits: wait,
        gang: { id: ids[0] ?? '', countMin, place: index + 1 },
      })),
    ),
  );
  return ids;
}

interface Shown {
  readonly name: string;
  readonly status: string;
  readonly task_state: string | null;
  readonly host: string | null;
  readonly fault: { readonly code: string; readonly message: string } | null;
  readonly attempts: number;
}

async function show(id: string): Promise<Shown> {
  const [row] = (await source.query(
    `SELECT s.name, s.status, s.task_state, h.name AS host, s.fault, s.attempts
       FROM servers s LEFT JOIN hosts h ON h.id = s.host_id WHERE s.id = $1`,
    [id],
  )) as [Shown];
  return row;
}

async function states(ids: readonly string[]): Promise<string[]> {
  const shown = await Promise.all(ids.map(show));
  return shown.map(({ status, task_state }) => (task_state === null ? status : `${status} ${task_state}`));
}

async function events(id: string): Promise<string[]> {
  const rows = (await source.query(`SELECT event FROM server_events WHERE server_id = $1 ORDER BY id`, [id])) as {
    event: string;
  }[];
  return rows.map((row) => row.event);
}

/** What the agent of the host answers to everything that is under way. */
async function agentsAnswer(): Promise<void> {
  const claims = new ClaimsService(ledger, SETTINGS);
  const rows = (await source.query(
    `SELECT c.id, c.status, c.server_id, h.name AS host FROM claims c JOIN hosts h ON h.id = c.host_id
      WHERE c.status IN ('claimed', 'releasing') ORDER BY c.status DESC, c.created_at`,
  )) as { id: string; status: string; server_id: string; host: string }[];
  for (const { id, status, server_id, host } of rows) {
    const signature = { host, epoch: 1, claim_id: id, server_id };
    if (status === 'releasing') await claims.released({ ...signature, devices: [] });
    else await claims.prepared({ ...signature, bindings: [] });
  }
}

async function remove(id: string): Promise<void> {
  await source.transaction(async (tx) => {
    await lockServerForDelete(tx, id);
    await markDeleting(tx, id);
  });
  await new ClaimsService(ledger, SETTINGS).serverDeleted(id);
  await agentsAnswer();
}

async function waitSince(id: string, minutes: number): Promise<void> {
  await source.query(
    `UPDATE servers SET queued_at = now() - $2::int * interval '1 minute', queue_rank = queue_rank - $2::int WHERE id = $1`,
    [id, minutes],
  );
}

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

describe('devices for a server that runs', () => {
  async function running(own: SchedulingService, gpus = 1): Promise<string> {
    const id = await ask('vm', { gpus });
    await own.schedule(id);
    await agentsAnswer();
    return id;
  }

  async function attach(own: SchedulingService, id: string, gpus: number): Promise<void> {
    await source.transaction((tx) => askToAttach(tx, id, [gpu(gpus)]));
    await own.schedule(id);
  }

  const deviceStates = async (): Promise<string[]> => {
    const rows = (await source.query('SELECT status FROM devices ORDER BY address')) as { status: string }[];
    return rows.map((row) => row.status);
  };

  it('are claimed on its own host only, and are its own once the agent has them', async () => {
    await hostWithGpus('node-1', 2);
    const own = scheduler();
    const id = await running(own);
    await hostWithGpus('node-2', 4);
    await attach(own, id, 1);
    expect(await states([id])).toEqual(['ACTIVE attaching']);
    expect(await deviceStates()).toContain('claimed');
    await agentsAnswer();
    expect(await states([id])).toEqual(['ACTIVE']);
    const rows = await source.query(
      `SELECT h.name AS host, c.kind, a.request_index FROM allocations a JOIN claims c ON c.id = a.claim_id
         JOIN hosts h ON h.id = c.host_id WHERE a.server_id = $1 ORDER BY a.request_index`,
      [id],
    );
    expect(rows).toEqual([
      { host: 'node-1', kind: 'server', request_index: 0 },
      { host: 'node-1', kind: 'attach', request_index: 1 },
    ]);
    await attach(own, id, 1); // none is left on node-1
    expect(await states([id])).toEqual(['ACTIVE']);
    expect(await events(id)).toEqual([
      ...['requested', 'placed', 'prepared', 'attach_requested', 'attaching', 'prepared'],
      ...['attach_requested', 'attach_refused'],
    ]);
    await remove(id);
    expect(new Set(await deviceStates())).toEqual(new Set(['available']));
    expect(await source.query(`SELECT 1 FROM claims WHERE status <> 'released'`)).toEqual([]);
    expect((await show(id)).status).toBe('DELETED');
  });

  it.each([
    [
      'fails',
      async (claims: ClaimsService, claimId: string, serverId: string) =>
        claims.prepareFailed({
          ...{ host: 'node-1', epoch: 1, claim_id: claimId, server_id: serverId },
          ...{ code: 'binding.failed', message: 'EBUSY', address: null, step: 'unbind', errno: 'EBUSY' },
        }),
    ],
    ['is not answered in time', async (claims: ClaimsService, claimId: string) => claims.expire(claimId)],
  ] as const)('are given back when their preparation %s, and the server is unharmed', async (_how, end) => {
    await hostWithGpus('node-1', 2);
    const own = scheduler();
    const id = await running(own);
    await attach(own, id, 1);
    const [claim] = (await source.query(`SELECT id FROM claims WHERE kind = 'attach'`)) as [{ id: string }];
    await end(new ClaimsService(ledger, SETTINGS), claim.id, id);
    await agentsAnswer();
    expect(await show(id)).toMatchObject({ status: 'ACTIVE', task_state: null, host: 'node-1', fault: null });
    expect((await deviceStates()).toSorted()).toEqual(['allocated', 'available']);
    expect((await events(id)).at(-1)).toBe('attach_failed');
  });

  it('go with the others when the agent has lost these', async () => {
    await hostWithGpus('node-1', 2);
    const own = scheduler();
    const id = await running(own);
    await attach(own, id, 1);
    await agentsAnswer();
    const [claim] = (await source.query(`SELECT id FROM claims WHERE kind = 'server'`)) as [{ id: string }];
    await new ClaimsService(ledger, SETTINGS).prepareFailed({
      ...{ host: 'node-1', epoch: 1, claim_id: claim.id, server_id: id },
      ...{ code: 'device.missing', message: 'gone', address: null, step: 'check', errno: null },
    });
    expect(await states([id])).toEqual(['ERROR']);
    await agentsAnswer();
    expect(await deviceStates()).toEqual(['available', 'available']);
  });

  it('go again with all that shares their IOMMU group, as a claim of their own', async () => {
    await hostWithGpus('node-1', 3);
    const own = scheduler();
    const id = await running(own, 3);
    const held = await readHeldDevices(ledger.pool, id);
    const part = held.slice(0, 2);
    const split = await source.transaction((tx) => splitForDetach(tx, id, part));
    await source.transaction((tx) => sendRelease(tx, { id: split.id, serverId: id, hostName: split.hostName }));
    expect(await states([id])).toEqual(['ACTIVE detaching']);
    const [line] = (await source.query(`SELECT message FROM outbox ORDER BY id DESC LIMIT 1`)) as [
      { message: { type: string; body: object } },
    ];
    expect(line.message).toMatchObject({
      type: 'devices.release',
      body: {
        claim_id: split.id,
        split_from: { claim_id: held[0]?.claim_id, addresses: part.map(({ address }) => address) },
      },
    });
    expect((await deviceStates()).filter((state) => state === 'allocated')).toHaveLength(3);
    await agentsAnswer();
    expect(await states([id])).toEqual(['ACTIVE']);
    expect(await deviceStates()).toEqual(['available', 'available', 'allocated']);
    expect((await events(id)).slice(-2)).toEqual(['detach_requested', 'detached']);
    expect((await readHeldDevices(ledger.pool, id)).map(({ address }) => address)).toEqual([held[2]?.address]);
  });

  it('are decided again when somebody else was faster', async () => {
    await hostWithGpus('node-1', 2);
    const own = scheduler();
    const id = await running(own);
    const late = scheduler();
    await late.schedule(await ask('warm-up', { gpus: 9 }));
    await own.schedule(await ask('faster'));
    await attach(late, id, 1);
    expect(await states([id])).toEqual(['ACTIVE']);
    expect((await events(id)).at(-1)).toBe('attach_refused');
  });

  it('are found by a sweep when the message was lost', async () => {
    await hostWithGpus('node-1', 2);
    const own = scheduler();
    const id = await ask('vm');
    await own.schedule(id);
    await agentsAnswer();
    await source.transaction((tx) => askToAttach(tx, id, [gpu(1)]));
    await source.query(`DELETE FROM outbox`);
    expect(await source.transaction((tx) => nudgeUnfinished(tx, 60_000, 10))).toBe(0);
    await source.query(`UPDATE servers SET updated_at = now() - interval '2 minutes'`);
    expect(await source.transaction((tx) => nudgeUnfinished(tx, 60_000, 10))).toBe(1);
    const lines = (await source.query(`SELECT message FROM outbox`)) as { message: object }[];
    expect(lines).toMatchObject([{ message: { type: 'server.requested', body: { server_id: id } } }]);
  });
});

describe('the migration', () => {
  it('can be undone and made again: who waits ends in ERROR, and what was attached is given back', async () => {
    await hostWithGpus('node-1', 2);
    const own = scheduler();
    const id = await ask('vm');
    await own.schedule(id);
    await agentsAnswer();
    await source.transaction((tx) => askToAttach(tx, id, [gpu(1)]));
    await own.schedule(id);
    const waiting = await ask('waiting', { wait: true });
    await own.schedule(waiting);
    expect(await states([id, waiting])).toEqual(['ACTIVE attaching', 'BUILD waiting']);
    const migration = new Queue1763800002000();
    const runner = source.createQueryRunner();
    try {
      await runner.startTransaction();
      await migration.down(runner);
      await migration.up(runner);
      await runner.commitTransaction();
    } finally {
      if (runner.isTransactionActive) await runner.rollbackTransaction();
      await runner.release();
    }
    expect(await states([id, waiting])).toEqual(['ACTIVE', 'ERROR']);
    expect(await source.query(`SELECT status FROM claims ORDER BY status`)).toEqual([
      { status: 'allocated' },
      { status: 'releasing' },
    ]);
    const pending = await source.driver.createSchemaBuilder().log();
    expect(pending.upQueries.map((query) => query.query)).toEqual([]);
  });
});
