import { randomUUID } from 'node:crypto';
import type { DataSource } from 'typeorm';
import { describe, expect, it } from 'vitest';
import { DeviceStatuses1763700001000 } from '../../migrations/1763700001000-device-statuses.js';
import { place } from '../../src/placement/place.js';
import { commitDecisions, readWaitingServers, type CommitResult } from '../../src/store/claims.store.js';
import { readDeviceStates, writeDeviceStates } from '../../src/store/device-states.store.js';
import { absorbReport } from '../../src/store/inventory.store.js';
import { SnapshotCache } from '../../src/store/snapshot.store.js';
import { onLedger } from '../support/ledger.js';
import { aReport, type ReportSketch } from '../support/reports.js';
import { aRequest, POLICY, wants } from '../support/snapshots.js';

let source: DataSource;

onLedger((opened) => {
  source = opened;
});

const GPUS = ['0000:83:00.0', '0000:84:00.0', '0000:85:00.0'];
const SECOND = '0000:84:00.0';
const THREE_GPUS: ReportSketch = {
  host: 'node-1',
  devices: GPUS.map((address) => ({ address, ids: '10de:1bb0' })),
};

async function report(sketch: ReportSketch): Promise<void> {
  await source.transaction((tx) => absorbReport(tx, aReport(sketch)));
}

async function server(name: string): Promise<string> {
  const id = randomUUID();
  await source.query(
    `INSERT INTO servers (id, name, project_id, status, task_state, request) VALUES ($1, $2, 'default', 'BUILD', 'scheduling', $3)`,
    [id, name, JSON.stringify(aRequest([wants('gpu', 3, '10de:1bb0')], { serverName: name }))],
  );
  return id;
}

/** Decides on the ledger as it is; the commit comes later. */
async function decide(id: string): Promise<() => Promise<CommitResult>> {
  const cache = new SnapshotCache(source);
  await cache.refresh();
  const decided = (await readWaitingServers(source.manager, [id])).map((waiting) => {
    return { server: waiting, decision: place({ hosts: cache.list(), policy: POLICY }, waiting.request, []) };
  });
  expect(decided).toMatchObject([{ decision: { outcome: 'placed', devices: GPUS.map((address) => ({ address })) } }]);
  return () => source.transaction((tx) => commitDecisions(tx, decided, 60_000));
}

/** A claim of another server on the second device, as SQL: what a program that forgets the generation would do. */
async function strangerTakesSecond(run: (sql: string, values: unknown[]) => Promise<unknown>): Promise<void> {
  const [claim, stranger] = [randomUUID(), randomUUID()];
  await run(
    `INSERT INTO servers (id, name, project_id, status, request) VALUES ($1, 'stranger', 'default', 'ACTIVE', '{}')`,
    [stranger],
  );
  await run(
    `INSERT INTO claims (id, server_id, host_id, attempt, status, vcpus, memory_mb, disk_gb)
     SELECT $1, $2, id, 1, 'claimed', 0, 0, 0 FROM (SELECT id FROM hosts FOR UPDATE) h`,
    [claim, stranger],
  );
  await run(
    `INSERT INTO allocations (id, claim_id, server_id, device_id)
     SELECT gen_random_uuid(), $1, $2, id FROM devices WHERE address = $3`,
    [claim, stranger, SECOND],
  );
}

/** Everything that a commit writes for a server or to its host. */
async function tracesOf(id: string): Promise<unknown> {
  const [row] = (await source.query(
    `SELECT to_jsonb(s) AS server,
            (SELECT count(*) FROM claims WHERE server_id = $1) AS claims,
            (SELECT count(*) FROM allocations WHERE server_id = $1) AS allocations,
            (SELECT count(*) FROM decisions WHERE server_id = $1) AS decisions,
            (SELECT count(*) FROM server_events WHERE server_id = $1) AS events,
            (SELECT count(*) FROM outbox) AS outbox,
            (SELECT jsonb_agg(to_jsonb(h)) FROM hosts h) AS hosts,
            (SELECT jsonb_object_agg(address, status) FROM devices WHERE address <> $2) AS others
       FROM servers s WHERE id = $1`,
    [id, SECOND],
  )) as unknown[];
  return row;
}

describe('a claim on three devices of which the second is gone to another', () => {
  const FREE = { '0000:83:00.0': 'available', '0000:85:00.0': 'available' };

  it.each<[string, string, unknown]>([
    ['its status says so', 'claimed', { code: 'device.invalid_status', details: { address: SECOND } }],
    ['only the allocation says so', 'available', { code: 'device.invalid_owner', details: { address: SECOND } }],
  ])('leaves no trace when %s', async (_name, status, expected) => {
    await report(THREE_GPUS);
    const id = await server('late');
    const commit = await decide(id);
    await strangerTakesSecond((sql, values) => source.query(sql, values));
    await source.query(`UPDATE devices SET status = $2 WHERE address = $1`, [SECOND, status]);
    const before = await tracesOf(id);
    expect(before).toMatchObject({ claims: 0, allocations: 0, decisions: 0, events: 0, outbox: 0, others: FREE });
    await expect(commit()).rejects.toMatchObject(expected as object);
    expect(await tracesOf(id)).toEqual(before);
  });

  it('leaves no trace when the other commits at the very last moment', async () => {
    await report(THREE_GPUS);
    const id = await server('late');
    const commit = await decide(id);
    const before = await tracesOf(id);
    const stranger = source.createQueryRunner();
    try {
      await stranger.startTransaction();
      await strangerTakesSecond((sql, values) => stranger.query(sql, values));
      const late = commit();
      late.catch(() => undefined); // judged below
      await untilSomebodyWaits();
      await stranger.commitTransaction();
      // the lock on the host made it wait, and read what the other has written
      await expect(late).rejects.toMatchObject({ code: 'device.invalid_owner', details: { address: SECOND } });
    } finally {
      await stranger.release();
    }
    expect(await tracesOf(id)).toEqual(before);
  });

  it('leaves no trace when the host has changed since the decision', async () => {
    await report(THREE_GPUS);
    const [first, late] = [await server('first'), await server('late')];
    const [commitFirst, commitLate] = [await decide(first), await decide(late)];
    expect(await commitFirst()).toMatchObject({ committed: [first] });
    const before = await tracesOf(late);
    expect(await commitLate()).toMatchObject({ committed: [], conflicts: [late] });
    expect(await tracesOf(late)).toEqual(before);
  });
});

/** Until the commit waits for the stranger's transaction. */
async function untilSomebodyWaits(): Promise<void> {
  for (;;) {
    const waiting = (await source.query(
      `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'transactionid'`,
    )) as unknown[];
    if (waiting.length > 0) return;
  }
}

describe('held devices in the ledger', () => {
  async function apply(event: 'quarantine' | 'repair', address: string): Promise<void> {
    await source.transaction(async (tx) => {
      const [host] = (await tx.query('SELECT id FROM hosts')) as { id: string }[];
      const states = await readDeviceStates(tx, [host?.id ?? '']);
      for (const state of states.values()) state.apply(event, address, null);
      await writeDeviceStates(tx, states.values());
    });
  }

  async function rows(): Promise<unknown> {
    return source.query(
      `SELECT right(address, 7) AS at, status, missing_since IS NOT NULL AS missing FROM devices ORDER BY address`,
    );
  }

  const PF = { address: '0000:05:00.0', ids: '8086:1572', deviceType: 'type-PF' } as const;
  const VF = { address: '0000:05:02.0', ids: '8086:154c', deviceType: 'type-VF', parentAddress: PF.address } as const;

  it('stay held when they are pulled and put back, and are never placed', async () => {
    await report({ host: 'node-1', devices: [PF, VF] });
    await apply('quarantine', PF.address);
    await report({ host: 'node-1', devices: [], sequence: 2 });
    expect(await rows()).toEqual([
      { at: '05:00.0', status: 'quarantined', missing: true },
      { at: '05:02.0', status: 'removed', missing: false },
    ]);
    await report({ host: 'node-1', devices: [PF, VF], sequence: 3 });
    expect(await rows()).toEqual([
      { at: '05:00.0', status: 'quarantined', missing: false },
      { at: '05:02.0', status: 'unclaimable', missing: false },
    ]);
    const cache = new SnapshotCache(source);
    await cache.refresh();
    const decision = place(
      { hosts: cache.list(), policy: POLICY },
      aRequest([wants('vf', 1, VF.ids, { deviceType: 'type-VF' })]),
      [],
    );
    expect(decision).toMatchObject({ outcome: 'rejected', rejections: [{ filter: 'PciPassthroughFilter' }] });
    await apply('repair', PF.address);
    expect(await rows()).toEqual([
      { at: '05:00.0', status: 'available', missing: false },
      { at: '05:02.0', status: 'available', missing: false },
    ]);
  });

  it('are removed by the next report when they are given back while they are missing', async () => {
    await report({ host: 'node-1', devices: [PF] });
    await apply('quarantine', PF.address);
    await report({ host: 'node-1', devices: [], sequence: 2 });
    await apply('repair', PF.address);
    await report({ host: 'node-1', devices: [], sequence: 3 });
    expect(await rows()).toMatchObject([{ at: '05:00.0', status: 'removed' }]);
    await report({ host: 'node-1', devices: [PF], sequence: 4 });
    expect(await rows()).toEqual([{ at: '05:00.0', status: 'available', missing: false }]);
  });

  it('stay out of use when the migration is undone, which then refuses their status', async () => {
    await report(THREE_GPUS);
    await apply('quarantine', SECOND);
    const migration = new DeviceStatuses1763700001000();
    const runner = source.createQueryRunner();
    try {
      await migration.down(runner);
      expect(await rows()).toMatchObject([{ status: 'available' }, { status: 'unavailable' }, { status: 'available' }]);
      await expect(apply('quarantine', GPUS[0] ?? '')).rejects.toMatchObject({ constraint: 'devices_status_check' });
    } finally {
      await migration.up(runner);
      await runner.release();
    }
    await apply('quarantine', GPUS[0] ?? '');
    expect(await rows()).toMatchObject([{ status: 'quarantined' }, { status: 'unavailable' }, { status: 'available' }]);
  });
});
