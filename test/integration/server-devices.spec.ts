import type { DataSource } from 'typeorm';
import { describe, expect, it } from 'vitest';
import type { Ledger } from '../../src/store/ledger.js';
import { Queue1763800002000 } from '../../migrations/1763800002000-queue.js';
import { ClaimsService } from '../../src/scheduler/claims.service.js';
import type { SchedulingService } from '../../src/scheduler/scheduling.service.js';
import { askToAttach } from '../../src/store/attach.store.js';
import { sendRelease } from '../../src/store/claim-outcomes.store.js';
import { readHeldDevices, splitForDetach } from '../../src/store/detach.store.js';
import { nudgeUnfinished } from '../../src/store/unfinished.store.js';
import {
  SETTINGS,
  agentsAnswer,
  ask,
  events,
  gpu,
  hostWithGpus,
  onScheduledLedger,
  remove,
  scheduler,
  show,
  states,
} from '../support/scheduler-world.js';

let source: DataSource;
let ledger: Ledger;

onScheduledLedger((opened) => {
  ({ source, ledger } = opened);
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
          ...{ host: 'node-1', epoch: 1_700_000_000_000, claim_id: claimId, server_id: serverId },
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

  it('that no driver took back are free all the same, and the history tells what to do', async () => {
    await hostWithGpus('node-1', 1);
    const id = await running(scheduler());
    const claims = new ClaimsService(ledger, SETTINGS);
    await source.transaction(async (tx) => {
      await tx.query(`UPDATE servers SET status = 'DELETING' WHERE id = $1`, [id]);
    });
    await claims.serverDeleted(id);
    const [claim] = (await source.query(`SELECT id FROM claims`)) as [{ id: string }];
    const of = { address: '0000:41:00.0', outcome: 'driverless', driver: null } as const;
    await claims.take({
      released: {
        ...{ host: 'node-1', epoch: 1_700_000_000_000, claim_id: claim.id, server_id: id },
        devices: [{ ...of, step: 'bind', errno: 'EIO', remedy: 'load nouveau' }],
      },
    });
    expect((await show(id)).status).toBe('DELETED');
    expect(await deviceStates()).toEqual(['available']);
    const [told] = await source.query(`SELECT message FROM server_events WHERE event = 'released'`);
    expect(told).toEqual({ message: 'Host node-1: 0000:41:00.0 driverless (bind, EIO): load nouveau' });
  });

  it('go with the others when the agent has lost these', async () => {
    await hostWithGpus('node-1', 2);
    const own = scheduler();
    const id = await running(own);
    await attach(own, id, 1);
    await agentsAnswer();
    const [claim] = (await source.query(`SELECT id FROM claims WHERE kind = 'server'`)) as [{ id: string }];
    await new ClaimsService(ledger, SETTINGS).prepareFailed({
      ...{ host: 'node-1', epoch: 1_700_000_000_000, claim_id: claim.id, server_id: id },
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
    const first = source.migrations.findIndex((migration) => migration instanceof Queue1763800002000);
    const undone = source.migrations.slice(first);
    const runner = source.createQueryRunner();
    try {
      await runner.startTransaction();
      for (const migration of undone.toReversed()) await migration.down(runner);
      for (const migration of undone) await migration.up(runner);
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
