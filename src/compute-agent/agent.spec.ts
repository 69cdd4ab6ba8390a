import 'reflect-metadata';
import { mkdir, readlink, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  charmsGuideHost,
  eightGpuHost,
  sriovNicHost,
  temporaryHost,
  type HostOnDisk,
} from '../../test/support/hosts.js';
import { InProcessBus } from '../bus/in-process.bus.js';
import { BerthError } from '../errors.js';
import { contentHash } from '../messages/content-hash.js';
import { envelope, type Envelope, type MessageBody, type MessageType } from '../messages/envelope.js';
import { agentQueue, QUEUES, TOPICS } from '../messages/routes.js';
import { fromWireDevice } from '../messages/wire-device.js';
import { parseDeviceSpecs } from '../pci/device-spec/device-spec-reader.js';
import type { PciDevice } from '../pci/device.js';
import { poolsOf } from '../pci/pool.js';
import { parseSriovDeclarations } from '../pci/sriov/sriov-declaration.js';
import type { ConfigurationState } from '../settings/live-configuration.js';
import type { AgentSettings } from '../settings/settings.js';
import { startAgent, type RunningAgent } from './agent.js';
import { readDevice } from './device-reader.js';
import { simulatedKernel } from './simulated-kernel.js';

const CLAIM = '11111111-1111-4111-8111-111111111111';
const OTHER_CLAIM = '22222222-2222-4222-8222-222222222222';
const SERVER = '33333333-3333-4333-8333-333333333333';
const P5000 = '0000:83:00.0';
const TARGET = { address: P5000, vendor_id: '10de', product_id: '1bb0' };

const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

/** A broker, and all that the centre would have received. */
class Centre {
  readonly bus = new InProcessBus({ messageBytesMax: 16_000_000, deliveryLimit: 3 }, () => undefined);
  readonly received: Envelope[] = [];

  async listen(): Promise<this> {
    ends.push(() => this.bus.close());
    await this.bus.listen(TOPICS.heartbeats, async (message) => void this.received.push(message));
    for (const queue of [QUEUES.reports, QUEUES.outcomes]) {
      await this.bus.consume(queue, async (message) => void this.received.push(message), { prefetch: 10 });
    }
    return this;
  }

  all<T extends MessageType>(type: T): MessageBody<T>[] {
    return this.received.filter((message) => message.type === type).map((message) => message.body as MessageBody<T>);
  }

  /** The `count`th message of a type. */
  async nth<T extends MessageType>(type: T, count = 1): Promise<MessageBody<T>> {
    return vi.waitFor(() => {
      const found = this.all(type)[count - 1];
      expect(found, `${type} number ${count}`).toBeDefined();
      return found as MessageBody<T>;
    }, 10_000);
  }

  async command<T extends MessageType>(host: string, type: T, body: MessageBody<T>): Promise<void> {
    await this.bus.publish(agentQueue(host), envelope(type, body));
  }

  async prepare(host: string, claimId = CLAIM, devices = [TARGET]): Promise<void> {
    await this.command(host, 'devices.prepare', { claim_id: claimId, server_id: SERVER, devices });
  }

  async release(host: string, claimId = CLAIM): Promise<void> {
    await this.command(host, 'devices.release', { claim_id: claimId, server_id: SERVER });
  }
}

async function onDisk(host: Parameters<typeof temporaryHost>[0]): Promise<HostOnDisk> {
  const [disk, remove] = await temporaryHost(host);
  ends.push(remove);
  return disk;
}

function settings(name: string, disk: HostOnDisk, more: Partial<AgentSettings> = {}): AgentSettings {
  return {
    host: name,
    sysfsRoot: disk.sysfs,
    procRoot: disk.proc,
    stateDir: join(disk.directory, 'state'),
    kernel: 'simulated',
    readOnly: false,
    deviceSpecs: parseDeviceSpecs([{ vendor_id: '10de' }], 'test', { freeTags: [] }),
    scanIntervalMs: 3_600_000,
    heartbeatIntervalMs: 3_600_000,
    resources: { vcpus: null, memoryMb: null, diskGb: 100 },
    ...{ reserved: { vcpus: 0, memoryMb: 0, diskGb: 0 }, hypervisor: { type: 'QEMU', version: null } },
    ...more,
  };
}

async function start(centre: Centre, told: AgentSettings): Promise<RunningAgent> {
  const agent = await startAgent({ settings: told, bus: centre.bus, log: () => undefined });
  ends.push(() => agent.stop());
  return agent;
}

describe('reports', () => {
  it('state the whole host when the agent starts, with pools and a hash that the centre can check', async () => {
    const centre = await new Centre().listen();
    const agent = await start(centre, settings('node-1', await onDisk(eightGpuHost('g'))));
    const report = await centre.nth('agent.report');
    expect(report).toMatchObject({ host: 'node-1', sequence: 1, epoch: agent.status().epoch });
    expect(report.hash).toBe(contentHash({ facts: report.facts, devices: report.devices }));
    const pools = poolsOf(report.devices.map(fromWireDevice)).map(({ key, count }) => ({ key, count }));
    expect(report.pools).toEqual(pools);
    expect(pools.reduce((total, pool) => total + pool.count, 0)).toBe(8);
    expect(agent.status()).toMatchObject({ ready: true, problems: [] });
  });

  it('come again when asked for, and when something changed; else a heartbeat with the last hash', async () => {
    const centre = await new Centre().listen();
    const disk = await onDisk(charmsGuideHost('h'));
    await start(centre, settings('node-1', disk, { scanIntervalMs: 20, heartbeatIntervalMs: 50 }));
    const first = await centre.nth('agent.report');
    const beat = await centre.nth('agent.heartbeat', 2);
    expect(beat).toEqual({ host: 'node-1', epoch: first.epoch, sequence: 1, hash: first.hash });
    expect(centre.all('agent.report')).toHaveLength(1);

    await centre.command('node-1', 'report.request', { reason: 'test' });
    expect(await centre.nth('agent.report', 2)).toMatchObject({ sequence: 2, hash: first.hash });

    await rm(join(disk.sysfs, 'bus/pci/devices', P5000));
    const third = await centre.nth('agent.report', 3);
    expect(third.sequence).toBe(3);
    expect(third.hash).not.toBe(first.hash);
    expect(third.devices).toHaveLength(first.devices.length - 1);
  });

  it('come soon after the kernel told of a change, long before the periodic scan', async () => {
    const centre = await new Centre().listen();
    const disk = await onDisk(charmsGuideHost('h'));
    await mkdir(join(disk.sysfs, 'kernel'), { recursive: true });
    const tell = (count: number): Promise<void> => writeFile(join(disk.sysfs, 'kernel/uevent_seqnum'), `${count}\n`);
    const card = join(disk.sysfs, 'bus/pci/devices', P5000);
    const link = await readlink(card);
    await rm(card);
    await tell(4711);
    await start(centre, settings('node-1', disk));
    const first = await centre.nth('agent.report');
    await symlink(link, card);
    await tell(4730);
    // the periodic scan is an hour away
    const second = await centre.nth('agent.report', 2);
    expect(second.devices).toHaveLength(first.devices.length + 1);
    expect(second.devices.find(({ address }) => address === P5000)?.offer).not.toBeNull();
  });

  it('have a later epoch in each life of the agent', async () => {
    const centre = await new Centre().listen();
    const told = settings('node-1', await onDisk(charmsGuideHost('h')));
    await (await start(centre, told)).stop();
    await start(centre, { ...told, reserved: { ...told.reserved, vcpus: 1 } });
    const [first, second] = [await centre.nth('agent.report', 1), await centre.nth('agent.report', 2)];
    expect(second.epoch).toBeGreaterThan(first.epoch);
    expect(second.sequence).toBe(1);
  });

  it('are not sent again by a new life that finds the host as it was: it says so, and reports when it is asked', async () => {
    const centre = await new Centre().listen();
    const told = settings('node-1', await onDisk(charmsGuideHost('h')));
    await (await start(centre, told)).stop();
    const first = await centre.nth('agent.report');
    const agent = await start(centre, told);
    const { epoch } = agent.status();
    expect(epoch).toBeGreaterThan(first.epoch);
    expect(agent.status()).toMatchObject({ ready: true, problems: [] });
    expect(await centre.nth('agent.heartbeat')).toEqual({ host: 'node-1', epoch, sequence: 0, hash: first.hash });
    expect(centre.all('agent.report')).toHaveLength(1);

    await centre.command('node-1', 'report.request', { reason: 'test' });
    expect(await centre.nth('agent.report', 2)).toMatchObject({ epoch, sequence: 1, hash: first.hash });
  });

  it('are sent in full by a new life that does not know what the former one said', async () => {
    const centre = await new Centre().listen();
    const told = settings('node-1', await onDisk(charmsGuideHost('h')));
    await (await start(centre, told)).stop();
    await writeFile(join(told.stateDir, 'last-report.json'), '{"hash": "none"}');
    await start(centre, told);
    expect(await centre.nth('agent.report', 2)).toMatchObject({ sequence: 1 });
    expect(centre.all('agent.heartbeat')).toEqual([]);
  });

  it('that cannot be sent are sent when the broker is back, once', async () => {
    const centre = await new Centre().listen();
    const publish = centre.bus.publish.bind(centre.bus);
    let down = true;
    centre.bus.publish = async (queue, message) => {
      if (down) throw new BerthError('bus.unavailable', 'down');
      return publish(queue, message);
    };
    const told = settings('node-1', await onDisk(charmsGuideHost('h')), { scanIntervalMs: 20 });
    const agent = await start(centre, told);
    expect(agent.status()).toMatchObject({ ready: false, problems: ['no report was sent yet'] });
    await delay(100);
    down = false;
    expect((await centre.nth('agent.report')).sequence).toBe(1);
    await delay(100);
    expect(centre.all('agent.report')).toHaveLength(1);
    expect(agent.status().ready).toBe(true);
  });

  it('that were asked for while the broker was down are owed, even when the request was given up', async () => {
    const centre = await new Centre().listen();
    await start(centre, settings('node-1', await onDisk(charmsGuideHost('h')), { scanIntervalMs: 20 }));
    await centre.nth('agent.report');
    const publish = centre.bus.publish.bind(centre.bus);
    let down = true;
    centre.bus.publish = async (queue, message) => {
      if (down) throw new BerthError('bus.unavailable', 'down');
      return publish(queue, message);
    };
    await publish(agentQueue('node-1'), envelope('report.request', {}));
    await vi.waitFor(() => expect(centre.bus.deadLetters(agentQueue('node-1'))).toHaveLength(1), 10_000);
    down = false;
    expect((await centre.nth('agent.report', 2)).sequence).toBe(2);
  });

  it('of a host that cannot be read are not made up, nor are heartbeats', async () => {
    const centre = await new Centre().listen();
    const disk = await onDisk(charmsGuideHost('h'));
    const told = settings('node-1', disk, { scanIntervalMs: 20, heartbeatIntervalMs: 20 });
    const agent = await start(centre, told);
    await centre.nth('agent.heartbeat');
    await rm(join(disk.sysfs, 'bus/pci/devices'), { recursive: true });
    await vi.waitFor(() => expect(agent.status().ready).toBe(false));
    const heard = centre.received.length;
    await delay(150);
    expect(centre.received.length - heard).toBeLessThanOrEqual(1);
    expect(agent.status().problems[0]).toContain('bus/pci/devices cannot be read');
  });
});

describe('a configuration that was read again', () => {
  const state = (more: Partial<ConfigurationState> = {}): ConfigurationState => ({
    loadedAt: new Date('2026-03-01T12:00:00Z'),
    problem: null,
    problemSince: null,
    needsRestart: [],
    ...more,
  });
  const specs = (...entries: object[]) => parseDeviceSpecs(entries, 'test', { freeTags: [] });
  const offered = (report: MessageBody<'agent.report'>): string[] =>
    report.devices.filter(({ offer }) => offer !== null).map(({ vendor_id }) => vendor_id);

  it('decides the next report, which comes at once, in the same life of the agent', async () => {
    const centre = await new Centre().listen();
    const agent = await start(centre, settings('node-1', await onDisk(charmsGuideHost('h'))));
    const first = await centre.nth('agent.report');
    expect(first.facts.configuration).toBeUndefined();
    expect(offered(first)).toEqual(['10de', '10de']);
    await agent.configure({ deviceSpecs: specs({ product_id: '10f0' }), state: state() });
    const second = await centre.nth('agent.report', 2);
    expect(second).toMatchObject({ epoch: first.epoch, sequence: 2 });
    expect(offered(second)).toEqual([]);
    expect(second.facts.configuration).toEqual({
      loaded_at: '2026-03-01T12:00:00.000Z',
      problem: null,
      needs_restart: [],
    });
    expect(second.hash).toBe(contentHash({ facts: second.facts, devices: second.devices }));
  });

  it('and is bad is told of with the whitelist that stays', async () => {
    const centre = await new Centre().listen();
    const told = settings('node-1', await onDisk(charmsGuideHost('h')));
    const agent = await start(centre, told);
    const bad = state({ problem: 'x'.repeat(5000), problemSince: new Date(), needsRestart: ['agent.sysfs_root'] });
    await agent.configure({ deviceSpecs: told.deviceSpecs, state: bad });
    const report = await centre.nth('agent.report', 2);
    expect(offered(report)).toEqual(['10de', '10de']);
    expect(report.facts.configuration).toMatchObject({
      problem: 'x'.repeat(2000),
      needs_restart: ['agent.sysfs_root'],
    });
  });

  it('is never half in a report, however the changes fall between scans', async () => {
    const centre = await new Centre().listen();
    const disk = await onDisk(charmsGuideHost('h'));
    const agent = await start(centre, settings('node-1', disk, { scanIntervalMs: 5 }));
    const even = specs({ vendor_id: '10de' });
    const rounds = Array.from({ length: 40 }, (_, round) => round);
    await Promise.all(
      rounds.map(async (round) => {
        await delay(round * 3);
        const deviceSpecs = round % 2 === 0 ? even : [];
        await agent.configure({ deviceSpecs, state: state({ loadedAt: new Date(round) }) });
      }),
    );
    const reports = await vi.waitFor(() => {
      const all = centre.all('agent.report').slice(1);
      expect(all.at(-1)?.facts.configuration?.loaded_at).toBe(new Date(39).toISOString());
      return all;
    }, 10_000);
    for (const report of reports) {
      const round = Date.parse(report.facts.configuration?.loaded_at ?? '');
      expect(offered(report)).toHaveLength(round % 2 === 0 ? 2 : 0);
    }
  });

  it('while the broker is down is in force, and reported when it is back', async () => {
    const centre = await new Centre().listen();
    const agent = await start(centre, settings('node-1', await onDisk(charmsGuideHost('h')), { scanIntervalMs: 20 }));
    await centre.nth('agent.report');
    const publish = centre.bus.publish.bind(centre.bus);
    centre.bus.publish = () => Promise.reject(new BerthError('bus.unavailable', 'no broker'));
    await agent.configure({ deviceSpecs: [], state: state() });
    centre.bus.publish = publish;
    expect(offered(await centre.nth('agent.report', 2))).toEqual([]);
  });

  it('is asked for by a command; an agent without files of its own reports in full', async () => {
    const centre = await new Centre().listen();
    const disk = await onDisk(charmsGuideHost('h'));
    let asked = 0;
    const reload = async (): Promise<void> => {
      asked++;
      await agent.configure({ deviceSpecs: [], state: state() });
    };
    const agent = await startAgent({
      settings: settings('node-1', disk),
      bus: centre.bus,
      log: () => undefined,
      reload,
    });
    ends.push(() => agent.stop());
    await centre.command('node-1', 'agent.reload', {});
    expect(offered(await centre.nth('agent.report', 2))).toEqual([]);
    expect(asked).toBe(1);
    await agent.stop();

    const other = await new Centre().listen();
    await start(other, settings('node-2', await onDisk(charmsGuideHost('h'))));
    await other.command('node-2', 'agent.reload', { reason: 'asked for' });
    expect(await other.nth('agent.report', 2)).toMatchObject({ host: 'node-2', sequence: 2 });
  });
});

describe('commands', () => {
  it('are carried out and answered, and the new drivers reported', async () => {
    const centre = await new Centre().listen();
    const disk = await onDisk(charmsGuideHost('h'));
    const agent = await start(centre, settings('node-1', disk));
    const native = readDevice(disk.sysfs, P5000).device?.driver;
    await centre.prepare('node-1');
    const prepared = await centre.nth('devices.prepared');
    expect(prepared).toMatchObject({ host: 'node-1', epoch: agent.status().epoch, claim_id: CLAIM, server_id: SERVER });
    expect(prepared.bindings).toMatchObject([{ address: P5000, driver: 'vfio-pci', original_driver: native }]);
    const report = await centre.nth('agent.report', 2);
    expect(report.devices.find((device) => device.address === P5000)?.driver).toBe('vfio-pci');

    await centre.prepare('node-1');
    expect((await centre.nth('devices.prepared', 2)).bindings).toEqual(prepared.bindings);

    await centre.release('node-1');
    const released = await centre.nth('devices.released');
    expect(released.devices).toEqual([{ address: P5000, outcome: 'restored', driver: native }]);
    await centre.release('node-1');
    expect((await centre.nth('devices.released', 2)).devices).toEqual([]);
    await centre.prepare('node-1');
    expect((await centre.nth('devices.prepare_failed')).code).toBe('claim.released');
    expect(readDevice(disk.sysfs, P5000).device?.driver).toBe(native);
  });

  it('sent in one go end as they were sent', async () => {
    const centre = await new Centre().listen();
    const disk = await onDisk(charmsGuideHost('h'));
    await start(centre, settings('node-1', disk));
    await Promise.all([
      centre.prepare('node-1'),
      centre.release('node-1'),
      centre.prepare('node-1', OTHER_CLAIM),
      centre.prepare('node-1'),
    ]);
    await centre.nth('devices.prepare_failed');
    const outcomes = centre.received.filter(({ type }) => type.startsWith('devices.'));
    expect(outcomes.map(({ type, body }) => [type, 'claim_id' in body && body.claim_id]).sort()).toEqual(
      [
        ['devices.prepared', CLAIM],
        ['devices.released', CLAIM],
        ['devices.prepared', OTHER_CLAIM],
        ['devices.prepare_failed', CLAIM],
      ].sort(),
    );
    expect(readDevice(disk.sysfs, P5000).device?.driver).toBe('vfio-pci');
  });

  it('that fail are answered with step, errno and remedy', async () => {
    const centre = await new Centre().listen();
    const disk = await onDisk(sriovNicHost('n', 2));
    await simulatedKernel(disk.sysfs)('bus/pci/drivers/i40e/unbind', '0000:81:00.0'); // its VFs stay
    await start(centre, settings('node-1', disk));
    await centre.prepare('node-1', CLAIM, [{ address: '0000:81:00.0', vendor_id: '8086', product_id: '1572' }]);
    expect(await centre.nth('devices.prepare_failed')).toMatchObject({
      code: 'binding.failed',
      address: '0000:81:00.0',
      step: 'read_back',
      errno: 'EBUSY',
      message: expect.stringContaining('sriov_numvfs') as string,
    });
  });

  it('to bind are refused by an agent that only looks', async () => {
    const centre = await new Centre().listen();
    const disk = await onDisk(charmsGuideHost('h'));
    await start(centre, settings('node-1', disk, { readOnly: true }));
    await centre.prepare('node-1');
    expect(await centre.nth('devices.prepare_failed')).toMatchObject({
      code: 'binding.refused',
      message: 'this agent only looks: read_only is set',
    });
    await centre.release('node-1');
    expect((await centre.nth('devices.released')).devices).toEqual([]);
    const report = await centre.nth('agent.report');
    expect(report.facts.read_only).toBe(true);
    expect(report.pools).toEqual([]);
  });

  it('whose answer cannot be sent come again', async () => {
    const centre = await new Centre().listen();
    const disk = await onDisk(charmsGuideHost('h'));
    await start(centre, settings('node-1', disk));
    const publish = centre.bus.publish.bind(centre.bus);
    let refusals = 1;
    centre.bus.publish = async (queue, message) => {
      if (queue === QUEUES.outcomes && refusals-- > 0) throw new BerthError('bus.unavailable', 'down');
      return publish(queue, message);
    };
    await centre.prepare('node-1');
    expect((await centre.nth('devices.prepared')).bindings).toHaveLength(1);
    expect(centre.bus.deadLetters(agentQueue('node-1'))).toEqual([]);
  });

  it('to tell the journal are answered with what it holds, also by an agent that only looks', async () => {
    const centre = await new Centre().listen();
    const disk = await onDisk(charmsGuideHost('h'));
    const told = settings('node-1', disk);
    const agent = await start(centre, told);
    const ask = (asked_at: string): Promise<void> => centre.command('node-1', 'journal.request', { asked_at });
    await ask('2026-03-01T12:00:00.000Z');
    const { epoch } = agent.status();
    expect(await centre.nth('agent.journal')).toEqual({
      ...{ host: 'node-1', epoch, asked_at: '2026-03-01T12:00:00.000Z', claims: [] },
    });
    await centre.prepare('node-1');
    await centre.nth('devices.prepared');
    await ask('2026-03-01T12:00:01.000Z');
    const claims = [{ claim_id: CLAIM, server_id: SERVER, state: 'prepared', addresses: [P5000] }];
    expect(await centre.nth('agent.journal', 2)).toMatchObject({ asked_at: '2026-03-01T12:00:01.000Z', claims });
    await agent.stop();
    await start(centre, { ...told, readOnly: true });
    await ask('2026-03-01T12:00:02.000Z');
    const last = await centre.nth('agent.journal', 3);
    expect(last.epoch).toBeGreaterThan(epoch);
    expect(last.claims).toEqual(claims);
    await centre.command('node-1', 'devices.release', { claim_id: OTHER_CLAIM, server_id: SERVER });
    await centre.nth('devices.released');
  });

  it('survive a restart of the agent: what was prepared can be released', async () => {
    const centre = await new Centre().listen();
    const disk = await onDisk(charmsGuideHost('h'));
    const told = settings('node-1', disk);
    const first = await start(centre, told);
    await centre.prepare('node-1');
    await centre.nth('devices.prepared');
    await first.stop();
    await centre.release('node-1');
    await delay(50);
    expect(centre.all('devices.released')).toEqual([]);
    await start(centre, told);
    expect((await centre.nth('devices.released')).devices).toMatchObject([{ outcome: 'restored' }]);
  });
});

describe('VFs', () => {
  const PF = '0000:81:00.0';
  const VF = '0000:81:02.1';
  const declared = (vf_count: number) => parseSriovDeclarations([{ address: PF, vf_count }], 'agent.yaml:3');
  const numbersIn = ({ devices, facts }: MessageBody<'agent.report'>) => {
    return [devices.filter(({ parent_address }) => parent_address === PF).length, facts.sriov?.[0]?.state];
  };

  it('that are declared are in the first report, and change with the configuration', async () => {
    const centre = await new Centre().listen();
    const told = settings('node-1', await onDisk(sriovNicHost('n', 0)), { sriov: declared(3) });
    const agent = await start(centre, told);
    const first = await centre.nth('agent.report');
    expect(numbersIn(first)).toEqual([3, 'applied']);
    expect(first.facts.sriov).toMatchObject([{ address: PF, source: 'file', where: 'agent.yaml:3', vf_count: 3 }]);
    await agent.configure({ deviceSpecs: [], sriov: declared(5), state: null });
    expect(numbersIn(centre.all('agent.report').at(-1) as MessageBody<'agent.report'>)).toEqual([5, 'applied']);
  });

  it('that are wished are there with the next report, which says so; again after a restart', async () => {
    const centre = await new Centre().listen();
    const told = settings('node-1', await onDisk(sriovNicHost('n', 0)));
    const first = await start(centre, told);
    await centre.nth('agent.report');
    const wishes = [{ address: PF, revision: 7, vendor_id: '8086', product_id: '1572', vf_count: 4 }];
    await centre.command('node-1', 'sriov.set', { revision: 7, wishes });
    const second = await centre.nth('agent.report', 2);
    expect(numbersIn(second)).toEqual([4, 'applied']);
    expect(second.facts.sriov).toMatchObject([{ source: 'ledger', revision: 7 }]);
    await centre.command('node-1', 'sriov.set', { revision: 7, wishes });
    expect((await centre.nth('agent.report', 3)).hash).toBe(second.hash);
    await first.stop();
    await simulatedKernel(told.sysfsRoot)(`bus/pci/devices/${PF}/sriov_numvfs`, '0');
    await start(centre, told);
    await vi.waitFor(() => expect(readDevice(told.sysfsRoot, PF).device?.sriov?.numVfs).toBe(4));
  });

  it('are there after a reboot before a claim wants one', async () => {
    const centre = await new Centre().listen();
    const told = settings('node-1', await onDisk(sriovNicHost('n', 0)), { sriov: declared(3) });
    const first = await start(centre, told);
    const { vendorId, productId } = readDevice(told.sysfsRoot, VF).device as PciDevice;
    await centre.prepare('node-1', CLAIM, [{ address: VF, vendor_id: vendorId, product_id: productId }]);
    await centre.nth('devices.prepared');
    await first.stop();
    await simulatedKernel(told.sysfsRoot)(`bus/pci/devices/${PF}/sriov_numvfs`, '0');
    await start(centre, told);
    await vi.waitFor(() => expect(readDevice(told.sysfsRoot, VF).device?.driver).toBe('vfio-pci'));
    expect(centre.all('devices.prepare_failed')).toEqual([]);
  });
});

it('three hosts in one process keep apart', async () => {
  const centre = await new Centre().listen();
  const hosts = ['node-1', 'node-2', 'node-3'];
  const disks = await Promise.all(hosts.map((name) => onDisk(charmsGuideHost(name))));
  await Promise.all(hosts.map((name, index) => start(centre, settings(name, disks[index] as HostOnDisk))));
  await centre.prepare('node-2');
  expect((await centre.nth('devices.prepared')).host).toBe('node-2');
  const drivers = disks.map((disk) => readDevice(disk.sysfs, P5000).device?.driver === 'vfio-pci');
  expect(drivers).toEqual([false, true, false]);
  await centre.nth('agent.report', 4);
  expect(new Set(centre.all('agent.report').map((report) => report.host))).toEqual(new Set(hosts));
});

it('a host name that is none stops the agent before it begins', async () => {
  const centre = await new Centre().listen();
  const disk = await onDisk('small');
  const started = startAgent({ settings: settings('a/b', disk), bus: centre.bus, log: () => undefined });
  await expect(started).rejects.toMatchObject({
    code: 'settings.invalid',
    message: expect.stringContaining('agent.host') as string,
  });
});
