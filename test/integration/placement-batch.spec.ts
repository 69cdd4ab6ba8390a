import { randomUUID } from 'node:crypto';
import type { DataSource } from 'typeorm';
import { describe, expect, it } from 'vitest';
import { applyPlacement } from '../../src/placement/apply-placement.js';
import { place } from '../../src/placement/place.js';
import type { DeviceRequest } from '../../src/placement/request.js';
import type { SnapshotDevice } from '../../src/placement/snapshot.js';
import { noteLife } from '../../src/store/agent-lives.store.js';
import { commitDecisions, type DecidedServer } from '../../src/store/claims.store.js';
import { absorbReport } from '../../src/store/inventory.store.js';
import { newId } from '../../src/store/new-id.js';
import { placementBatch, writePlacementBatch } from '../../src/store/placement-batch.store.js';
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

const PF = '0000:05:00.0';
const HOSTS: readonly ReportSketch[] = ['node-1', 'node-2'].map((host) => ({
  host,
  devices: [
    { address: PF, ids: '8086:1572', deviceType: 'type-PF' },
    { address: '0000:05:02.0', ids: '8086:154c', deviceType: 'type-VF', parentAddress: PF },
    { address: '0000:05:02.1', ids: '8086:154c', deviceType: 'type-VF', parentAddress: PF },
    { address: '0000:83:00.0', ids: '10de:1bb0' },
    { address: '0000:84:00.0', ids: '10de:1bb0' },
  ],
}));

const gpu = (count: number): DeviceRequest => wants('gpu', count, '10de:1bb0');
const vf = (count: number): DeviceRequest => wants('vf', count, '8086:154c', { deviceType: 'type-VF' });
const WISHES: readonly (readonly DeviceRequest[])[] = [
  [gpu(1)],
  [vf(1)],
  [gpu(1), vf(1)],
  [],
  [vf(1)],
  [gpu(1)],
  [gpu(2)],
];

async function hosts(): Promise<void> {
  for (const sketch of HOSTS) await source.transaction((tx) => absorbReport(tx, aReport(sketch)));
  await noteLife(source.manager, { host: 'node-2', epoch: 1e15, incarnation: randomUUID() });
  await cache.refresh();
}

/** Decides, each on the hosts as those before it leave them. */
function decide(wishes = WISHES, keyOf = (index: number): string | null => `key-${index}`): DecidedServer[] {
  return wishes.map((devices, index) => {
    const request = aRequest(devices, { vcpus: 1 });
    const server = {
      ...{
        id: newId(),
        name: `it's "${index}"`,
        attempts: 0,
        request,
        excludedHosts: [],
        taskState: 'scheduling' as const,
      },
      ...{ gang: null, waits: false, rank: 0, waitedMs: 0 },
      placement: { key: keyOf(index), hash: `hash-${index}`, flavor: null },
    };
    const decision = place({ hosts: cache.list(), policy: POLICY }, request, []);
    const host = decision.outcome === 'placed' ? cache.get(decision.hostId) : undefined;
    if (host && decision.outcome === 'placed') {
      cache.putAhead(applyPlacement(host, decision, request, { serverId: server.id, serverName: server.name }));
    }
    return { server, decision };
  });
}

async function asDecided(decided: readonly DecidedServer[]): Promise<boolean> {
  const own = cache;
  const deviceOf = (hostId: string, deviceId: string): SnapshotDevice | null =>
    own.get(hostId)?.devices.find(({ id }) => id === deviceId) ?? null;
  const batch = placementBatch(decided, 60_000, deviceOf);
  return batch !== null && writePlacementBatch(source.manager, batch);
}

const oneByOne = (decided: readonly DecidedServer[]) =>
  source.transaction((tx) => commitDecisions(tx, decided, 60_000));

/** All that a batch writes, without what is new each time. */
async function ledger(): Promise<unknown> {
  const rows = (sql: string): Promise<unknown[]> => source.query(sql);
  return {
    servers: await rows(
      `SELECT s.name, s.project_id, s.status, s.task_state, s.flavor, s.request, h.name AS host, s.attempts, s.group_id, s.priority, s.kind,
              s.placement_key, s.placement_hash, s.decision_class_id IS NOT NULL AS has_class, s.fault
         FROM servers s LEFT JOIN hosts h ON h.id = s.host_id ORDER BY s.placement_key`,
    ),
    classes: await rows(
      `SELECT record #>> '{first,hostName}' AS host, record #>> '{first,generation}' AS generation,
              (SELECT count(*)::int FROM json_object_keys(record -> 'members')) AS members
         FROM decision_classes ORDER BY 1, 2`,
    ),
    claims: await rows(
      `SELECT s.placement_key, h.name AS host, c.attempt, c.status, c.vcpus, c.memory_mb, c.disk_gb, c.numa_cells, c.kind,
              c.expires_at > now() + interval '30 seconds' AS expires, rank() OVER (ORDER BY c.number) AS number
         FROM claims c JOIN servers s ON s.id = c.server_id JOIN hosts h ON h.id = c.host_id ORDER BY s.placement_key`,
    ),
    allocations: await rows(
      `SELECT s.placement_key, h.name AS host, d.address, a.alias, a.request_index, a.released_at, a.server_id = c.server_id AS same
         FROM allocations a JOIN claims c ON c.id = a.claim_id JOIN servers s ON s.id = a.server_id JOIN devices d ON d.id = a.device_id
         JOIN hosts h ON h.id = d.host_id ORDER BY s.placement_key, d.address`,
    ),
    devices: await rows(
      `SELECT h.name, d.address, d.status FROM devices d JOIN hosts h ON h.id = d.host_id ORDER BY 1, 2`,
    ),
    hosts: await rows(`SELECT name, generation, facts_generation, changed_xid > 0 AS changed FROM hosts ORDER BY name`),
    commands: await commands(),
    audit: await audited(),
  };
}

interface Command {
  readonly claim_id: string;
  readonly server_id: string;
  readonly devices: readonly unknown[];
  readonly claim_number?: number;
  readonly incarnation?: string;
}

/** A message with one command may have the form of a command alone. */
async function commands(): Promise<unknown[]> {
  const lines = (await source.query(`SELECT queue, message FROM outbox ORDER BY id`)) as {
    queue: string;
    message: { type: string; body: Command | { commands: { prepare: Command }[] } };
  }[];
  const numbers = (await source.query(
    `SELECT c.id, c.number, s.placement_key FROM claims c JOIN servers s ON s.id = c.server_id`,
  )) as {
    id: string;
    number: number;
    placement_key: string;
  }[];
  return lines
    .flatMap(({ queue, message: { type, body } }) => {
      const all =
        type === 'agent.commands' && 'commands' in body
          ? body.commands.map(({ prepare }) => prepare)
          : [body as Command];
      return all.map((command) => {
        const claim = numbers.find(({ id }) => id === command.claim_id);
        const fence = command.incarnation === undefined ? null : command.claim_number === claim?.number;
        return { queue, key: claim?.placement_key ?? '', devices: command.devices, fence };
      });
    })
    .sort((a, b) => (a.key < b.key ? -1 : 1));
}

async function audited(): Promise<unknown[]> {
  const rows = (await source.query(
    `SELECT t ->> 'address' AS address, t ->> 'event' AS event, t ->> 'from' AS "from", t ->> 'to' AS "to",
            (t ->> 'server_id') IS NOT NULL AS owned
       FROM audit_pending, json_array_elements(body -> 'transitions') AS t WHERE body ->> 'kind' = 'transition' AND t ->> 'event' = 'claim'`,
  )) as { address: string }[];
  const decisions = (await source.query(
    `SELECT d ->> 'outcome' AS outcome, d ->> 'attempt' AS attempt, count(*)::int AS count FROM audit_pending, json_array_elements(body -> 'decisions') AS d
      GROUP BY 1, 2 ORDER BY 1, 2`,
  )) as unknown[];
  return [...rows.map((row) => JSON.stringify(row)).sort(), ...decisions];
}

describe('a batch that is written by one statement', () => {
  it('leaves what the same batch leaves that is written step by step', async () => {
    await hosts();
    const first = decide();
    expect(first.map(({ decision }) => decision.outcome)).toEqual([...Array(6).fill('placed'), 'rejected']);
    expect(await asDecided(first)).toBe(true);
    const left = await ledger();
    await wipe();
    await hosts();
    expect((await oneByOne(decide())).conflicts).toEqual([]);
    expect(left).toEqual(await ledger());
  });

  it('does not make a PF freer: a VF of it is in use, and another is claimed', async () => {
    await hosts();
    expect(await asDecided(decide([[vf(1)], [vf(1)]]))).toBe(true);
    await source.query(`UPDATE devices SET status = 'allocated' WHERE status = 'claimed'`);
    await source.query(`UPDATE devices SET status = 'unavailable' WHERE address = $1`, [PF]);
    expect(await asDecided(decide([[vf(1)], [vf(1)]], (index) => `more-${index}`))).toBe(true);
    const rows = (await source.query(`SELECT DISTINCT status FROM devices WHERE address = $1`, [PF])) as unknown[];
    expect(rows).toEqual([{ status: 'unavailable' }]);
  });

  it('is all or nothing: a host that has changed, a key that is taken, a device that is not free', async () => {
    await hosts();
    expect(await asDecided(decide([[gpu(1)]], () => 'taken'))).toBe(true);
    await source.query(`UPDATE hosts SET generation = generation + 1 WHERE name = 'node-2'`);
    const before = await ledger();
    expect(await asDecided(decide([[], [vf(1)], [gpu(2)]]))).toBe(false);
    expect(await ledger()).toEqual(before);

    await anew();
    expect(await asDecided(decide([[gpu(1)], [vf(1)]], (index) => ['taken', 'other'][index] ?? null))).toBe(false);
    expect(await ledger()).toEqual(before);

    await anew();
    const decided = decide([[gpu(1)], [vf(1)]]);
    await source.query(`UPDATE devices SET status = 'quarantined' WHERE status = 'available'`);
    const quarantined = await ledger();
    expect(await asDecided(decided)).toBe(false);
    expect(await ledger()).toEqual(quarantined);
  });

  it('is not for a project with a quota, nor for servers', async () => {
    await hosts();
    await source.query(`INSERT INTO quotas (project_id, resource, hard_limit) VALUES ('*', 'devices', 5)`);
    expect(await asDecided(decide([[gpu(1)]]))).toBe(false);
    await source.query(`DELETE FROM quotas`);
    await anew();
    const decided = decide([[gpu(1)]]);
    const servers = decided.map(({ server: { placement: _none, ...server }, decision }) => ({ server, decision }));
    expect(await asDecided(servers)).toBe(false);
    expect(await asDecided(decided)).toBe(true);
  });

  it('never gives a device to two, however many try at once', async () => {
    await hosts();
    const caches = Array.from({ length: 8 }, () => new SnapshotCache(source));
    await Promise.all(caches.map((other) => other.refresh()));
    const answers = await Promise.all(
      caches.map((other, index) => {
        cache = other;
        return asDecided(decide([[gpu(1), vf(1)]], () => `racer-${index}`));
      }),
    );
    expect(answers.filter((done) => done)).toHaveLength(1);
    const [row] = (await source.query(`SELECT count(*)::int AS taken FROM allocations WHERE released_at IS NULL`)) as [
      { taken: number },
    ];
    expect(row.taken).toBe(2);
  });
});

async function anew(): Promise<void> {
  cache = new SnapshotCache(source);
  await cache.refresh();
}

async function wipe(): Promise<void> {
  for (const table of [
    'outbox',
    'audit_pending',
    'allocations',
    'claims',
    'servers',
    'decision_classes',
    'agent_lives',
  ]) {
    await source.query(`DELETE FROM ${table}`);
  }
  await source.query(`DELETE FROM devices`);
  await source.query(`DELETE FROM hosts`);
  cache = new SnapshotCache(source);
}
