import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { DataSource } from 'typeorm';
import { envelope } from '../../src/messages/envelope.js';
import type { AgentReport } from '../../src/messages/bodies.js';
import { applyPlacement } from '../../src/placement/apply-placement.js';
import { place } from '../../src/placement/place.js';
import type { DeviceRequest } from '../../src/placement/request.js';
import {
  commitDecisions,
  readWaitingServers,
  type CommitResult,
  type DecidedServer,
} from '../../src/store/claims.store.js';
import {
  beginRelease,
  confirmClaims,
  finishRelease,
  lockClaim,
  tryElsewhere,
} from '../../src/store/claim-outcomes.store.js';
import { absorbReport, absorbReports } from '../../src/store/inventory.store.js';
import { addToOutbox, takeFromOutbox } from '../../src/store/outbox.store.js';
import { SnapshotCache } from '../../src/store/snapshot.store.js';
import { onLedger } from '../support/ledger.js';
import { aReport, type ReportSketch } from '../support/reports.js';
import { aRequest, POLICY, wants } from '../support/snapshots.js';

let source: DataSource;
let cache: SnapshotCache;

onLedger((opened) => {
  source = opened;
  cache = new SnapshotCache(opened);
});

const TWO_GPUS: ReportSketch = {
  host: 'node-1',
  devices: [
    { address: '0000:83:00.0', ids: '10de:1bb0' },
    { address: '0000:84:00.0', ids: '10de:1bb0' },
  ],
};

async function report(sketch: ReportSketch): Promise<AgentReport> {
  const body = aReport(sketch);
  await source.transaction((tx) => absorbReport(tx, body));
  return body;
}

async function server(name: string, devices: readonly DeviceRequest[]): Promise<string> {
  const id = randomUUID();
  await source.query(
    `INSERT INTO servers (id, name, project_id, status, task_state, request) VALUES ($1, $2, 'default', 'BUILD', 'scheduling', $3)`,
    [id, name, JSON.stringify(aRequest(devices, { serverName: name }))],
  );
  return id;
}

/** Decides on the cache as it is, and commits. */
async function decideAndCommit(ids: readonly string[], from = cache): Promise<CommitResult> {
  const servers = await readWaitingServers(source.manager, ids);
  const decided: DecidedServer[] = servers.map((waiting) => {
    const decision = place({ hosts: from.list(), policy: POLICY }, waiting.request, waiting.excludedHosts);
    if (decision.outcome === 'placed') {
      const owner = { serverId: waiting.id, serverName: waiting.name };
      const host = from.get(decision.hostId);
      if (host) from.put(applyPlacement(host, decision, waiting.request, owner));
    }
    return { server: waiting, decision };
  });
  return source.transaction((tx) => commitDecisions(tx, decided, 60_000));
}

async function statuses(): Promise<Record<string, string>> {
  const rows = (await source.query('SELECT address, status FROM devices ORDER BY address')) as {
    address: string;
    status: string;
  }[];
  return Object.fromEntries(rows.map((row) => [row.address.slice(5), row.status]));
}

const gpu = (count: number): DeviceRequest => wants('gpu', count, '10de:1bb0');

async function claimOf(serverId: string): Promise<string> {
  const [row] = (await source.query(`SELECT id FROM claims WHERE server_id = $1 ORDER BY created_at DESC LIMIT 1`, [
    serverId,
  ])) as { id: string }[];
  return row?.id ?? '';
}

describe('schema', () => {
  it('agrees with the entities to the letter', async () => {
    const pending = await source.driver.createSchemaBuilder().log();
    expect(pending.upQueries.map((query) => query.query)).toEqual([]);
  });
});

describe('one device, one owner', () => {
  it('is a constraint of the database: the second of two connections is refused', async () => {
    await report(TWO_GPUS);
    const [device] = (await source.query('SELECT id, host_id FROM devices ORDER BY address LIMIT 1')) as [
      { id: string; host_id: string },
    ];
    const claims = [await server('a', [gpu(1)]), await server('b', [gpu(1)])].map((id) => ({
      id: randomUUID(),
      serverId: id,
    }));
    for (const claim of claims) {
      await source.query(
        `INSERT INTO claims (id, server_id, host_id, attempt, status, vcpus, memory_mb, disk_gb)
         VALUES ($1, $2, $3, 1, 'claimed', 0, 0, 0)`,
        [claim.id, claim.serverId, device.host_id],
      );
    }
    const first = source.createQueryRunner();
    const second = source.createQueryRunner();
    const insert = `INSERT INTO allocations (id, claim_id, server_id, device_id) VALUES (gen_random_uuid(), $1, $2, $3)`;
    try {
      await first.startTransaction();
      await second.startTransaction();
      await first.query(insert, [claims[0]?.id, claims[0]?.serverId, device.id]);
      const late = second.query(insert, [claims[1]?.id, claims[1]?.serverId, device.id]);
      late.catch(() => undefined); // it waits for the first one's end; judged below
      await first.commitTransaction();
      await expect(late).rejects.toMatchObject({ code: '23505', constraint: 'allocations_one_live_owner_per_device' });
    } finally {
      await second.rollbackTransaction();
      await Promise.all([first.release(), second.release()]);
    }
  });

  it('a decision on an old generation is a conflict, and nothing of it is written', async () => {
    await report(TWO_GPUS);
    const stale = new SnapshotCache(source);
    await Promise.all([cache.refresh(), stale.refresh()]);
    const [a, b, c] = [await server('a', [gpu(2)]), await server('b', [gpu(1)]), await server('c', [gpu(3)])];
    expect(await decideAndCommit([a])).toEqual({ committed: [a], conflicts: [], staleHosts: [], refused: [] });
    const late = await decideAndCommit([b, c], stale);
    expect(late).toMatchObject({ committed: [], conflicts: [b, c] });
    expect(late.staleHosts).toHaveLength(1);
    expect(await source.query('SELECT 1 FROM allocations')).toHaveLength(2);
    await stale.revert(late.staleHosts);
    expect(await decideAndCommit([b, c], stale)).toMatchObject({ committed: [b, c], conflicts: [] });
    const [row] = (await source.query('SELECT status, fault FROM servers WHERE id = $1', [b])) as [
      { status: string; fault: { message: string } },
    ];
    expect(row.status).toBe('ERROR');
    expect(row.fault.message).toContain('2 devices of alias gpu, both in use');
  });

  it('holds when sixteen schedulers race for the same devices', async () => {
    const devices = Array.from({ length: 8 }, (_unused, index) => ({
      address: `0000:8${index}:00.0`,
      ids: '10de:1bb0',
    }));
    await report({ host: 'node-1', devices });
    const servers = await Promise.all(Array.from({ length: 16 }, (_unused, index) => server(`vm-${index}`, [gpu(1)])));
    await Promise.all(
      servers.map(async (id) => {
        const own = new SnapshotCache(source);
        for (let round = 0; round < 60; round++) {
          await own.refresh();
          const { conflicts, staleHosts } = await decideAndCommit([id], own);
          if (conflicts.length === 0) return;
          await own.revert(staleHosts);
        }
      }),
    );
    const [counts] = (await source.query(
      `SELECT (SELECT count(*) FROM allocations) AS allocations, (SELECT count(DISTINCT device_id) FROM allocations) AS devices,
              (SELECT count(*) FROM servers WHERE status = 'ERROR') AS refused`,
    )) as [Record<string, number>];
    expect(counts).toEqual({ allocations: 8, devices: 8, refused: 8 });
  });
});

describe('claims', () => {
  const bindings = [{ address: '0000:83:00.0', driver: 'vfio-pci', original_driver: 'nvidia', iommu_group: 1 }];

  it('claimed, confirmed, released: the device is free again and the server gone', async () => {
    await report(TWO_GPUS);
    await cache.refresh();
    const id = await server('a', [gpu(1)]);
    await decideAndCommit([id]);
    expect(await statuses()).toEqual({ '83:00.0': 'claimed', '84:00.0': 'available' });
    const claimId = await claimOf(id);
    await source.transaction(async (tx) => {
      const claim = await lockClaim(tx, claimId);
      if (claim) await confirmClaims(tx, [{ claim, bindings }]);
    });
    expect(await statuses()).toEqual({ '83:00.0': 'allocated', '84:00.0': 'available' });
    await source.query(`UPDATE servers SET status = 'DELETING' WHERE id = $1`, [id]);
    await source.transaction(async (tx) => {
      const claim = await lockClaim(tx, claimId);
      if (claim) await beginRelease(tx, claim);
    });
    expect(await statuses()).toEqual({ '83:00.0': 'allocated', '84:00.0': 'available' });
    await source.transaction(async (tx) => {
      const claim = await lockClaim(tx, claimId);
      if (claim) await finishRelease(tx, claim);
    });
    expect(await statuses()).toEqual({ '83:00.0': 'available', '84:00.0': 'available' });
    expect(await source.query('SELECT status FROM servers')).toEqual([{ status: 'DELETED' }]);
    const queued = await source.transaction((tx) => takeFromOutbox(tx, 10));
    expect(queued.map((line) => [line.queue, line.message.type])).toEqual([
      ['berth.agent.node-1', 'devices.prepare'],
      ['berth.agent.node-1', 'devices.release'],
    ]);
  });

  it('a VF makes its PF unavailable until the last VF is freed', async () => {
    await report({
      host: 'node-1',
      devices: [
        { address: '0000:05:00.0', ids: '8086:1572', deviceType: 'type-PF' },
        { address: '0000:05:02.0', ids: '8086:154c', deviceType: 'type-VF', parentAddress: '0000:05:00.0' },
        { address: '0000:05:02.1', ids: '8086:154c', deviceType: 'type-VF', parentAddress: '0000:05:00.0' },
      ],
    });
    await cache.refresh();
    const vf = wants('vf', 1, '8086:154c', { deviceType: 'type-VF' });
    const pf = wants('pf', 1, '8086:1572', { deviceType: 'type-PF' });
    const [a, b, c] = [await server('a', [vf]), await server('b', [vf]), await server('c', [pf])];
    await decideAndCommit([a, b, c]);
    expect(await statuses()).toEqual({ '05:00.0': 'unclaimable', '05:02.0': 'claimed', '05:02.1': 'claimed' });
    const [refused] = (await source.query(`SELECT fault->>'message' AS message FROM servers WHERE id = $1`, [c])) as [
      { message: string },
    ];
    expect(refused.message).toContain('2 of its VFs are in use');
    for (const id of [a, b]) {
      const claimId = await claimOf(id);
      await source.transaction(async (tx) => {
        const claim = await lockClaim(tx, claimId);
        if (claim) await finishRelease(tx, claim);
      });
    }
    expect(await statuses()).toEqual({ '05:00.0': 'available', '05:02.0': 'available', '05:02.1': 'available' });
  });

  it('names the PF that is out when its VFs are gone with it', async () => {
    const pf = { address: '0000:05:00.0', ids: '8086:1572', deviceType: 'type-PF' } as const;
    const vf = { address: '0000:05:02.0', ids: '8086:154c', deviceType: 'type-VF', parentAddress: pf.address } as const;
    await report({ host: 'node-1', devices: [pf, vf] });
    await cache.refresh();
    const owner = await server('pf-vm', [wants('pf', 1, pf.ids, { deviceType: 'type-PF' })]);
    await decideAndCommit([owner]);
    await report({ host: 'node-1', devices: [pf], sequence: 2 });
    expect(await statuses()).toEqual({ '05:00.0': 'claimed', '05:02.0': 'removed' });
    await cache.refresh();
    const wish = aRequest([wants('vf', 1, vf.ids, { deviceType: 'type-VF' })]);
    const refused = place({ hosts: cache.list(), policy: POLICY }, wish, []);
    expect(refused).toMatchObject({ message: expect.stringContaining('blocked: its PF is in use') });
    const claimId = await claimOf(owner);
    await source.transaction(async (tx) => {
      const claim = await lockClaim(tx, claimId);
      if (claim) await finishRelease(tx, claim);
    });
    await report({ host: 'node-1', devices: [pf, vf], sequence: 3 });
    expect(await statuses()).toEqual({ '05:00.0': 'available', '05:02.0': 'available' });
    await cache.refresh();
    expect(place({ hosts: cache.list(), policy: POLICY }, wish, [])).toMatchObject({ outcome: 'placed' });
  });

  it('a failed host is not tried again, and after the last attempt the server ends in ERROR', async () => {
    await report(TWO_GPUS);
    const id = await server('a', [gpu(1)]);
    for (let attempt = 1; attempt <= 2; attempt++) {
      await cache.refresh();
      await decideAndCommit([id]);
      const claimId = await claimOf(id);
      await source.transaction(async (tx) => {
        const claim = await lockClaim(tx, claimId);
        if (!claim || claim.status !== 'claimed') return;
        await finishRelease(tx, claim);
        await tryElsewhere(tx, claim, { code: 'binding.failed', message: 'EBUSY', details: {} }, 3);
      });
    }
    const [row] = (await source.query(`SELECT status, fault FROM servers`)) as [
      { status: string; fault: { message: string } },
    ];
    expect(row.status).toBe('ERROR');
    expect(row.fault.message).toContain('tried before, and failed there');
    expect(JSON.stringify(row.fault)).toContain('tried before: EBUSY');
    expect(await statuses()).toEqual({ '83:00.0': 'available', '84:00.0': 'available' });
  });
});

describe('reports', () => {
  it('the same report twice changes nothing; an older epoch or sequence is ignored', async () => {
    const body = await report(TWO_GPUS);
    const absorb = (more: Partial<AgentReport>) => source.transaction((tx) => absorbReport(tx, { ...body, ...more }));
    const again = await absorb({});
    expect(again).toMatchObject({ reconciliation: { added: [], changed: [], returned: [], vanished: [] } });
    expect(await absorb({ epoch: body.epoch - 1 })).toEqual({ outcome: 'ignored', why: 'stale_epoch' });
    await absorb({ sequence: 5 });
    expect(await absorb({ sequence: 4 })).toEqual({ outcome: 'ignored', why: 'stale_sequence' });
  });

  it('of several hosts at once are taken in as each alone would be', async () => {
    await report(TWO_GPUS);
    await cache.refresh();
    await decideAndCommit([await server('a', [gpu(2)])]);
    await report({ ...TWO_GPUS, host: 'node-2', sequence: 7 });
    const sketches = [
      { ...TWO_GPUS, host: 'node-4' },
      { host: 'node-1', devices: [{ address: '0000:83:00.0', ids: '1002:738c' }], sequence: 2 },
      { ...TWO_GPUS, host: 'node-2', sequence: 6, devices: [] },
      { host: 'node-3', devices: [] },
    ];
    const absorbed = await source.transaction((tx) => absorbReports(tx, sketches.map(aReport)));
    expect(absorbed.get('node-2')).toEqual({ outcome: 'ignored', why: 'stale_sequence' });
    expect(absorbed.get('node-4')).toMatchObject({ reconciliation: { added: [{}, {}], vanished: [] } });
    expect(absorbed.get('node-1')).toMatchObject({
      reconciliation: { added: [], changed: [{}], vanished: [{ address: '0000:84:00.0', inUse: true }] },
    });
    const rows = await source.query(
      `SELECT h.name, h.report_sequence::int AS sequence, substr(d.address, 6, 2) AS bus, d.status, d.vendor_id AS vendor,
              d.pending_facts->>'vendor_id' AS pending, d.missing_since IS NOT NULL AS missing
         FROM hosts h LEFT JOIN devices d ON d.host_id = h.id ORDER BY h.name, d.address`,
    );
    const free = { status: 'available', vendor: '10de', pending: null, missing: false };
    expect(rows).toEqual([
      { name: 'node-1', sequence: 2, bus: '83', status: 'claimed', vendor: '10de', pending: '1002', missing: false },
      { name: 'node-1', sequence: 2, bus: '84', status: 'claimed', vendor: '10de', pending: null, missing: true },
      { name: 'node-2', sequence: 7, bus: '83', ...free },
      { name: 'node-2', sequence: 7, bus: '84', ...free },
      { name: 'node-3', sequence: 1, bus: null, status: null, vendor: null, pending: null, missing: false },
      { name: 'node-4', sequence: 1, bus: '83', ...free },
      { name: 'node-4', sequence: 1, bus: '84', ...free },
    ]);
  });

  it('a vanished device in use keeps its allocation, a free one is removed, and both return', async () => {
    await report(TWO_GPUS);
    await cache.refresh();
    const id = await server('a', [gpu(1)]);
    await decideAndCommit([id]);
    await report({ ...TWO_GPUS, devices: [], sequence: 2 });
    expect(await statuses()).toEqual({ '83:00.0': 'claimed', '84:00.0': 'removed' });
    await cache.refresh();
    expect(cache.list()[0]?.devices.map((device) => [device.address, device.missing])).toEqual([
      ['0000:83:00.0', true],
    ]);
    await report({ ...TWO_GPUS, sequence: 3 });
    expect(await statuses()).toEqual({ '83:00.0': 'claimed', '84:00.0': 'available' });
    await cache.refresh();
    expect(cache.list()[0]?.devices.map((device) => device.missing)).toEqual([false, false]);
  });

  it('another card at the address of a device in use waits until that is freed', async () => {
    await report(TWO_GPUS);
    await cache.refresh();
    const id = await server('a', [gpu(1)]);
    await decideAndCommit([id]);
    await report({ host: 'node-1', devices: [{ address: '0000:83:00.0', ids: '1002:738c' }], sequence: 2 });
    const vendor = async (): Promise<unknown> =>
      source.query(`SELECT vendor_id FROM devices WHERE address = '0000:83:00.0'`);
    expect(await vendor()).toEqual([{ vendor_id: '10de' }]);
    const claimId = await claimOf(id);
    await source.transaction(async (tx) => {
      const claim = await lockClaim(tx, claimId);
      if (claim) await finishRelease(tx, claim);
    });
    expect(await vendor()).toEqual([{ vendor_id: '1002' }]);
  });
});

describe('outbox', () => {
  it('lines come back when their transaction fails, and two relays never take the same', async () => {
    const message = envelope('server.requested', { server_id: randomUUID() });
    await source.transaction((tx) =>
      addToOutbox(
        tx,
        Array.from({ length: 10 }, () => ({ queue: 'q', message })),
      ),
    );
    await source
      .transaction(async (tx) => {
        await takeFromOutbox(tx, 5);
        throw new Error('broker gone');
      })
      .catch(() => undefined);
    const taken = await Promise.all([1, 2].map(() => source.transaction((tx) => takeFromOutbox(tx, 5))));
    const ids = taken.flat().map((line) => line.id);
    expect(ids).toHaveLength(10);
    expect(new Set(ids).size).toBe(10);
  });
});
