import { join } from 'node:path';
import type { DataSource } from 'typeorm';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { InProcessBus } from '../../src/bus/in-process.bus.js';
import { startAgent, type RunningAgent } from '../../src/compute-agent/agent.js';
import { readDevice } from '../../src/compute-agent/device-reader.js';
import { simulatedKernel } from '../../src/compute-agent/simulated-kernel.js';
import type { AgentReport } from '../../src/messages/bodies.js';
import { QUEUES } from '../../src/messages/routes.js';
import { parseDeviceSpecs } from '../../src/pci/device-spec/device-spec-reader.js';
import { parseSriovDeclarations } from '../../src/pci/sriov/sriov-declaration.js';
import { ClaimsService } from '../../src/scheduler/claims.service.js';
import { settleHeld } from '../../src/scheduler/held-claims.js';
import { SweepsService } from '../../src/scheduler/sweeps.service.js';
import type { AgentSettings } from '../../src/settings/settings.js';
import { holdDevice } from '../../src/store/device-holds.store.js';
import { lockHostForChange, type LockedHost } from '../../src/store/host-admin.store.js';
import { absorbReport } from '../../src/store/inventory.store.js';
import { Ledger } from '../../src/store/ledger.js';
import { takeFromOutbox } from '../../src/store/outbox.store.js';
import {
  forgetWish,
  giveUpWish,
  readOverdueWishes,
  readPfs,
  readTold,
  remindWishes,
  wishVfs,
  type PfRow,
} from '../../src/store/sriov-wishes.store.js';
import { sriovNicHost, temporaryHost, type HostOnDisk } from '../support/hosts.js';
import { agentsAnswer, ask, onScheduledLedger, remove, scheduler, SETTINGS, show } from '../support/scheduler-world.js';
import { wants } from '../support/snapshots.js';

const HOST = 'node-1';
const PF = '0000:81:00.0';
const VF = '0000:81:02.0';

let source: DataSource;
let bus: InProcessBus;
let disk: HostOnDisk;
let agent: RunningAgent | null;
/** Reports, as the agent sends them, are taken in only while this is so. */
let hears: boolean;
const ends: (() => Promise<void>)[] = [];

onScheduledLedger((opened) => {
  source = opened.source;
});

beforeEach(async () => {
  bus = new InProcessBus({ messageBytesMax: 16_000_000, deliveryLimit: 3 }, () => undefined);
  hears = true;
  ends.push(() => bus.close());
  const [written, removeDisk] = await temporaryHost(sriovNicHost('n', 0));
  disk = written;
  ends.push(removeDisk);
  const take = (report: AgentReport) => source.transaction((tx) => absorbReport(tx, report));
  await bus.consume(
    QUEUES.reports,
    async ({ type, body }) => {
      if (hears && type === 'agent.report') await take(body as AgentReport);
    },
    { prefetch: 1 },
  );
  await bus.consume(
    QUEUES.outcomes,
    async (message) => {
      if (message.type === 'agent.holds') await settleHeld(message.body, new Ledger(source));
    },
    { prefetch: 1 },
  );
  agent = null;
});

afterEach(async () => {
  await agent?.stop();
  for (const end of ends.splice(0).reverse()) await end();
});

function settings(more: Partial<AgentSettings> = {}): AgentSettings {
  return {
    ...{ host: HOST, sysfsRoot: disk.sysfs, procRoot: disk.proc, stateDir: join(disk.directory, 'state') },
    ...{ kernel: 'simulated', readOnly: false, scanIntervalMs: 3_600_000, heartbeatIntervalMs: 3_600_000 },
    deviceSpecs: parseDeviceSpecs([{ vendor_id: '8086', product_id: '154c' }], 'test', { freeTags: [] }),
    resources: { vcpus: 8, memoryMb: 8192, diskGb: 100 },
    ...{ reserved: { vcpus: 0, memoryMb: 0, diskGb: 0 }, hypervisor: { type: 'QEMU', version: null } },
    ...more,
  };
}

async function start(more: Partial<AgentSettings> = {}): Promise<void> {
  agent = await startAgent({ settings: settings(more), bus, log: () => undefined });
  await vi.waitFor(async () => expect(await hosts()).toHaveLength(1));
}

async function hosts(): Promise<{ id: string }[]> {
  return source.query(`SELECT id FROM hosts`);
}

/** What the relay would do. */
async function deliver(): Promise<string[]> {
  const lines = await source.transaction((tx) => takeFromOutbox(tx, 100));
  const commands = lines.filter(({ message }) => message.type === 'sriov.set');
  for (const { queue, message } of commands) await bus.publish(queue, message);
  return commands.map(({ queue }) => queue);
}

async function onHost<T>(work: (host: LockedHost, pf: PfRow, tx: DataSource['manager']) => Promise<T>): Promise<T> {
  return source.transaction(async (tx) => {
    const host = (await lockHostForChange(tx, HOST)) as LockedHost;
    const [pf] = await readPfs(tx, host.id, PF);
    return work(host, pf as PfRow, tx);
  });
}

function wish(vf_count: number, more: { vfs?: Record<string, unknown>; autoprobe?: boolean } = {}): Promise<void> {
  return onHost((host, pf, tx) => wishVfs(tx, host, pf, { vf_count, autoprobe: null, vfs: null, ...more }));
}

const wished = () => onHost(async (_host, pf) => pf.wish);

async function applied(state = 'applied'): Promise<void> {
  await vi.waitFor(async () => expect((await wished())?.state).toBe(state), 10_000);
}

const vfs = (): number | undefined => readDevice(disk.sysfs, PF).device?.sriov?.numVfs;

async function statuses(): Promise<Record<string, string>> {
  const rows = (await source.query(
    `SELECT address, status FROM devices WHERE address = $1 OR parent_address = $1 ORDER BY address`,
    [PF],
  )) as { address: string; status: string }[];
  return Object.fromEntries(rows.map(({ address, status }) => [address, status]));
}

const aVf = [wants('vf', 1, '8086:154c', { deviceType: 'type-VF' })];

describe('a wish about VFs', () => {
  it('keeps the PF and its VFs from everybody until the report that has the new ones', async () => {
    await start({ sriov: parseSriovDeclarations([{ address: PF, vf_count: 2 }], 'agent.yaml:1') });
    expect(await statuses()).toMatchObject({ [PF]: 'available', [VF]: 'available' });
    await wish(4);
    expect(await statuses()).toEqual({ [PF]: 'reserved', [VF]: 'unclaimable', '0000:81:02.1': 'unclaimable' });
    const id = await ask('vm-1', { devices: aVf, wait: true });
    await scheduler().schedule(id);
    expect((await show(id)).task_state).toBe('waiting');
    expect(await deliver()).toEqual([`berth.agent.${HOST}`]);
    await applied();
    expect([vfs(), await statuses()]).toEqual([
      4,
      { [PF]: 'available', ...Object.fromEntries([0, 1, 2, 3].map((n) => [`0000:81:02.${n}`, 'available'])) },
    ]);
    expect(await wished()).toMatchObject({ holds: false, step: null, vf_problems: [], vf_count: 4 });
    await scheduler().lookAtQueue();
    expect((await show(id)).host).toBe(HOST);
  });

  it('is refused with the servers named while one has a VF, also to make more; not to set something', async () => {
    await start({ sriov: parseSriovDeclarations([{ address: PF, vf_count: 2 }], 'agent.yaml:1') });
    const id = await ask('vm-1', { devices: aVf });
    await scheduler().schedule(id);
    for (const count of [0, 1, 4]) {
      await expect(wish(count)).rejects.toMatchObject({
        code: 'sriov.in_use',
        message: expect.stringContaining(`(server vm-1, ${id})`) as string,
        details: { servers: [id] },
      });
    }
    expect(await wished()).toBeNull();
    await wish(2, { autoprobe: true });
    expect(await statuses()).toMatchObject({ [PF]: 'unclaimable', [VF]: 'claimed' });
    await agentsAnswer();
    await remove(id);
    await wish(4);
    expect(await statuses()).toMatchObject({ [PF]: 'reserved' });
  });

  it('is refused while an administrator holds a VF', async () => {
    await start({ sriov: parseSriovDeclarations([{ address: PF, vf_count: 2 }], 'agent.yaml:1') });
    const [row] = (await source.query(`SELECT id FROM devices WHERE address = $1`, [VF])) as { id: string }[];
    await source.transaction((tx) => holdDevice(tx, row?.id ?? '', 'quarantine', 'test'));
    await expect(wish(4)).rejects.toThrow(`${VF} (quarantined)`);
  });

  it('that the host cannot fulfil ends as refused, with the step and what to do; the PF is free', async () => {
    await start();
    await simulatedKernel(disk.sysfs)(`bus/pci/devices/${PF}/driver/unbind`, PF);
    await wish(4);
    await deliver();
    await applied('refused');
    expect(await wished()).toMatchObject({ step: 'check', holds: false });
    expect((await wished())?.message).toMatch(/no driver has it.*bind it to that/);
    expect(await statuses()).toEqual({ [PF]: 'available' });
    await simulatedKernel(disk.sysfs)('bus/pci/drivers_probe', PF);
    await wish(4);
    await deliver();
    await applied();
  });

  it('tells of VFs one by one what could not be set', async () => {
    await start();
    await wish(2, { vfs: { '1': { vlan: 7 } } });
    await deliver();
    await applied('refused');
    expect([vfs(), await wished()]).toMatchObject([2, { step: 'vf_settings', vf_problems: [{ vf: 1, step: 'vlan' }] }]);
    expect(await statuses()).toMatchObject({ [PF]: 'available', [VF]: 'available' });
  });

  it('is the last one, whatever comes of those before', async () => {
    await start();
    await wish(4);
    const before = await source.transaction((tx) => takeFromOutbox(tx, 10));
    await wish(3);
    await deliver();
    await applied();
    for (const { queue, message } of before) await bus.publish(queue, message);
    await agent?.configure({ deviceSpecs: settings().deviceSpecs, state: null });
    expect([vfs(), (await wished())?.state]).toEqual([3, 'applied']);
  });

  it('counts before what a file of the host says, until it is forgotten', async () => {
    await start({ sriov: parseSriovDeclarations([{ address: PF, vf_count: 2 }], 'agent.yaml:1') });
    const told = async () => readTold(source.manager, (await hosts())[0]?.id ?? '');
    expect(await told()).toMatchObject([{ source: 'file', where: 'agent.yaml:1', vf_count: 2, state: 'applied' }]);
    await wish(5);
    await deliver();
    await applied();
    expect([vfs(), await told()]).toMatchObject([5, [{ source: 'ledger', vf_count: 5 }]]);
    await onHost((host, _pf, tx) => forgetWish(tx, host, PF));
    await deliver();
    await vi.waitFor(async () => expect(await told()).toMatchObject([{ source: 'file', state: 'applied' }]));
    expect(vfs()).toBe(2);
    await expect(onHost((host, _pf, tx) => forgetWish(tx, host, PF))).rejects.toMatchObject({ code: 'sriov.unknown' });
  });
});

it('a wish that the ledger has lost with its host is taken from the agent', async () => {
  await start();
  await wish(3);
  await deliver();
  await applied();
  await source.query(`DELETE FROM devices`);
  await source.query(`DELETE FROM hosts`);
  await agent?.configure({ deviceSpecs: settings().deviceSpecs, state: null });
  await vi.waitFor(async () => expect(await deliver()).toHaveLength(1));
  const told = async () => readTold(source.manager, (await hosts())[0]?.id ?? '');
  await vi.waitFor(async () => expect(await told()).toEqual([]));
  expect(vfs()).toBe(3);
});

describe('a wish whose command or answer is lost', () => {
  const later = (ms: number) =>
    source.query(
      `UPDATE sriov_wishes SET sent_at = sent_at - $1::int * interval '1 millisecond', asked_at = asked_at - $1::int * interval '1 millisecond'`,
      [ms],
    );
  const remind = (): Promise<number> => source.transaction((tx) => remindWishes(tx, 30_000, 10));

  it('is sent again, once in that time, until it is answered', async () => {
    await start();
    await wish(4);
    await source.query(`DELETE FROM outbox`);
    expect(await remind()).toBe(0);
    await later(30_000);
    expect(await remind()).toBe(1);
    expect(await remind()).toBe(0);
    hears = false;
    await deliver();
    await vi.waitFor(() => expect(vfs()).toBe(4));
    hears = true;
    await later(30_000);
    expect(await remind()).toBe(1);
    await deliver();
    await applied();
    await later(30_000);
    expect(await remind()).toBe(0);
  });

  it('is not sent to a host that is down; its agent hears it at its next start', async () => {
    await start();
    await agent?.stop();
    await wish(4);
    await source.query(`DELETE FROM outbox`);
    await source.query(`UPDATE hosts SET status = 'down'`);
    await later(30_000);
    expect(await remind()).toBe(0);
    await start();
    await vi.waitFor(async () => expect(await deliver()).toHaveLength(1));
    await applied();
  });

  it('ends as refused when nobody answers; an answer that comes after all is taken', async () => {
    await start();
    await wish(4);
    const lines = await source.transaction((tx) => takeFromOutbox(tx, 10));
    await later(600_000);
    const overdue = await readOverdueWishes(source.manager, 600_000, 10);
    expect(overdue).toHaveLength(1);
    for (const one of overdue) expect(await source.transaction((tx) => giveUpWish(tx, one))).toBe(true);
    expect(await wished()).toMatchObject({ state: 'refused', step: 'answer', errno: 'ETIMEDOUT', holds: false });
    expect(await statuses()).toEqual({ [PF]: 'available' });
    for (const { queue, message } of lines) await bus.publish(queue, message);
    await applied();
    for (const one of overdue) expect(await source.transaction((tx) => giveUpWish(tx, one))).toBe(false);
  });

  it('is seen by the sweep: first it is sent again, at last it is given up', async () => {
    await start();
    await wish(4);
    await source.query(`DELETE FROM outbox`);
    const ledger = new Ledger(source);
    const scheduling = { lookAtQueue: async () => undefined, evacuateHosts: async () => undefined };
    const [hearing, journal] = [
      { isReady: () => true, unheardQueues: () => [] },
      { keepHours: 1, baseIntervalMs: 1000 },
    ];
    const timed = { ...SETTINGS, journal };
    const sweeps = new SweepsService(ledger, new ClaimsService(ledger, timed), timed, hearing, scheduling);
    await later(30_000);
    await sweeps.sweep();
    expect((await source.transaction((tx) => takeFromOutbox(tx, 10))).map(({ message }) => message.type)).toEqual([
      'sriov.set',
    ]);
    expect((await wished())?.state).toBe('applying');
    await later(600_000);
    await sweeps.sweep();
    expect(await wished()).toMatchObject({ state: 'refused', step: 'answer', holds: false });
  });

  it('keeps the PF: it is not given back by hand meanwhile', async () => {
    await start();
    await wish(4);
    const [row] = (await source.query(`SELECT id FROM devices WHERE address = $1`, [PF])) as { id: string }[];
    const giveBack = source.transaction((tx) => holdDevice(tx, row?.id ?? '', 'unreserve', null));
    await expect(giveBack).rejects.toThrow(/number of VFs .* is being changed/);
  });
});
