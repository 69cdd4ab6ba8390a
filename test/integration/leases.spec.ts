import 'reflect-metadata';
import { setTimeout as sleep } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
import type { DataSource } from 'typeorm';
import { afterEach, beforeEach, describe, expect, inject, it, vi } from 'vitest';
import { AmqpBus } from '../../src/bus/amqp.bus.js';
import { InProcessBus } from '../../src/bus/in-process.bus.js';
import { FleetSimulator, fleetHostName } from '../../src/fleet/fleet-simulator.js';
import { KINDS, readKinds } from '../../src/fleet/host-kinds.js';
import type { AgentReport, AgentStamp } from '../../src/messages/bodies.js';
import { contentHash } from '../../src/messages/content-hash.js';
import { envelope } from '../../src/messages/envelope.js';
import { agentQueue, QUEUES, TOPICS } from '../../src/messages/routes.js';
import { place } from '../../src/placement/place.js';
import { InventoryService } from '../../src/scheduler/inventory.service.js';
import { LeasesService } from '../../src/scheduler/leases.service.js';
import { silenceHosts } from '../../src/store/host-leases.store.js';
import { absorbReports } from '../../src/store/inventory.store.js';
import { Ledger } from '../../src/store/ledger.js';
import { SnapshotCache } from '../../src/store/snapshot.store.js';
import { onLedger } from '../support/ledger.js';
import { aReport } from '../support/reports.js';
import { aRequest, POLICY, wants } from '../support/snapshots.js';

const SOON = { timeout: 20_000, interval: 20 };
const EPOCH = 1_700_000_000_000;
const HASH = '0'.repeat(64);
const DEVICES = [{ address: '0000:83:00.0', ids: '10de:1bb0' }];

interface Row {
  readonly status: string;
  readonly epoch: number;
  readonly sequence: number;
  readonly generation: number;
  readonly version: string;
}

Logger.overrideLogger(false);
let source: DataSource;
let ledger: Ledger;
let inventory: InventoryService;
let bus: AmqpBus;
const ends: (() => Promise<unknown>)[] = [];

onLedger((opened) => {
  source = opened;
  ledger = new Ledger(opened);
  inventory = new InventoryService(ledger);
});

beforeEach(async () => {
  bus = aBus();
  await vi.waitFor(() => expect(bus.isReady()).toBe(true), SOON);
});
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end();
});

function aBus(): AmqpBus {
  const made = new AmqpBus({ url: inject('amqpUrl'), messageBytesMax: 10_000_000, deliveryLimit: 3 }, () => undefined);
  ends.push(() => made.close());
  return made;
}

async function aScheduler(hostSilentAfterMs = 60_000): Promise<void> {
  const service = new LeasesService(ledger, bus, { hostSilentAfterMs, sweepIntervalMs: 100 });
  await service.onApplicationBootstrap();
  ends.push(() => service.beforeApplicationShutdown());
}

/** A host that has reported, and whose agent the test is: what it is told comes here. */
async function aHost(host: string, more: Partial<AgentReport> = {}): Promise<{ report: AgentReport; told: string[] }> {
  const report = { ...aReport({ host, epoch: EPOCH, devices: DEVICES }), ...more };
  await inventory.report(report);
  const told: string[] = [];
  const taken = await bus.consume(agentQueue(host), async ({ type }) => void told.push(type), { prefetch: 10 });
  ends.push(() => taken.stop());
  return { report, told };
}

const beat = (stamp: AgentStamp): Promise<void> => bus.broadcast(TOPICS.heartbeats, envelope('agent.heartbeat', stamp));

const stampOf = ({ host, epoch, sequence, hash }: AgentReport): AgentStamp => ({ host, epoch, sequence, hash });

async function row(host: string): Promise<Row> {
  const [found] = (await source.query(
    `SELECT status, epoch, report_sequence AS sequence, generation, xmin::text AS version FROM hosts WHERE name = $1`,
    [host],
  )) as [Row];
  return found;
}

async function versions(table: 'hosts' | 'devices'): Promise<string[]> {
  const rows = (await source.query(`SELECT xmin::text || ' ' || ctid::text AS version FROM ${table} ORDER BY id`)) as {
    version: string;
  }[];
  return rows.map(({ version }) => version);
}

describe('a silent host', () => {
  it('goes down and gets no servers; a heartbeat has it asked for a report, and only that brings it back', async () => {
    const { report, told } = await aHost('quiet-1');
    const cache = new SnapshotCache(source);
    await cache.refresh();
    await aScheduler(600);
    await vi.waitFor(async () => expect((await row('quiet-1')).status).toBe('down'), SOON);
    await cache.refresh();
    const decision = place({ hosts: cache.list(), policy: POLICY }, aRequest([wants('gpu', 1, '10de:1bb0')]), []);
    expect(decision).toMatchObject({ outcome: 'rejected', rejections: [{ filter: 'ComputeFilter' }] });

    const down = await row('quiet-1');
    const before = told.length;
    await beat(stampOf(report));
    await vi.waitFor(() => expect(told.slice(before)).toEqual(['report.request']), SOON);
    await beat({ ...stampOf(report), epoch: EPOCH + 1, sequence: 0 });
    await sleep(300);
    expect(await row('quiet-1')).toEqual(down);

    await inventory.report({ ...report, sequence: 2 });
    expect(await row('quiet-1')).toMatchObject({ status: 'up', sequence: 2, generation: down.generation + 1 });
    await cache.refresh();
    expect(cache.list()[0]?.status).toBe('up');
  });

  it('is asked once before it is given up', async () => {
    const { told } = await aHost('quiet-2');
    await aScheduler(1_500);
    await vi.waitFor(async () => expect((await row('quiet-2')).status).toBe('down'), SOON);
    expect(told).toEqual(['report.request']);
  });

  it('is not kept up by a former life of its agent', async () => {
    const { report } = await aHost('quiet-3');
    await aScheduler(800);
    const former = setInterval(() => void beat({ ...stampOf(report), epoch: EPOCH - 1 }), 50);
    ends.push(async () => clearInterval(former));
    await vi.waitFor(async () => expect((await row('quiet-3')).status).toBe('down'), SOON);
  });

  it('is not marked by a scheduler that does not know its last word', async () => {
    await aHost('quiet-4');
    const [known] = (await source.query(`SELECT id, epoch, report_sequence AS sequence FROM hosts`)) as [
      { id: string; epoch: number; sequence: number },
    ];
    const silence = (more: Partial<typeof known>, afterMs: number) =>
      source.transaction((tx) => silenceHosts(tx, [{ ...known, ...more }], afterMs));
    await sleep(50);
    expect(await silence({}, 60_000)).toEqual([]);
    expect(await silence({ sequence: 0 }, 10)).toEqual([]);
    expect(await silence({ epoch: EPOCH - 1 }, 10)).toEqual([]);
    expect(await silence({}, 10)).toEqual(['quiet-4']);
    expect(await silence({}, 10)).toEqual([]);
  });
});

describe('an agent that starts again', () => {
  it('with what the ledger has is adopted: nothing that decisions look at is written, and its former life is fenced', async () => {
    const { report, told } = await aHost('again-1');
    await aScheduler();
    const [before, devices] = [await row('again-1'), await versions('devices')];
    await beat({ ...stampOf(report), epoch: EPOCH + 7, sequence: 0 });
    await vi.waitFor(async () => expect(await row('again-1')).toMatchObject({ epoch: EPOCH + 7, sequence: 0 }), SOON);
    expect(await row('again-1')).toMatchObject({ status: 'up', generation: before.generation });
    expect(await versions('devices')).toEqual(devices);
    await inventory.report({ ...report, sequence: 9 });
    await beat({ ...stampOf(report), epoch: EPOCH + 3 });
    await sleep(300);
    expect(await row('again-1')).toMatchObject({ epoch: EPOCH + 7, sequence: 0 });
    await inventory.report({ ...report, epoch: EPOCH + 7, sequence: 1 });
    expect(await row('again-1')).toMatchObject({ sequence: 1, generation: before.generation });
    expect(told).toEqual([]);
  });

  it('with a thousand others at once is adopted by one look', async () => {
    const reports = Array.from({ length: 1_100 }, (_unused, index) =>
      aReport({ host: `again-all-${index}`, epoch: EPOCH, devices: [] }),
    );
    await source.transaction((tx) => absorbReports(tx, reports));
    const own = new InProcessBus({ messageBytesMax: 10_000, deliveryLimit: 1 }, () => undefined);
    const service = new LeasesService(ledger, own, { hostSilentAfterMs: 60_000, sweepIntervalMs: 60_000 });
    await service.onApplicationBootstrap();
    ends.push(() => service.beforeApplicationShutdown());
    for (const report of reports) {
      await own.broadcast(
        TOPICS.heartbeats,
        envelope('agent.heartbeat', { ...stampOf(report), epoch: EPOCH + 1, sequence: 0 }),
      );
    }
    await sleep(100);
    await service.tick();
    const counted = await source.query(`SELECT count(*)::int AS count FROM hosts WHERE epoch = $1`, [EPOCH + 1]);
    expect(counted).toEqual([{ count: 1_100 }]);
  });

  it('with something else, or unknown, is asked for a full report', async () => {
    const { report, told } = await aHost('again-2');
    await aScheduler();
    await beat({ ...stampOf(report), epoch: EPOCH + 7, sequence: 0, hash: HASH });
    await vi.waitFor(() => expect(told).toEqual(['report.request']), SOON);
    expect(await row('again-2')).toMatchObject({ epoch: EPOCH });

    const unknown: string[] = [];
    await bus.consume(agentQueue('again-3'), async ({ type }) => void unknown.push(type), { prefetch: 1 });
    await beat({ ...stampOf(report), host: 'again-3' });
    await vi.waitFor(() => expect(unknown).toEqual(['report.request']), SOON);
  });

  it('is heard also where it knows no broadcasts yet', async () => {
    const { report } = await aHost('again-4');
    await aScheduler();
    const stamp = { ...stampOf(report), epoch: EPOCH + 1, sequence: 0 };
    await bus.publish(QUEUES.heartbeats, envelope('agent.heartbeat', stamp));
    await vi.waitFor(async () => expect(await row('again-4')).toMatchObject({ epoch: EPOCH + 1 }), SOON);
  });
});

describe('the same report again', () => {
  it('writes no devices, unless one is missing', async () => {
    const { report } = await aHost('same-1');
    const devices = await versions('devices');
    await inventory.report({ ...report, sequence: 2 });
    expect(await row('same-1')).toMatchObject({ sequence: 2, generation: 1 });
    expect(await versions('devices')).toEqual(devices);
    await source.query(`UPDATE devices SET missing_since = now()`);
    await inventory.report({ ...report, sequence: 3 });
    expect(await source.query(`SELECT 1 FROM devices WHERE missing_since IS NOT NULL`)).toEqual([]);
  });

  it('of many hosts at once is noted for each; an older one lowers nothing', async () => {
    const reports = Array.from({ length: 20 }, (_unused, index) =>
      aReport({ host: `same-${10 + index}`, epoch: EPOCH, devices: DEVICES }),
    );
    for (const report of reports) await inventory.report(report);
    await Promise.all(
      reports.flatMap((report) => [
        inventory.report({ ...report, epoch: EPOCH + 1, sequence: 4 }),
        inventory.report({ ...report, sequence: 8 }),
      ]),
    );
    const rows = await Promise.all(reports.map(({ host }) => row(host)));
    expect(new Set(rows.map(({ epoch, sequence }) => `${epoch} ${sequence}`))).toEqual(new Set([`${EPOCH + 1} 4`]));
  });
});

describe('reports of many hosts at once', () => {
  it('are few transactions, and one that the ledger does not take holds up no other', async () => {
    const good = Array.from({ length: 40 }, (_unused, index) => aReport({ host: `many-${index}`, devices: DEVICES }));
    const { facts, devices, ...rest } = aReport({ host: 'many-bad', devices: [] });
    const kernel = 'a text that no database takes: \0';
    const bad = {
      ...rest,
      devices,
      facts: { ...facts, kernel },
      hash: contentHash({ facts: { ...facts, kernel }, devices }),
    };
    const ended = await Promise.allSettled(
      [...good.slice(32), bad, ...good.slice(0, 32)].map((one) => inventory.report(one)),
    );
    expect(ended.map(({ status }) => status)).toEqual(ended.map((_end, at) => (at === 8 ? 'rejected' : 'fulfilled')));
    const rows = (await source.query(`SELECT changed_xid AS xid FROM hosts WHERE name LIKE 'many-%'`)) as {
      xid: number;
    }[];
    expect(rows).toHaveLength(40);
    // the batch with the bad one was taken in one by one, the other together
    expect(new Set(rows.map(({ xid }) => xid)).size).toBe(32);
  });
});

describe('a fleet', () => {
  const HOSTS = 200;

  it(
    'of 200 hosts starts again at once and is there again; its heartbeats write nothing',
    { timeout: 120_000 },
    async () => {
      await aScheduler();
      const reports = await bus.consume(
        QUEUES.reports,
        async (message) => (message.type === 'agent.report' ? inventory.report(message.body) : undefined),
        { prefetch: 16 },
      );
      ends.push(() => reports.stop());
      const own = aBus();
      await vi.waitFor(() => expect(own.isReady()).toBe(true), SOON);
      const kinds = await readKinds(KINDS);
      const options = { hosts: HOSTS, kinds, heartbeatIntervalMs: 1_000, latencyMs: 0, failureRate: 0, seed: 1 };
      const fleet = new FleetSimulator(own, options, () => undefined);
      ends.push(() => fleet.stop());
      await fleet.start();
      // also what was asked for on the way has come
      const quiet = async (): Promise<void> => {
        expect(await settled(fleet)).toBe(HOSTS);
        const { reports: before } = fleet.counts();
        await sleep(1_500);
        expect([await settled(fleet), fleet.counts().reports]).toEqual([HOSTS, before]);
      };
      await vi.waitFor(quiet, { timeout: 60_000, interval: 100 });

      const [hosts, heard] = [await versions('hosts'), fleet.counts()];
      await sleep(2_500);
      expect(fleet.counts().heartbeats - heard.heartbeats).toBeGreaterThan(HOSTS);
      expect([await versions('hosts'), fleet.counts().reports]).toEqual([hosts, heard.reports]);

      const devices = await versions('devices');
      await fleet.restartAll();
      await vi.waitFor(async () => expect(await settled(fleet)).toBe(HOSTS), { timeout: 60_000, interval: 100 });
      expect([await versions('devices'), fleet.counts().unsent]).toEqual([devices, 0]);
    },
  );

  /** Hosts that are up in the ledger with epoch and hash that their agents have. */
  async function settled(fleet: FleetSimulator): Promise<number> {
    const stamps = fleet.agents.map((agent) => agent.stamp());
    const [{ count }] = (await source.query(
      `SELECT count(*)::int AS count FROM unnest($1::text[], $2::bigint[], $3::text[], $4::bigint[]) AS s(name, epoch, hash, sequence)
         JOIN hosts h ON h.name = s.name AND h.epoch = s.epoch AND h.report_hash = s.hash
          AND h.report_sequence = s.sequence AND h.status = 'up'`,
      [
        stamps.map(({ host }) => host),
        stamps.map(({ epoch }) => epoch),
        stamps.map(({ hash }) => hash),
        stamps.map(({ sequence }) => sequence),
      ],
    )) as [{ count: number }];
    expect(stamps[0]?.host).toBe(fleetHostName(0));
    return count;
  }
});
