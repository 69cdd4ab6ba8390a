import { join } from 'node:path';
import type { DataSource } from 'typeorm';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { InProcessBus } from '../../src/bus/in-process.bus.js';
import { startAgent, type RunningAgent } from '../../src/compute-agent/agent.js';
import { readDevice } from '../../src/compute-agent/device-reader.js';
import type { AgentReport } from '../../src/messages/bodies.js';
import type { WireDevice } from '../../src/messages/device-bodies.js';
import { envelope, type Envelope } from '../../src/messages/envelope.js';
import { agentQueue, QUEUES } from '../../src/messages/routes.js';
import { parseDeviceSpecs } from '../../src/pci/device-spec/device-spec-reader.js';
import { ClaimsService } from '../../src/scheduler/claims.service.js';
import { settleHeld } from '../../src/scheduler/held-claims.js';
import { SweepsService } from '../../src/scheduler/sweeps.service.js';
import type { AgentSettings } from '../../src/settings/settings.js';
import { readCheckedDevices } from '../../src/store/check-devices.store.js';
import {
  createDeviceClaim,
  endDeviceClaim,
  giveUpDeviceClaims,
  readClaimedAddresses,
  readDeviceClaims,
  remindDeviceClaims,
  type DeviceClaimRow,
} from '../../src/store/device-claims.store.js';
import { lockHostForChange, type LockedHost } from '../../src/store/host-admin.store.js';
import { absorbReport } from '../../src/store/inventory.store.js';
import { Ledger } from '../../src/store/ledger.js';
import { takeFromOutbox } from '../../src/store/outbox.store.js';
import { gpuWithAudioHost, temporaryHost, type HostOnDisk } from '../support/hosts.js';
import { onScheduledLedger, SETTINGS } from '../support/scheduler-world.js';

const HOST = 'node-1';
const [GPU, AUDIO] = ['0000:63:00.0', '0000:63:00.1'];
const SERVER = '33333333-3333-4333-8333-333333333333';
const SERVERS_CLAIM = '11111111-1111-4111-8111-111111111111';

let source: DataSource;
let bus: InProcessBus;
let disk: HostOnDisk;
let agent: RunningAgent | null;
/** Reports, as the agent sends them, are taken in only while this is so. */
let hears: boolean;
let outcomes: Envelope[];
const ends: (() => Promise<void>)[] = [];

onScheduledLedger((opened) => {
  source = opened.source;
});

beforeEach(async () => {
  bus = new InProcessBus({ messageBytesMax: 16_000_000, deliveryLimit: 3 }, () => undefined);
  [hears, outcomes, agent] = [true, [], null];
  ends.push(() => bus.close());
  const [written, removeDisk] = await temporaryHost(gpuWithAudioHost('n'));
  disk = written;
  ends.push(removeDisk);
  await bus.consume(
    QUEUES.reports,
    async ({ type, body }) => {
      if (hears && type === 'agent.report') await source.transaction((tx) => absorbReport(tx, body as AgentReport));
    },
    { prefetch: 1 },
  );
  await bus.consume(
    QUEUES.outcomes,
    async (message) => {
      outcomes.push(message);
      if (message.type === 'agent.holds') await settleHeld(message.body, new Ledger(source));
    },
    { prefetch: 1 },
  );
});

afterEach(async () => {
  await agent?.stop();
  for (const end of ends.splice(0).reverse()) await end();
});

function settings(): AgentSettings {
  return {
    ...{ host: HOST, sysfsRoot: disk.sysfs, procRoot: disk.proc, stateDir: join(disk.directory, 'state') },
    ...{ kernel: 'simulated', readOnly: false, scanIntervalMs: 3_600_000, heartbeatIntervalMs: 3_600_000 },
    deviceSpecs: parseDeviceSpecs([{ vendor_id: '10de', product_id: '1bb0' }], 'test', { freeTags: [] }),
    resources: { vcpus: 8, memoryMb: 8192, diskGb: 100 },
    ...{ reserved: { vcpus: 0, memoryMb: 0, diskGb: 0 }, hypervisor: { type: 'QEMU', version: null } },
  };
}

async function start(): Promise<void> {
  agent = await startAgent({ settings: settings(), bus, log: () => undefined });
  await vi.waitFor(async () => expect(await source.query(`SELECT id FROM hosts`)).toHaveLength(1));
}

/** What the relay would do. @returns what was sent of device claims */
async function deliver(): Promise<object[]> {
  const lines = await source.transaction((tx) => takeFromOutbox(tx, 100));
  const commands = lines.filter(({ message }) => message.type === 'device_claims.set');
  for (const { queue, message } of commands) await bus.publish(queue, message);
  return commands.map(({ message }) => message.body);
}

function onHost<T>(work: (host: LockedHost, tx: DataSource['manager']) => Promise<T>): Promise<T> {
  return source.transaction(async (tx) => work((await lockHostForChange(tx, HOST)) as LockedHost, tx));
}

async function facts(addresses: readonly string[]): Promise<WireDevice[]> {
  const rows = (await source.query(`SELECT facts FROM devices WHERE address = ANY($1) ORDER BY address`, [
    addresses,
  ])) as {
    facts: WireDevice;
  }[];
  return rows.map((row) => row.facts);
}

async function claim(addresses: readonly string[] = [GPU, AUDIO]): Promise<string> {
  const devices = await facts(addresses);
  return onHost((host, tx) => createDeviceClaim(tx, host, devices));
}

const end = (id: string): Promise<void> => onHost((host, tx) => endDeviceClaim(tx, host, id));
const claims = (): Promise<DeviceClaimRow[]> => onHost((host, tx) => readDeviceClaims(tx, host.id, null));
const drivers = (): (string | null | undefined)[] =>
  [GPU, AUDIO].map((address) => readDevice(disk.sysfs, address).device?.driver);

async function becomes(state: Partial<DeviceClaimRow>): Promise<void> {
  await vi.waitFor(async () => expect(await claims()).toMatchObject([state]), 10_000);
}

async function isGone(): Promise<void> {
  await vi.waitFor(async () => expect(await claims()).toEqual([]), 10_000);
}

async function enabled(): Promise<string> {
  await start();
  const id = await claim();
  await deliver();
  await becomes({ state: 'enabled' });
  return id;
}

async function ordered(type: 'devices.prepare' | 'devices.release'): Promise<void> {
  const [gpu] = await facts([GPU]);
  const { address, vendor_id, product_id } = gpu as WireDevice;
  const common = { claim_id: SERVERS_CLAIM, server_id: SERVER };
  const message =
    type === 'devices.release'
      ? envelope(type, common)
      : envelope(type, { ...common, devices: [{ address, vendor_id, product_id }] });
  await bus.publish(agentQueue(HOST), message);
  const answer = type === 'devices.prepare' ? 'devices.prepared' : 'devices.released';
  await vi.waitFor(() => expect(outcomes.map((outcome) => outcome.type)).toContain(answer), 10_000);
}

const audited = async (): Promise<Record<string, unknown>[]> => {
  const rows = (await source.query(
    `SELECT body FROM audit_pending WHERE body->>'action' LIKE 'device_claim.%' ORDER BY id`,
  )) as { body: Record<string, unknown> }[];
  return rows.map(({ body }) => body);
};

describe('a device claim', () => {
  it('is pending, enabled with the drivers that come back, releasing, and gone', async () => {
    await start();
    const id = await claim();
    expect(await claims()).toMatchObject([
      {
        ...{ id, host: HOST, address: GPU, state: 'pending', ends: false, answered_at: null },
        devices: [
          { address: GPU, driver: 'nouveau', original_driver: null, server_id: null },
          { address: AUDIO, driver: 'snd_hda_intel', original_driver: null },
        ],
      },
    ]);
    expect(await deliver()).toMatchObject([{ claims: [{ claim_id: id, address: GPU, ends: false }] }]);
    await becomes({ state: 'enabled' });
    expect(await claims()).toMatchObject([
      {
        ...{ step: null, errno: null, held_by: null, message: null, answered_at: expect.any(Date) as Date },
        devices: [
          { address: GPU, driver: 'vfio-pci', original_driver: 'nouveau' },
          { address: AUDIO, driver: 'vfio-pci', original_driver: 'snd_hda_intel' },
        ],
      },
    ]);
    expect(drivers()).toEqual(['vfio-pci', 'vfio-pci']);
    await end(id);
    expect(await claims()).toMatchObject([{ state: 'releasing', ends: true, answered_at: null }]);
    await deliver();
    await isGone();
    expect(drivers()).toEqual(['nouveau', 'snd_hda_intel']);
    expect(await audited()).toMatchObject([
      { action: 'device_claim.create', actor: 'rest', claim_id: id, address: GPU, devices: [GPU, AUDIO] },
      { action: 'device_claim.delete', actor: 'rest', claim_id: id },
      {
        ...{ action: 'device_claim.ended', actor: 'agent', claim_id: id },
        devices: [
          { address: GPU, outcome: 'restored', driver: 'nouveau' },
          { address: AUDIO, outcome: 'restored', driver: 'snd_hda_intel' },
        ],
      },
    ]);
    // the agent is told that it is forgotten
    expect(await deliver()).toMatchObject([{ claims: [] }]);
  });

  it('has each device once: the database has the last word', async () => {
    await start();
    await claim();
    const again = claim([AUDIO]);
    await expect(again).rejects.toThrow(/device_claim_devices_pkey/);
    expect(await onHost((host, tx) => readClaimedAddresses(tx, host.id))).toEqual(
      new Map([
        [GPU, GPU],
        [AUDIO, GPU],
      ]),
    );
  });

  it('is no finding of the check while it holds its devices', async () => {
    await enabled();
    await source.query(`UPDATE devices SET updated_at = now() - interval '1 day'`);
    const [host] = (await source.query(`SELECT id FROM hosts`)) as { id: string }[];
    const held = async () =>
      (await readCheckedDevices(source.manager, [host?.id ?? ''], 1000)).filter((one) => one.held);
    expect(await held()).toEqual([]);
    await source.query(`DELETE FROM device_claims`);
    expect((await held()).map(({ address }) => address)).toEqual([GPU, AUDIO]);
  });

  it('that the host refuses says why, and is looked at again', async () => {
    await start();
    const id = await claim([GPU]);
    await deliver();
    await becomes({ state: 'refused', step: 'check' });
    expect((await claims())[0]?.message).toMatch(/also holds 0000:63:00\.1 now; delete the claim/);
    await end(id);
    await deliver();
    await isGone();
  });

  it('that ends waits for the server that has a device, and says so', async () => {
    const id = await enabled();
    await ordered('devices.prepare');
    await end(id);
    await deliver();
    await becomes({ state: 'blocked', ends: true, held_by: `server ${SERVER}` });
    expect(drivers()).toEqual(['vfio-pci', 'vfio-pci']);
    await ordered('devices.release');
    await isGone();
    expect(drivers()).toEqual(['nouveau', 'snd_hda_intel']);
  });

  it('is not enabled again by what was said before it was deleted', async () => {
    const id = await enabled();
    await end(id);
    // a report that was under way
    await agent?.configure({ deviceSpecs: [], state: null });
    await vi.waitFor(async () => expect((await facts([GPU]))[0]?.offer).toBeNull());
    expect(await claims()).toMatchObject([{ state: 'releasing', ends: true }]);
    await expect(end('99999999-9999-4999-8999-999999999999')).rejects.toMatchObject({ code: 'device_claim.unknown' });
  });

  it('that the ledger has lost with its host is taken from the agent', async () => {
    await enabled();
    await source.query(`DELETE FROM devices`);
    await source.query(`DELETE FROM hosts`);
    expect(await source.query(`SELECT 1 FROM device_claim_devices`)).toEqual([]);
    await agent?.configure({ deviceSpecs: settings().deviceSpecs, state: null });
    await vi.waitFor(async () => expect(await deliver()).toMatchObject([{ claims: [] }]));
    await vi.waitFor(() => expect(drivers()).toEqual(['nouveau', 'snd_hda_intel']));
  });

  it('survives the agent: the next life has it bound, with a server on it or not', async () => {
    await enabled();
    await ordered('devices.prepare');
    await agent?.stop();
    await start();
    await agent?.stop();
    await start();
    expect(drivers()).toEqual(['vfio-pci', 'vfio-pci']);
    await ordered('devices.release');
    await becomes({ state: 'enabled' });
    expect(drivers()).toEqual(['vfio-pci', 'vfio-pci']);
  });
});

describe('a device claim whose command or answer is lost', () => {
  const later = (ms: number) =>
    source.query(
      `UPDATE device_claims SET sent_at = sent_at - $1::int * interval '1 millisecond', asked_at = asked_at - $1::int * interval '1 millisecond'`,
      [ms],
    );
  const remind = (): Promise<number> => source.transaction((tx) => remindDeviceClaims(tx, 30_000, 10));
  const giveUp = () => source.transaction((tx) => giveUpDeviceClaims(tx, 600_000, 10));

  it('is sent again, once in that time, until it is answered', async () => {
    await start();
    await claim();
    await source.query(`DELETE FROM outbox`);
    expect(await remind()).toBe(0);
    await later(30_000);
    expect([await remind(), await remind()]).toEqual([1, 0]);
    hears = false;
    await deliver();
    await vi.waitFor(() => expect(drivers()).toEqual(['vfio-pci', 'vfio-pci']));
    hears = true;
    await later(30_000);
    expect(await remind()).toBe(1);
    await deliver();
    await becomes({ state: 'enabled' });
    await later(30_000);
    expect(await remind()).toBe(0);
  });

  it('is told at the next start of an agent that was down', async () => {
    await start();
    await agent?.stop();
    await claim();
    await source.query(`DELETE FROM outbox`);
    await source.query(`UPDATE hosts SET status = 'down'`);
    await later(30_000);
    expect(await remind()).toBe(0);
    await start();
    await vi.waitFor(async () => expect(await deliver()).toHaveLength(1));
    await becomes({ state: 'enabled' });
  });

  it('says that nobody answers, at its beginning and at its end; an answer that comes after all is taken', async () => {
    await start();
    const id = await claim();
    const beginning = await source.transaction((tx) => takeFromOutbox(tx, 10));
    await later(600_000);
    expect(await giveUp()).toMatchObject([{ id, state: 'refused' }]);
    expect(await claims()).toMatchObject([{ state: 'refused', step: 'answer', errno: 'ETIMEDOUT' }]);
    expect(await giveUp()).toEqual([]);
    expect(await remind()).toBe(1);
    for (const { queue, message } of beginning) await bus.publish(queue, message);
    await becomes({ state: 'enabled', step: null, message: null });
    await end(id);
    await source.query(`DELETE FROM outbox`);
    await later(600_000);
    await giveUp();
    expect(await claims()).toMatchObject([{ state: 'blocked', ends: true, step: 'answer' }]);
    await remind();
    await deliver();
    await isGone();
    expect(drivers()).toEqual(['nouveau', 'snd_hda_intel']);
  });

  it('is seen by the sweep: first it is sent again, at last it says so', async () => {
    await start();
    await claim();
    await source.query(`DELETE FROM outbox`);
    const ledger = new Ledger(source);
    const scheduling = { lookAtQueue: async () => undefined, evacuateHosts: async () => undefined };
    const hearing = { isReady: () => true, unheardQueues: () => [] };
    const timed = { ...SETTINGS, journal: { keepHours: 1, baseIntervalMs: 1000 } };
    const sweeps = new SweepsService(ledger, new ClaimsService(ledger, timed), timed, hearing, scheduling);
    await later(30_000);
    await sweeps.sweep();
    const sent = await source.transaction((tx) => takeFromOutbox(tx, 10));
    expect(sent.map(({ message }) => message.type)).toEqual(['device_claims.set']);
    expect(await claims()).toMatchObject([{ state: 'pending' }]);
    await later(600_000);
    await sweeps.sweep();
    expect(await claims()).toMatchObject([{ state: 'refused', step: 'answer' }]);
  });
});
