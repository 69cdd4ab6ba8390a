import { mkdtempSync, readFileSync, rmSync, writeFileSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { WireBinding } from '../../messages/bodies.js';
import type { GuestAct, WireServer } from '../../messages/server-bodies.js';
import { BindingProblems } from '../binding-problems.js';
import { MemoryHypervisor } from '../../../test/support/memory-hypervisor.js';
import { GuestRecords, type GuestRecord } from './guest-records.js';
import { Guests } from './guests.js';

const SERVER = '11111111-1111-4111-8111-111111111111';
const CLAIM = '22222222-2222-4222-8222-222222222222';
const OTHER_CLAIM = '33333333-3333-4333-8333-333333333333';
const server: WireServer = { name: 'one', project_id: 'p', vcpus: 1, memory_mb: 64 };

const bound = (address: string): WireBinding => {
  return { address, driver: 'vfio-pci', original_driver: null, iommu_group: 1 };
};
const NIC = bound('0000:01:00.0');
const GPU = bound('0000:02:00.0');

describe('guests', () => {
  let stateDir: string;
  let hypervisor: MemoryHypervisor;
  let problems: BindingProblems;
  let told: GuestRecord[];
  let logged: string[];
  let guests: Guests;

  beforeEach(async () => {
    stateDir = mkdtempSync(join(tmpdir(), 'berth-guests-'));
    hypervisor = new MemoryHypervisor();
    problems = new BindingProblems();
    told = [];
    logged = [];
    guests = await life();
  });

  afterEach(async () => {
    await guests.stop();
    rmSync(stateDir, { recursive: true });
  });

  /** As after a `kill -9`: with what is on disk, and the guests that run. */
  const life = async (): Promise<Guests> => {
    const records = await GuestRecords.open(stateDir, () => undefined);
    const tell = async (record: GuestRecord): Promise<void> => void told.push(record);
    return new Guests({
      driver: hypervisor,
      records,
      problems,
      log: (_level, message) => logged.push(message),
      tell,
      lookMs: 5,
    });
  };

  const onDisk = (): { state: string; devices: { address: string }[]; told?: boolean }[] =>
    JSON.parse(readFileSync(join(stateDir, 'guests.json'), 'utf8')).guests;

  const started = async (): Promise<void> => {
    await guests.expect({ claimId: CLAIM, serverId: SERVER, server });
    await guests.enter({ claimId: CLAIM, serverId: SERVER }, [NIC]);
  };

  it('starts with the devices of its server, and ends with its claim', async () => {
    await started();
    expect(onDisk()).toMatchObject([{ state: 'running', driver: 'qemu', devices: [NIC], notes: { pid: 4711 } }]);
    await guests.leave(CLAIM, SERVER, [NIC.address]);
    expect(hypervisor.calls).toEqual([`start ${NIC.address}`, 'stop gently 4711']);
    expect(onDisk()).toEqual([]);
  });

  it('is not there for a server that nobody said anything of', async () => {
    await guests.expect({ claimId: CLAIM, serverId: SERVER });
    await guests.enter({ claimId: CLAIM, serverId: SERVER }, [NIC]);
    await guests.leave(CLAIM, SERVER, [NIC.address]);
    expect(hypervisor.calls).toEqual([]);
  });

  it('does nothing twice, whatever comes again', async () => {
    await started();
    await started();
    await guests.enter({ claimId: OTHER_CLAIM, serverId: SERVER }, [GPU]);
    await guests.enter({ claimId: OTHER_CLAIM, serverId: SERVER }, [GPU]);
    await guests.leave(OTHER_CLAIM, SERVER, [GPU.address]);
    await guests.leave(OTHER_CLAIM, SERVER, [GPU.address]);
    await guests.leave(CLAIM, SERVER, [NIC.address]);
    await guests.leave(CLAIM, SERVER, [NIC.address]);
    expect(hypervisor.calls).toEqual([
      `start ${NIC.address}`,
      `attach ${GPU.address}`,
      `detach ${GPU.address}`,
      'stop gently 4711',
    ]);
  });

  it('ends also when all its devices were taken from it before', async () => {
    await started();
    await guests.leave(OTHER_CLAIM, SERVER, [NIC.address]);
    expect(onDisk()).toMatchObject([{ state: 'running', devices: [] }]);
    await guests.leave(CLAIM, null, []);
    expect(hypervisor.calls.at(-1)).toBe('stop gently 4711');
  });

  it('is started by the next life of an agent that died before it had', async () => {
    await guests.expect({ claimId: CLAIM, serverId: SERVER, server });
    guests = await life();
    // What an agent binds again at its start, it does without the centre's word on the server.
    await guests.enter({ claimId: CLAIM, serverId: SERVER }, [NIC]);
    expect(hypervisor.calls).toEqual([`start ${NIC.address}`]);
    expect(onDisk()).toMatchObject([{ state: 'running' }]);
  });

  it('has a device plugged in by the next life of an agent that died before it had', async () => {
    await started();
    hypervisor.fails = 'attach';
    await expect(guests.enter({ claimId: OTHER_CLAIM, serverId: SERVER }, [GPU])).rejects.toThrow('no attach');
    guests = await life();
    await guests.enter({ claimId: OTHER_CLAIM, serverId: SERVER }, [GPU]);
    await guests.enter({ claimId: OTHER_CLAIM, serverId: SERVER }, [GPU]);
    expect(hypervisor.running.get(SERVER)).toEqual([NIC.address, GPU.address]);
    expect(hypervisor.calls.filter((call) => call.startsWith('attach'))).toHaveLength(2);
    await guests.leave(OTHER_CLAIM, SERVER, [GPU.address]);
    expect(onDisk()).toMatchObject([{ devices: [NIC] }]);
  });

  it('says once that it cannot be looked at', async () => {
    await started();
    hypervisor.fails = 'state';
    hypervisor.failsFor = 3;
    guests.watch();
    await expect.poll(() => hypervisor.failsFor).toBe(0);
    expect(logged.filter((message) => message === 'A guest could not be looked at')).toHaveLength(1);
    expect(onDisk()).toMatchObject([{ state: 'running' }]);
  });

  it('goes when it could not be started', async () => {
    hypervisor.fails = 'start';
    await expect(started()).rejects.toThrow('no start');
    expect(onDisk()).toMatchObject([{ state: 'starting' }]);
    await guests.leave(CLAIM, SERVER, [NIC.address]);
    expect(hypervisor.calls.at(-1)).toBe('stop at once -');
    expect(onDisk()).toEqual([]);
  });

  it('stays, and its devices are told to be refused, while it cannot be ended', async () => {
    await started();
    hypervisor.fails = 'stop';
    await expect(guests.leave(CLAIM, SERVER, [NIC.address])).rejects.toThrow('no stop');
    expect(problems.of(NIC.address)).toMatchObject({ state: 'refused', step: 'guest_stop', claimId: CLAIM });
    guests = await life();
    expect(onDisk()).toMatchObject([{ state: 'stopping' }]);
    await guests.leave(CLAIM, SERVER, [NIC.address]);
    expect(problems.of(NIC.address)).toBeNull();
    expect(onDisk()).toEqual([]);
  });

  it('is told of once when it ends by itself, and not started again', async () => {
    await started();
    hypervisor.running.clear();
    guests.watch();
    await expect.poll(() => told.length).toBe(1);
    await expect.poll(() => onDisk()[0]?.told).toBe(true);
    expect(told[0]).toMatchObject({ serverId: SERVER, message: 'it has shut down' });
    await guests.stop();
    guests = await life();
    guests.watch();
    await started();
    await guests.enter({ claimId: OTHER_CLAIM, serverId: SERVER }, [GPU]);
    expect(hypervisor.calls).toEqual([`start ${NIC.address}`]);
    expect(told).toHaveLength(1);
    await guests.leave(CLAIM, SERVER, [NIC.address]);
    expect(onDisk()).toEqual([]);
  });

  const order = (act: GuestAct, number: number, image?: string) =>
    guests.act({ server_id: SERVER, order: number, act, ...(image === undefined ? {} : { image }) });

  it('is stopped and started as it is asked for, and by nothing else', async () => {
    await started();
    expect(await order('stop', 1)).toBeNull();
    expect(onDisk()).toMatchObject([{ state: 'stopped', devices: [NIC] }]);
    guests = await life();
    // what an agent does at its start, and with what is attached meanwhile
    await started();
    await guests.enter({ claimId: OTHER_CLAIM, serverId: SERVER }, [GPU]);
    guests.watch();
    expect(hypervisor.calls).toEqual([`start ${NIC.address}`, 'stop gently 4711']);
    expect(await order('start', 2, 'other.qcow2')).toBeNull();
    expect(hypervisor.calls.at(-1)).toBe(`start ${NIC.address} ${GPU.address}`);
    expect(onDisk()).toMatchObject([{ state: 'running', server: { image: 'other.qcow2' } }]);
    expect(told).toEqual([]);
  });

  it.each<[GuestAct, string[]]>([
    ['start', ['resume']],
    ['reboot', ['stop gently 4711', `start ${NIC.address}`]],
    ['rebuild', ['stop gently 4711', `start ${NIC.address}`]],
    ['reboot_hard', ['reset', 'resume']],
    ['pause', ['pause']],
    ['unpause', ['resume']],
    ['suspend', ['pause']],
    ['resume', ['resume']],
  ])('%s does %j with a running one, once', async (act, calls) => {
    await started();
    expect([await order(act, 7), await order(act, 7)]).toEqual([null, null]);
    expect(hypervisor.calls.slice(1)).toEqual(calls);
    expect(onDisk()).toMatchObject([{ state: 'running' }]);
    expect(await order(act, 6)).toContain('later');
  });

  it('says why it could not be acted on, and the same when it is asked again', async () => {
    await started();
    hypervisor.fails = 'pause';
    expect([await order('pause', 1), await order('pause', 1)]).toEqual(['no pause', 'no pause']);
    expect(await order('pause', 2)).toBeNull();
    await guests.leave(CLAIM, SERVER, [NIC.address]);
    expect(await order('start', 3)).toBeNull();
    await guests.expect({ claimId: CLAIM, serverId: SERVER, server });
    expect(await order('start', 4)).toContain('expected');
  });

  it('is started after it has ended by itself', async () => {
    await started();
    hypervisor.running.clear();
    guests.watch();
    await expect.poll(() => told.length).toBe(1);
    expect(await order('reboot_hard', 1)).toBeNull();
    expect(onDisk()).toMatchObject([{ state: 'running' }]);
    expect(hypervisor.calls.at(-1)).toBe(`start ${NIC.address}`);
  });

  it('gives way to one of a later claim of its server', async () => {
    await started();
    await guests.expect({ claimId: OTHER_CLAIM, serverId: SERVER, server });
    await guests.enter({ claimId: OTHER_CLAIM, serverId: SERVER }, [GPU]);
    await guests.leave(CLAIM, SERVER, [NIC.address]);
    expect(hypervisor.calls).toEqual([`start ${NIC.address}`, 'stop gently 4711', `start ${GPU.address}`]);
    expect([...hypervisor.running.values()]).toEqual([[GPU.address]]);
  });

  it.each([
    '{',
    '{"version":2,"guests":[]}',
    '{"version":1,"guests":[{"serverId":"../../etc"}]}',
    '[]',
    '{"version":1}',
  ])('sets %s aside', async (text) => {
    writeFileSync(join(stateDir, 'guests.json'), text);
    const complaints: string[] = [];
    const records = await GuestRecords.open(stateDir, (level) => complaints.push(level));
    expect(records.all()).toEqual([]);
    expect(complaints).toEqual(['error']);
    expect(readdirSync(stateDir)).toEqual([expect.stringMatching(/^guests\.json\.corrupt-\d+$/)]);
  });
});
