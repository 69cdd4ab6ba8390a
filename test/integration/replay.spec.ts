import { randomUUID } from 'node:crypto';
import { Logger } from '@nestjs/common';
import type { DataSource } from 'typeorm';
import { beforeEach, describe, expect, it } from 'vitest';
import { applyPlacement, withoutServer } from '../../src/placement/apply-placement.js';
import { placeTogether } from '../../src/placement/place-together.js';
import { place } from '../../src/placement/place.js';
import type { DeviceRequest, PlacementRequest } from '../../src/placement/request.js';
import type { HostSnapshot, PlacementPolicy } from '../../src/placement/snapshot.js';
import { Deciding } from '../../src/batches/deciding.js';
import { DecisionRecorder } from '../../src/batches/decision-recorder.js';
import { replayCommand } from '../../src/scheduler/replay-command.js';
import { replay, type ReplayQuery, type ReplayReport } from '../../src/scheduler/replay.js';
import { SchedulingService } from '../../src/scheduler/scheduling.service.js';
import { loadSettings } from '../../src/settings/load-settings.js';
import type { DecidedServer, WaitingServer } from '../../src/store/claims.store.js';
import { finishRelease, lockClaim } from '../../src/store/claim-outcomes.store.js';
import { absorbReport } from '../../src/store/inventory.store.js';
import { purgeJournal } from '../../src/store/journal.store.js';
import { Ledger } from '../../src/store/ledger.js';
import { SnapshotCache } from '../../src/store/snapshot.store.js';
import { onLedger } from '../support/ledger.js';
import { randomNumbers, type Random } from '../support/random.js';
import { aReport } from '../support/reports.js';
import { aHost, aRequest, POLICY, wants, type DeviceSketch } from '../support/snapshots.js';

let source: DataSource;
let ledger: Ledger;
let url: string;

onLedger((opened, database) => {
  source = opened;
  ledger = new Ledger(opened);
  url = database.url;
});

beforeEach(async () => {
  Logger.overrideLogger(false);
  await source.query(`TRUNCATE journal_entries, journal_facts`);
});

const { scheduler: SETTINGS } = loadSettings({ files: [], env: {} }).settings;
const GPU = '10de:1bb0';
const HOUR = 3_600_000;

function replayed(query: Partial<ReplayQuery> = {}): Promise<ReplayReport> {
  return replay(ledger.pool, { from: new Date(0), to: new Date(Date.now() + HOUR), run: null, server: null, ...query });
}

/** A host with so many GPUs. */
async function report(host: string, gpus: number, sequence = 1): Promise<void> {
  const devices = Array.from({ length: gpus }, (_, index) => ({
    ...{ address: `0000:8${index}:00.0`, ids: GPU },
    numaNode: index % 2,
  }));
  await source.transaction((tx) => absorbReport(tx, aReport({ host, devices, sequence })));
}

async function server(name: string, gpus: number): Promise<string> {
  const id = randomUUID();
  const request = aRequest(gpus > 0 ? [wants('gpu', gpus, GPU)] : [], { serverName: name });
  await source.query(
    `INSERT INTO servers (id, name, project_id, status, task_state, request) VALUES ($1, $2, 'default', 'BUILD', 'scheduling', $3)`,
    [id, name, JSON.stringify(request)],
  );
  return id;
}

/** A scheduler process. */
function scheduler(more: Partial<typeof SETTINGS> = {}): { service: SchedulingService; cache: SnapshotCache } {
  const settings = { ...SETTINGS, ...more };
  const cache = new SnapshotCache(source);
  const recorder = new DecisionRecorder(ledger, cache, settings.journal, 0);
  return { service: new SchedulingService(new Deciding(ledger, cache, settings, recorder)), cache };
}

async function release(serverId: string): Promise<void> {
  const [row] = (await source.query(`SELECT id FROM claims WHERE server_id = $1 AND status <> 'released'`, [
    serverId,
  ])) as { id: string }[];
  await source.transaction(async (tx) => {
    const claim = await lockClaim(tx, row?.id ?? '');
    if (claim) await finishRelease(tx, claim);
  });
}

async function count(where: string): Promise<number> {
  const [row] = (await source.query(`SELECT count(*) AS n FROM journal_entries WHERE ${where}`)) as { n: number }[];
  return row?.n ?? 0;
}

describe('schedulers that race each other for hosts', () => {
  it('are replayed equal to the letter, each as it saw the hosts: claims, conflicts, reverts, releases, refusals', async () => {
    for (const host of ['a', 'b', 'c']) await report(host, 4);
    const schedulers = [scheduler(), scheduler()];
    const waiting: string[] = [];
    for (let round = 0; round < 6; round++) {
      const ids = await Promise.all(Array.from({ length: 8 }, (_, index) => server(`s${round}-${index}`, index % 4)));
      await Promise.all(ids.map((id, index) => schedulers[index % 2]?.service.schedule(id)));
      const placed = (await source.query(
        `SELECT server_id AS id FROM claims WHERE status = 'claimed' ORDER BY created_at, id LIMIT 5`,
      )) as { id: string }[];
      for (const { id } of placed) await release(id);
      await report('b', 3 + (round % 2), 2 + round);
      waiting.push(...ids);
    }
    for (const { service } of schedulers) await service.recorded();
    const result = await replayed();
    expect(result).toMatchObject({ different: [], gaps: [], engines: [1], equal: result.decisions });
    // who lost a race was decided more than once
    expect(result.decisions).toBeGreaterThan(waiting.length);
    const runs = (await source.query(`SELECT DISTINCT run FROM journal_entries ORDER BY run`)) as { run: string }[];
    expect(runs).toHaveLength(2);
    const each = await Promise.all(runs.map(({ run }) => replayed({ run })));
    expect(each.reduce((sum, { decisions }) => sum + decisions, 0)).toBe(result.decisions);
  });
});

describe('a short run', () => {
  let first: SchedulingService;

  /** Two hosts, and three servers that want GPUs: the last one gets none. */
  async function run(): Promise<{ placed: string; refused: string }> {
    await report('a', 2);
    await report('b', 1);
    ({ service: first } = scheduler());
    const ids = [await server('one', 1), await server('two', 2), await server('three', 3)];
    for (const id of ids) {
      await first.schedule(id);
      await first.recorded(); // an entry each
    }
    return { placed: ids[1] ?? '', refused: ids[2] ?? '' };
  }

  it('is found different when a device of a host is not what it was, once and not for all that follows', async () => {
    const { placed } = await run();
    expect(await replayed()).toMatchObject({ decisions: 3, equal: 3, different: [] });
    const [tampered] = (await source.query(
      `UPDATE journal_entries SET body = jsonb_set(body::jsonb, '{state,devices}',
              '{"0000:81:00.0": {"status": "unavailable", "owner": null, "missing": false}}')::json
        WHERE kind = 'host' AND body->>'id' = (SELECT id::text FROM hosts WHERE name = 'a') RETURNING seq`,
    )) as [{ seq: number }[]];
    expect(tampered).toHaveLength(1);
    const result = await replayed();
    expect(result.decisions - result.equal).toBe(result.different.length);
    const difference = result.different.find(({ serverId }) => serverId === placed);
    expect(difference).toMatchObject({ recorded: { outcome: 'placed', hostName: 'a' }, now: { outcome: 'rejected' } });
    const { text, exitCode } = await replayCommand(url, { server: placed });
    expect(exitCode).toBe(1);
    expect(text).toContain('outcome: "placed" → "rejected"');
    expect(text).toContain('1 decision, 0 equal, 1 different');
  });

  it('is found different when the recorded decision was another one', async () => {
    await run();
    await source.query(
      `UPDATE journal_entries SET body = replace(body::text, '"hash":"', '"hash":"0')::json
        WHERE seq = (SELECT max(seq) FROM journal_entries)`,
    );
    expect(await replayed()).toMatchObject({ decisions: 3, equal: 2, different: [{ serverName: 'three' }] });
  });

  it('shows one server in full: what every single host says, though the record names but some', async () => {
    const { refused } = await run();
    const { text, exitCode } = await replayCommand(url, { server: refused });
    expect(exitCode).toBe(0);
    expect(text).toMatch(/^Equal: server three \([0-9a-f-]{36}\), attempt 1, /);
    expect(text).toMatch(/^ {2}a: PciPassthroughFilter: .* in use/m);
    expect(text).toMatch(/^ {2}b: PciPassthroughFilter: .* in use/m);
    expect(text).toMatch(/\n1 decision, 1 equal, 0 different\n$/);
  });

  it('is replayed from the last base before the time asked for', async () => {
    await run();
    const at = await times();
    const late = await replayed({ from: at[2] as Date });
    expect(late).toMatchObject({ decisions: at.filter((time) => time >= (at[2] as Date)).length, different: [] });
    expect(await replayed({ to: at[0] as Date })).toMatchObject({ decisions: 0 });
    expect(await replayed({ run: randomUUID() })).toMatchObject({ decisions: 0 });
  });

  it('begins anew at intervals, where reading can start', async () => {
    await report('a', 2);
    const { service } = scheduler({ journal: { keepHours: 1, baseIntervalMs: 0 } });
    for (const name of ['one', 'two', 'three']) await service.schedule(await server(name, 1));
    await service.recorded();
    expect(await count(`kind = 'base'`)).toBe(3);
    await source.query(
      `DELETE FROM journal_entries WHERE seq < (SELECT max(seq) FROM journal_entries WHERE kind = 'base')`,
    );
    expect(await replayed()).toMatchObject({ decisions: 1, equal: 1, gaps: [] });
  });

  it('says so when entries are missing, or were decided by another version of the engine', async () => {
    await run();
    await source.query(`DELETE FROM journal_entries WHERE seq = (SELECT max(seq) - 1 FROM journal_entries)`);
    await source.query(
      `UPDATE journal_entries SET body = jsonb_set(body::jsonb, '{engine}', '0')::json WHERE kind = 'base'`,
    );
    const { text, exitCode } = await replayCommand(url, {});
    expect(text).toMatch(/^Gap in run .*: entries \d+ to \d+ are missing\.$/m);
    expect(text).toContain('Decided by version 0 of the engine; this is version');
    expect(text).toContain('1 decision, 1 equal, 0 different');
    expect(exitCode).toBe(2);
  });

  it('is not recorded when the journal is off', async () => {
    await report('a', 1);
    const { service } = scheduler({ journal: { keepHours: 0, baseIntervalMs: HOUR } });
    await service.schedule(await server('one', 1));
    await service.recorded();
    expect(await count('true')).toBe(0);
    expect((await replayCommand(url, {})).exitCode).toBe(2);
  });

  it.each([
    [{ from: 'yesterday' }, '--from: write a time as 2026-01-31T12:00:00Z'],
    [{ to: '2026-01-31T12:00:00' }, '--to: write a time as'],
    [{ from: '2026-02-01T00:00:00Z', to: '2026-01-31T12:00:00Z' }, '--from: 2026-02-01T00:00:00Z is not before'],
    [{ run: '7' }, '--run: write an id as'],
    [{ server: 'vm' }, '--server: write an id as'],
  ])('is not asked for with %j', async (options, message) => {
    await expect(replayCommand(url, options)).rejects.toMatchObject({
      code: 'request.invalid',
      message: expect.stringContaining(message) as string,
    });
  });

  async function times(): Promise<Date[]> {
    const rows = (await source.query(`SELECT at FROM journal_entries WHERE kind = 'decision' ORDER BY seq`)) as {
      at: Date;
    }[];
    return rows.map(({ at }) => at);
  }
});

describe('a journal that cannot be written', () => {
  it('keeps no server waiting; it warns once, goes on from a new base, and says how much is lost', async () => {
    const warnings: string[] = [];
    const note = (text: unknown): void => void warnings.push(JSON.stringify(text));
    Logger.overrideLogger({ log: () => undefined, error: note, warn: note });
    await report('a', 4);
    const { service } = scheduler();
    const schedule = async (name: string): Promise<void> => {
      await service.schedule(await server(name, 1));
      await service.recorded();
    };
    await schedule('one');
    await source.query(`ALTER TABLE journal_entries RENAME TO journal_away`);
    try {
      await schedule('two');
      await schedule('three');
    } finally {
      await source.query(`ALTER TABLE journal_away RENAME TO journal_entries`);
    }
    await schedule('four');
    expect(await source.query(`SELECT count(*) AS n FROM servers WHERE task_state = 'preparing'`)).toEqual([{ n: 4 }]);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain('decisions are made, but not recorded');
    expect(await replayed()).toMatchObject({
      ...{ decisions: 2, equal: 2 },
      gaps: [
        { problem: expect.stringContaining('are missing') as string },
        { problem: '2 decisions before this were not recorded' },
      ],
    });
  });
});

describe('what is older than the journal is kept', () => {
  async function agedBy(hours: number, where: string): Promise<void> {
    await source.query(`UPDATE journal_entries SET at = at - $1::int * interval '1 hour' WHERE ${where}`, [hours]);
    await source.query(`UPDATE journal_facts SET named_at = named_at - $1::int * interval '1 hour'`, [hours]);
  }

  it('goes, but for the base that younger decisions are replayed from; facts go after the last that named them', async () => {
    await report('a', 4);
    const { service } = scheduler({ journal: { keepHours: 72, baseIntervalMs: 0 } });
    for (const name of ['one', 'two', 'three']) await service.schedule(await server(name, 1));
    await service.recorded();
    const bases = (await source.query(`SELECT seq FROM journal_entries WHERE kind = 'base' ORDER BY seq`)) as {
      seq: number;
    }[];
    expect(bases).toHaveLength(3);
    // the second base is old as well, its decision is not
    await agedBy(10, `seq <= ${bases[1]?.seq}`);
    await purgeJournal(ledger.pool, 5 * HOUR, HOUR);
    expect(await count(`seq < ${bases[1]?.seq}`)).toBe(0);
    expect(await count(`kind = 'base'`)).toBe(2);
    await source.query(`UPDATE journal_facts SET named_at = now()`);
  });

  it('goes altogether with a run that is over, and with a journal that is turned off', async () => {
    await report('a', 4);
    for (const name of ['one', 'two']) {
      const { service } = scheduler();
      await service.schedule(await server(name, 1));
      await service.recorded();
    }
    const [old] = (await source.query(`SELECT run FROM journal_entries ORDER BY at LIMIT 1`)) as { run: string }[];
    await agedBy(10, `run = '${old?.run}'`);
    await source.query(`UPDATE journal_facts SET named_at = now() - interval '6 hours'`);
    await purgeJournal(ledger.pool, 5 * HOUR, HOUR);
    expect(await count(`run = '${old?.run}'`)).toBe(0);
    expect(await replayed()).toMatchObject({ decisions: 1, equal: 1, gaps: [] });
    await source.query(`UPDATE journal_facts SET named_at = now() - interval '8 hours'`);
    await purgeJournal(ledger.pool, 0, HOUR);
    expect(await count('true')).toBe(0);
    expect(await source.query(`SELECT 1 FROM journal_facts`)).toEqual([]);
  });
});

describe('a journal of 10,000 decisions', () => {
  const DECISIONS = 10_000;

  it('is replayed equal to the letter', async () => {
    const cache = new SnapshotCache(source);
    const recorder = new DecisionRecorder(ledger, cache, SETTINGS.journal);
    const fleet = new Fleet(cache, recorder, randomNumbers(5));
    while (fleet.decisions < DECISIONS) {
      fleet.batch();
      await recorder.flush();
    }
    expect(fleet.placed).toBeGreaterThan(DECISIONS / 3);
    expect(fleet.refused).toBeGreaterThan(DECISIONS / 20);
    expect(fleet.together).toBeGreaterThan(DECISIONS / 100);
    const result = await replayed();
    expect(result).toMatchObject({ different: [], gaps: [] });
    expect([result.decisions, result.equal]).toEqual([fleet.decisions, fleet.decisions]);
  }, 300_000);
});

/** About 100 hosts of four kinds, on which servers come and go by chance. */
class Fleet {
  decisions = 0;
  placed = 0;
  refused = 0;
  /** Of these, decided as members of several. */
  together = 0;
  private readonly servers: { readonly id: string; readonly hostId: string }[] = [];

  constructor(
    private readonly cache: SnapshotCache,
    private readonly recorder: DecisionRecorder,
    private readonly random: Random,
  ) {
    for (let index = 0; index < 100; index++) cache.put(fleetHost(index));
  }

  batch(): void {
    for (let left = 1 + this.random(32); left > 0; left--) this.happen();
  }

  private happen(): void {
    const what = this.random(100);
    if (what < 45) this.leave();
    else if (what < 47) this.change();
    else if (what === 47) this.ask(2 + this.random(4));
    else this.ask(1);
  }

  /** Asks for one server, or for several together. */
  private ask(size: number): void {
    const policy = this.decisions % 2000 < 500 ? THRIFTY : POLICY;
    const snapshot = { hosts: this.cache.list(), policy };
    const countMin = 1 + this.random(size);
    const request = this.request(size);
    const servers = Array.from({ length: size }, (_, index) => ({
      ...{ id: `server-${this.decisions + index}`, name: 'vm', attempts: this.random(3), request },
      ...({ taskState: 'scheduling', gang: null, waits: false, rank: 0, waitedMs: 0 } as const),
      excludedHosts: this.random(50) === 0 ? [{ hostId: `id-h${this.random(100)}`, reason: 'EBUSY' }] : [],
    }));
    const members = servers.map(({ id, name, excludedHosts }) => {
      return { owner: { serverId: id, serverName: name }, request, excluded: excludedHosts };
    });
    const decisions =
      size === 1
        ? members.map(({ excluded }) => place(snapshot, request, excluded))
        : placeTogether(snapshot, members, countMin);
    const decided = decisions.map((decision, index) => ({ server: servers[index] as WaitingServer, decision }));
    this.recorder.answered({ decided, together: size === 1 ? null : countMin, policy });
    for (const entry of decided) this.take(entry);
    this.decisions += size;
    if (size > 1) this.together += size;
  }

  private take({ server: { id, name, request }, decision }: DecidedServer): void {
    if (decision.outcome === 'rejected') this.refused++;
    const host = decision.outcome === 'placed' ? this.cache.get(decision.hostId) : undefined;
    if (!host || decision.outcome === 'rejected') return;
    this.cache.putAhead(applyPlacement(host, decision, request, { serverId: id, serverName: name }));
    this.servers.push({ id, hostId: host.id });
    this.placed++;
  }

  private leave(): void {
    const [server] = this.servers.splice(this.random(this.servers.length), 1);
    const host = server && this.cache.get(server.hostId);
    if (host) this.cache.put(withoutServer(host, server.id));
  }

  /** As heartbeats and operators change hosts. */
  private change(): void {
    const host = this.cache.list()[this.random(100)] as HostSnapshot;
    const generation = host.generation + 1;
    const changes: readonly Partial<HostSnapshot>[] = [
      { status: host.status === 'up' ? 'down' : 'up' },
      { enabled: !host.enabled, disabledReason: host.enabled ? 'maintenance' : null },
      { failedBuilds: this.random(4) },
      { traits: this.random(2) === 0 ? [] : ['HW_FAST'] },
    ];
    this.cache.put({ ...host, ...changes[this.random(4)], generation });
  }

  private request(size: number): PlacementRequest {
    const devices = WISHES[this.random(WISHES.length)] ?? [];
    const guestCells = this.random(4) === 0 ? [0, 1].map(() => ({ vcpus: 2, memoryMb: 1024 })) : null;
    const group = { id: 'g', name: 'g', policy: 'anti-affinity', maxServerPerHost: 40 } as const;
    return aRequest(devices, {
      ...{ vcpus: guestCells ? 4 : 2, memoryMb: 2048, guestCells },
      ...(guestCells ? { cpuPolicy: 'dedicated' as const } : {}),
      ...(size > 1 && this.random(2) === 0 ? { host: { group } } : {}),
      ...(this.random(50) === 0 ? { host: { requiredTraits: ['HW_FAST'] } } : {}),
    });
  }
}

const NIC = '8086:1572';
const VF = '8086:154c';
const FPGA = '10ee:5000';
const THRIFTY: PlacementPolicy = { ...POLICY, weigherMultipliers: { RAMWeigher: -1 }, cpuAllocationRatio: 2 };
const vf = (quantity: number): DeviceRequest => wants('vf', quantity, VF, { deviceType: 'type-VF' });
const WISHES: readonly (readonly DeviceRequest[])[] = [
  [],
  [wants('gpu', 1, GPU)],
  [wants('gpu', 2, GPU, { numaPolicy: 'required' })],
  [wants('gpu', 4, GPU, { numaPolicy: 'preferred' })],
  [wants('gpu', 1, GPU, { tags: { rack: 'a' } }), vf(2)],
  [wants('gpu', 1, GPU, { numaPolicy: 'required' }), wants('fpga', 1, FPGA, { numaPolicy: 'socket' })],
  [wants('nic', 1, NIC, { deviceType: 'type-PF' })],
  [vf(4)],
  [wants('fpga', 3, FPGA)],
];

function fleetHost(index: number): HostSnapshot {
  const cards: readonly (readonly DeviceSketch[])[] = [
    slots(8, GPU),
    [...slots(4, GPU), ...slots(2, FPGA, 0x40)],
    [...slots(2, GPU), ...nic(0x50), ...nic(0x60)],
    [],
  ];
  const devices = (cards[index % 4] ?? []).map((sketch) => ({ ...sketch, tags: index % 3 ? {} : { rack: 'a' } }));
  return aHost(`h${index}`, devices);
}

function slots(length: number, ids: string, firstBus = 0x10): DeviceSketch[] {
  return Array.from({ length }, (_, at) => ({
    ...{ address: `0000:${(firstBus + at).toString(16)}:00.0`, ids, numaNode: at % 2 },
    pciePath: [`pci0000:${at % 2}0`, `0000:${at % 2}0:0${at >> 2}.0`],
  }));
}

function nic(bus: number): DeviceSketch[] {
  const pf = `0000:${bus.toString(16)}:00.0`;
  const vfs = Array.from({ length: 6 }, (_, at) => ({
    ...{ address: `0000:${bus.toString(16)}:02.${at}`, ids: VF, deviceType: 'type-VF' as const, parentAddress: pf },
  }));
  return [{ address: pf, ids: NIC, deviceType: 'type-PF' }, ...vfs];
}
