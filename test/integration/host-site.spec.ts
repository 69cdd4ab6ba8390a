import { randomUUID } from 'node:crypto';
import type { DataSource } from 'typeorm';
import { describe, expect, it } from 'vitest';
import { ComputeSites1764640000000 } from '../../migrations/1764640000000-compute-sites.js';
import { HostSite1763800000000 } from '../../migrations/1763800000000-host-site.js';
import type { WireHostFacts } from '../../src/messages/bodies.js';
import { applyPlacement } from '../../src/placement/apply-placement.js';
import { place } from '../../src/placement/place.js';
import type { PlacementRequest, ServerGroupWish } from '../../src/placement/request.js';
import type { HostSnapshot } from '../../src/placement/snapshot.js';
import * as aggregates from '../../src/store/aggregates.store.js';
import {
  beginRelease,
  confirmClaims,
  finishRelease,
  lockClaim,
  tryElsewhere,
  type LockedClaim,
} from '../../src/store/claim-outcomes.store.js';
import { commitDecisions, readWaitingServers, type CommitResult } from '../../src/store/claims.store.js';
import type { Tx } from '../../src/store/database.js';
import { changeHost } from '../../src/store/host-admin.store.js';
import { absorbReport } from '../../src/store/inventory.store.js';
import { deleteServerGroup, insertServerGroup } from '../../src/store/server-groups.store.js';
import { insertServers } from '../../src/store/servers.store.js';
import { SnapshotCache } from '../../src/store/snapshot.store.js';
import { onLedger } from '../support/ledger.js';
import { aReport } from '../support/reports.js';
import { aRequest, POLICY, wants } from '../support/snapshots.js';

let source: DataSource;
let cache: SnapshotCache;

onLedger((opened) => {
  source = opened;
  cache = new SnapshotCache(opened);
});

const GROUPED = {
  ...POLICY,
  filters: ['ServerGroupAffinityFilter', 'ServerGroupAntiAffinityFilter', ...POLICY.filters],
};
const GPU = wants('gpu', 1, '10de:1bb0');

/** A host of two GPUs; what is added to its facts leaves out what agents may leave out. */
async function report(host: string, more: Partial<WireHostFacts> = {}, sequence = 1): Promise<void> {
  const devices = ['83', '84'].map((bus) => ({ address: `0000:${bus}:00.0`, ids: '10de:1bb0' }));
  const body = aReport({ host, devices, sequence });
  await write((tx) => absorbReport(tx, { ...body, facts: { ...body.facts, ...more } }));
}

function write<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
  return source.transaction(work);
}

async function hostId(name: string): Promise<string> {
  const [row] = (await source.query(`SELECT id FROM hosts WHERE name = $1`, [name])) as { id: string }[];
  return row?.id ?? '';
}

async function aggregate(name: string, zone: string | null, hosts: readonly string[], metadata = {}): Promise<string> {
  const id = randomUUID();
  await write((tx) => aggregates.insertAggregate(tx, id, { name, availability_zone: zone, metadata }));
  for (const host of hosts) {
    const member = await hostId(host);
    await write((tx) => aggregates.addAggregateHost(tx, id, member));
    await write((tx) => aggregates.raiseGenerations(tx, [member]));
  }
  return id;
}

async function group(policy: ServerGroupWish['policy'], maxServerPerHost = 1): Promise<ServerGroupWish> {
  const id = randomUUID();
  const row = {
    id,
    name: 'db',
    project_id: 'default',
    user_id: 'admin',
    policy,
    max_server_per_host: maxServerPerHost,
  };
  await write((tx) => insertServerGroup(tx, row));
  return { id, name: 'db', policy, maxServerPerHost };
}

async function server(more: Partial<PlacementRequest>): Promise<string> {
  const id = randomUUID();
  const request = aRequest([], { serverName: id.slice(0, 8), ...more });
  await write((tx) => insertServers(tx, [{ id, flavor: null, request, waits: false, gang: null }]));
  return id;
}

/** Decides on what the cache has; the commit comes later. */
async function decide(id: string, from: SnapshotCache): Promise<() => Promise<CommitResult>> {
  const [waiting] = await readWaitingServers(source.manager, [id]);
  if (!waiting) throw new Error('the server does not wait');
  const decision = place({ hosts: from.list(), policy: GROUPED }, waiting.request, waiting.excludedHosts);
  return () => write((tx) => commitDecisions(tx, [{ server: waiting, decision }], 60_000));
}

async function placed(more: Partial<PlacementRequest>): Promise<string> {
  const id = await server(more);
  await cache.refresh();
  const commit = await decide(id, cache);
  expect(await commit()).toMatchObject({ committed: [id] });
  return id;
}

async function onClaimOf(serverId: string, work: (tx: Tx, claim: LockedClaim) => Promise<void>): Promise<void> {
  const [row] = (await source.query(
    `SELECT id FROM claims WHERE server_id = $1 AND status <> 'released' ORDER BY created_at DESC LIMIT 1`,
    [serverId],
  )) as { id: string }[];
  await write(async (tx) => {
    const claim = await lockClaim(tx, row?.id ?? '');
    if (claim) await work(tx, claim);
  });
}

async function seen(name: string): Promise<HostSnapshot> {
  await cache.refresh();
  const host = cache.list().find((known) => known.name === name);
  if (!host) throw new Error(`no host ${name}`);
  return host;
}

describe('what a snapshot has of a host beside its devices', () => {
  it('is nothing where nobody has said anything', async () => {
    await report('a');
    expect(await seen('a')).toMatchObject({
      reserved: { vcpus: 0, memoryMb: 0, diskGb: 0 },
      allocationRatios: null,
      servers: [],
      used: { vcpus: 0, memoryMb: 0, diskGb: 0 },
      availabilityZone: 'nova',
      aggregates: [],
      traits: [],
      capabilities: { architecture: null, hypervisorType: null, hypervisorVersion: null, cpuFeatures: [] },
      failedBuilds: 0,
    });
  });

  it('keeps where the host is and when it booted, as long as its agent says so', async () => {
    const kept = async () => (await source.query(`SELECT ip_address, booted_at FROM hosts WHERE name = 'a'`))[0];
    await report('a', { ip_address: '192.0.2.7', booted_at: '2026-01-01T00:00:00.000Z' });
    expect(await kept()).toEqual({ ip_address: '192.0.2.7', booted_at: new Date('2026-01-01T00:00:00Z') });
    await report('a', {}, 2);
    expect(await kept()).toEqual({ ip_address: null, booted_at: null });
  });

  it('a host that an administrator says is down is down, whatever its agent reports', async () => {
    await report('a');
    const id = await hostId('a');
    await write((tx) => changeHost(tx, id, { forcedDown: true }));
    expect(await seen('a')).toMatchObject({ status: 'down' });
    await report('a', {}, 2);
    expect(await seen('a')).toMatchObject({ status: 'down' });
    await write((tx) => changeHost(tx, id, { forcedDown: false }));
    expect(await seen('a')).toMatchObject({ status: 'up' });
  });

  it('is what agent and admin say, the admin first', async () => {
    const capabilities = {
      ...{ architecture: 'x86_64', hypervisor_type: 'QEMU', hypervisor_version: 8_002_000 },
      cpu_features: ['aes', 'vmx'],
    };
    await report('a', { capabilities, reserved: { vcpus: 1, memory_mb: 2, disk_gb: 3 } });
    expect(await seen('a')).toMatchObject({
      reserved: { vcpus: 1, memoryMb: 2, diskGb: 3 },
      capabilities: {
        ...{ architecture: 'x86_64', hypervisorType: 'QEMU', hypervisorVersion: 8_002_000 },
        cpuFeatures: ['aes', 'vmx'],
      },
    });
    const id = await hostId('a');
    const own = { vcpus: 4, memory_mb: 5, disk_gb: 6 };
    const allocationRatios = { cpu: 2.5, ram: 1, disk: 1 };
    await write((tx) => changeHost(tx, id, { traits: ['CUSTOM_A'], reserved: own, allocationRatios }));
    await report('a', { reserved: { vcpus: 7, memory_mb: 8, disk_gb: 9 } }, 2);
    expect(await seen('a')).toMatchObject({
      ...{ traits: ['CUSTOM_A'], allocationRatios },
      reserved: { vcpus: 4, memoryMb: 5, diskGb: 6 },
    });
    await write((tx) => changeHost(tx, id, { reserved: null, allocationRatios: null }));
    expect(await seen('a')).toMatchObject({
      ...{ traits: ['CUSTOM_A'], allocationRatios: null },
      reserved: { vcpus: 7, memoryMb: 8, diskGb: 9 },
    });
  });

  it('are aggregates in name order, held once for all hosts, and the zone of the one that has one', async () => {
    for (const name of ['a', 'b', 'c']) await report(name);
    await aggregate('ssd', null, ['a', 'b'], { ssd: 'true' });
    await aggregate('Room 1', 'room-1', ['a', 'b', 'c']);
    const [a, b, c] = [await seen('a'), await seen('b'), await seen('c')];
    expect(a).toMatchObject({
      availabilityZone: 'room-1',
      aggregates: [
        { name: 'Room 1', metadata: {} },
        { name: 'ssd', metadata: { ssd: 'true' } },
      ],
    });
    expect(b.aggregates).toBe(a.aggregates);
    expect(c).toMatchObject({ availabilityZone: 'room-1', aggregates: [{ name: 'Room 1' }] });
    expect(c.aggregates[0]).toBe(a.aggregates[0]);
  });

  it('are its servers, settled only while they are at rest there', async () => {
    await report('a');
    const wish = await group('soft-affinity');
    const id = await placed({
      ...{ devices: [GPU], vcpus: 4, memoryMb: 8192, diskGb: 10, projectId: 'p', priority: 7, preemptible: true },
      ...{ guestCells: [{ vcpus: 4, memoryMb: 8192 }], cpuPolicy: 'dedicated', host: { group: wish } },
    });
    const plain = await placed({ vcpus: 2, memoryMb: 512 });
    const whole = {
      ...{ id, projectId: 'p', vcpus: 4, memoryMb: 8192, diskGb: 10, numaCells: [0], cpuPolicy: 'dedicated' },
      guestCells: [{ vcpus: 4, memoryMb: 8192 }],
      ...{ groupId: wish.id, priority: 7, preemptible: true, settled: false },
    };
    const beside = { id: plain, numaCells: null, guestCells: null, cpuPolicy: 'shared', groupId: null, settled: true };
    const inOrder = (ofWhole: object): object[] =>
      [{ ...whole, ...ofWhole }, beside].sort((x, y) => ((x as { id: string }).id < (y as { id: string }).id ? -1 : 1));
    const host = await seen('a');
    expect(host.servers).toMatchObject(inOrder({}));
    expect(host.used).toEqual({ vcpus: 6, memoryMb: 8704, diskGb: 10 });
    await onClaimOf(id, (tx, claim) => confirmClaims(tx, [{ claim, bindings: [] }]));
    expect((await seen('a')).servers).toMatchObject(inOrder({ settled: true }));
    await source.query(`UPDATE servers SET status = 'DELETING' WHERE id = $1`, [id]);
    await onClaimOf(id, beginRelease);
    await cache.revert([await hostId('a')]);
    expect((await seen('a')).servers).toMatchObject(inOrder({ settled: false }));
    await onClaimOf(id, finishRelease);
    const after = await seen('a');
    expect(after.servers).toMatchObject([beside]);
    expect(after.used).toEqual({ vcpus: 2, memoryMb: 512, diskGb: 0 });
  });

  it('are servers with CPUs of their own, each on the node that it was put on', async () => {
    await report('a');
    const pinned = await placed({ cpuPolicy: 'dedicated', vcpus: 2 });
    const roaming = await placed({ devices: [GPU] });
    const nodes = (await seen('a')).servers.map(({ id, numaCells }) => [id, numaCells]);
    // the GPUs are on node 0
    expect(Object.fromEntries(nodes)).toEqual({ [pinned]: [1], [roaming]: null });
  });

  it('is what the decision before made of it: what is put ahead of a commit is what the ledger says after it', async () => {
    await report('a', { reserved: { vcpus: 1, memory_mb: 2, disk_gb: 3 } });
    await aggregate('ssd', 'room-1', ['a'], { ssd: 'true' });
    const wish = await group('anti-affinity', 3);
    await placed({ devices: [GPU] });
    const id = await server({
      ...{ devices: [GPU], guestCells: [{ vcpus: 2, memoryMb: 512 }], vcpus: 2, host: { group: wish }, priority: -3 },
      ...{ cpuPolicy: 'dedicated', preemptible: true },
    });
    await cache.refresh();
    const [waiting] = await readWaitingServers(source.manager, [id]);
    if (!waiting) throw new Error('the server does not wait');
    const decision = place({ hosts: cache.list(), policy: GROUPED }, waiting.request, []);
    if (decision.outcome !== 'placed') throw new Error(decision.message);
    const owner = { serverId: id, serverName: waiting.name };
    const ahead = applyPlacement(await seen('a'), decision, waiting.request, owner);
    await write((tx) => commitDecisions(tx, [{ server: waiting, decision }], 60_000));
    const fresh = new SnapshotCache(source);
    await fresh.refresh();
    expect(fresh.list()).toEqual([ahead]);
  });

  it('is how many builds failed in a row; losing a race is none', async () => {
    await report('a');
    await report('b');
    const id = await placed({ devices: [GPU] });
    const first = (await seen('a')).servers.length > 0 ? 'a' : 'b';
    const fault = { code: 'binding.failed', message: 'no', details: {} };
    await onClaimOf(id, async (tx, claim) => {
      await finishRelease(tx, claim);
      await tryElsewhere(tx, claim, fault, 5);
    });
    expect((await seen(first)).failedBuilds).toBe(1);
    await cache.refresh();
    const stale = await decide(id, cache);
    await write((tx) =>
      aggregates.raiseGenerations(
        tx,
        cache.list().map((host) => host.id),
      ),
    );
    expect(await stale()).toMatchObject({ committed: [], conflicts: [id] });
    expect((await seen('a')).failedBuilds + (await seen('b')).failedBuilds).toBe(1);
    const other = await server({ devices: [GPU] });
    await source.query(`UPDATE hosts SET enabled = (name = $1), generation = generation + 1`, [first]);
    const fresh = new SnapshotCache(source);
    await fresh.refresh();
    await (
      await decide(other, fresh)
    )();
    await onClaimOf(other, (tx, claim) => confirmClaims(tx, [{ claim, bindings: [] }]));
    expect((await seen(first)).failedBuilds).toBe(0);
  });
});

describe('server groups', () => {
  it('with affinity: who was decided on another host at the same time looks again, and follows', async () => {
    for (const name of ['a', 'b']) await report(name);
    const wish = await group('affinity');
    const [first, second] = [await server({ host: { group: wish } }), await server({ host: { group: wish } })];
    const [one, two] = [new SnapshotCache(source), new SnapshotCache(source)];
    await Promise.all([one.refresh(), two.refresh()]);
    const only = (from: SnapshotCache, name: string): SnapshotCache => {
      for (const host of from.list()) if (host.name !== name) from.put({ ...host, enabled: false });
      return from;
    };
    const [commitFirst, commitSecond] = [await decide(first, only(one, 'a')), await decide(second, only(two, 'b'))];
    expect(await commitFirst()).toMatchObject({ committed: [first] });
    expect(await commitSecond()).toMatchObject({ committed: [], conflicts: [second], staleHosts: [await hostId('b')] });
    await cache.refresh();
    expect(await (await decide(second, cache))()).toMatchObject({ committed: [second] });
    expect(await source.query(`SELECT DISTINCT host_id FROM servers`)).toEqual([{ host_id: await hostId('a') }]);
  });

  it('with affinity: of two commits at once, one waits and sees the other', async () => {
    for (const name of ['a', 'b']) await report(name);
    const wish = await group('affinity');
    const ids = [await server({ host: { group: wish } }), await server({ host: { group: wish } })];
    await cache.refresh();
    const commits = await Promise.all(
      ids.map(async (id, index) => {
        const [waiting] = await readWaitingServers(source.manager, [id]);
        if (!waiting) throw new Error('the server does not wait');
        const hosts = cache.list().slice(index, index + 1);
        const decision = place({ hosts, policy: GROUPED }, waiting.request, []);
        return () => write((tx) => commitDecisions(tx, [{ server: waiting, decision }], 60_000));
      }),
    );
    const results = await Promise.all(commits.map((commit) => commit()));
    expect(results.map(({ committed }) => committed.length).sort()).toEqual([0, 1]);
    expect(results.flatMap(({ conflicts }) => conflicts)).toHaveLength(1);
  });

  it('with anti-affinity, two to a host: a batch goes by the members that it places itself', async () => {
    await report('a');
    const wish = await group('anti-affinity', 2);
    const ids = [];
    for (let index = 0; index < 3; index++) ids.push(await server({ host: { group: wish } }));
    await cache.refresh();
    const waiting = await readWaitingServers(source.manager, ids);
    // as if each had been decided without the others
    const decided = waiting.map((one) => ({
      server: one,
      decision: place({ hosts: cache.list(), policy: GROUPED }, one.request, []),
    }));
    const result = await write((tx) => commitDecisions(tx, decided, 60_000));
    expect(result.conflicts.length).toBeGreaterThan(0);
    const [{ members }] = (await source.query(`SELECT count(*)::int AS members FROM claims`)) as [{ members: number }];
    expect(members).toBeLessThanOrEqual(2);
  });

  it('a server that was sent elsewhere keeps nobody with it where it was', async () => {
    for (const name of ['a', 'b']) await report(name);
    const wish = await group('affinity');
    const id = await placed({ devices: [GPU], host: { group: wish } });
    await onClaimOf(id, async (tx, claim) => {
      await beginRelease(tx, claim);
      await tryElsewhere(tx, claim, { code: 'claim.expired', message: 'late', details: {} }, 5);
    });
    await cache.refresh();
    expect(cache.list().flatMap(({ servers }) => servers.map(({ groupId }) => groupId))).toEqual([null]);
    expect(await (await decide(id, cache))()).toMatchObject({ committed: [id] });
  });

  it('that are deleted leave their servers, which belong to none then', async () => {
    await report('a');
    const wish = await group('anti-affinity');
    await placed({ host: { group: wish } });
    const before = await seen('a');
    expect(before.servers).toMatchObject([{ groupId: wish.id }]);
    expect(await write((tx) => deleteServerGroup(tx, wish.id))).toBe(true);
    const after = await seen('a');
    expect(after.servers).toMatchObject([{ groupId: null }]);
    expect(after.generation).toBeGreaterThan(before.generation);
    expect(await write((tx) => deleteServerGroup(tx, wish.id))).toBe(false);
  });
});

describe('the migration', () => {
  it('can be undone and made again', async () => {
    await report('a');
    const migration = new HostSite1763800000000();
    const later = new ComputeSites1764640000000();
    const runner = source.createQueryRunner();
    try {
      await runner.startTransaction();
      await later.down(runner);
      await migration.down(runner);
      const gone = await runner.query(`SELECT to_regclass('aggregates') AS a, to_regclass('server_groups') AS g`);
      expect(gone).toEqual([{ a: null, g: null }]);
      await migration.up(runner);
      await later.up(runner);
      await runner.commitTransaction();
    } finally {
      if (runner.isTransactionActive) await runner.rollbackTransaction();
      await runner.release();
    }
    expect(await seen('a')).toMatchObject({ traits: [], failedBuilds: 0 });
    const pending = await source.driver.createSchemaBuilder().log();
    expect(pending.upQueries.map((query) => query.query)).toEqual([]);
  });
});
