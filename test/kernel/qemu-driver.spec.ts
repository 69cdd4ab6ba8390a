import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Guest, GuestNotes } from '../../src/compute-agent/compute-driver/compute-driver.js';
import { processOf } from '../../src/compute-agent/compute-driver/guest-process.js';
import { QemuDriver } from '../../src/compute-agent/compute-driver/qemu.driver.js';
import { Qmp } from '../../src/compute-agent/compute-driver/qmp.js';
import type { WireBinding } from '../../src/messages/bodies.js';
import type { WireServer } from '../../src/messages/server-bodies.js';
import type { GuestSettings, QemuSettings } from '../../src/settings/settings.js';
import { findPrograms } from './programs.js';

const SERVER = '11111111-1111-4111-8111-111111111111';
const CLAIM = '22222222-2222-4222-8222-222222222222';
const PLUGGED: WireBinding = {
  ...{ address: '0000:09:00.0', driver: 'vfio-pci', original_driver: null, iommu_group: 1 },
};

/** The agent's driver on this machine's QEMU; its guests have no devices of the host, and nothing to boot. */
describe('the qemu driver', () => {
  let stateDir: string;
  let program: string;
  let notes: GuestNotes;

  beforeAll(async () => {
    program = (await findPrograms())['qemu-system-x86_64'];
  });

  beforeEach(() => {
    stateDir = mkdtempSync(join(tmpdir(), 'berth-qemu-'));
    notes = {};
  });

  afterEach(async () => {
    await driver().stop(guest(), 'at once');
    rmSync(stateDir, { recursive: true });
  });

  const driver = (qemu: Partial<QemuSettings> = {}, settings: Partial<GuestSettings> = {}): QemuDriver =>
    new QemuDriver({
      ...{ stateDir, procRoot: '/proc' },
      settings: {
        ...{ machine: 'q35', accel: 'tcg', cpu: null, imageDir: null, image: null, kernel: null, initrd: null },
        ...{
          append: null,
          hotplugPorts: 2,
          vcpusMax: 2,
          memoryMbMax: 64,
          startTimeoutMs: 30_000,
          stopTimeoutMs: 500,
          ...settings,
        },
      },
      qemu: { program, arguments: [], ...qemu },
    });

  const guest = (server: Partial<WireServer> = {}, devices: readonly WireBinding[] = []): Guest => ({
    ...{ serverId: SERVER, claimId: CLAIM, devices, notes },
    server: { name: 'one', project_id: 'p', vcpus: 1, memory_mb: 32, ...server },
  });

  const note = async (given: GuestNotes): Promise<void> => void (notes = given);
  const pid = (): number => notes['pid'] as number;

  it('starts a guest once, however often it is told to, and ends it', async () => {
    await driver().start(guest(), note);
    const first = pid();
    expect(processOf('/proc', first)).not.toBeNull();
    await driver().start(guest(), note);
    expect(pid()).toBe(first);
    expect(await driver().state(guest())).toEqual({ state: 'running' });
    await driver().stop(guest());
    expect(processOf('/proc', first)).toBeNull();
    expect(readdirSync(join(stateDir, 'guests'))).toEqual([]);
    expect(await driver().state(guest())).toMatchObject({ state: 'gone' });
    await driver().stop(guest());
  });

  it('finds a guest that it could not note any more', async () => {
    await driver().start(guest(), note);
    const first = pid();
    notes = {};
    await driver().start(guest(), note);
    expect(pid()).toBe(first);
    notes = {};
    await driver().stop(guest());
    expect(processOf('/proc', first)).toBeNull();
  });

  it('leaves a process alone that has the number of a guest that was', async () => {
    const own = processOf('/proc', process.pid);
    notes = { pid: process.pid, start_time: (own?.startTime ?? 0) - 1, boot_id: own?.bootId ?? '' };
    expect(await driver().state(guest())).toMatchObject({ state: 'gone' });
    await driver().stop(guest());
    expect(processOf('/proc', process.pid)).toEqual(own);
    notes = { pid: process.pid, start_time: own?.startTime ?? 0, boot_id: 'of another boot' };
    await driver().stop(guest());
    expect(processOf('/proc', process.pid)).toEqual(own);
    notes = {};
  });

  it('tells that a guest has ended by itself, with what QEMU said', async () => {
    await driver().start(guest(), note);
    process.kill(pid(), 'SIGTERM');
    await expect.poll(() => processOf('/proc', pid())).toBeNull();
    expect(await driver().state(guest())).toMatchObject({
      state: 'gone',
      message: expect.stringContaining('signal 15'),
    });
  });

  it('kills a guest that takes no orders', async () => {
    await driver().start(guest(), note);
    process.kill(pid(), 'SIGSTOP');
    await driver().stop(guest());
    expect(processOf('/proc', pid())).toBeNull();
  });

  it.each<[string, Partial<QemuSettings>, readonly WireBinding[], RegExp]>([
    ['words that QEMU does not know', { arguments: ['-nonsense'] }, [], /-nonsense: invalid option/],
    ['a program that is not there', { program: '/usr/bin/no-such-qemu' }, [], /ENOENT/],
    ['a device that is not there', {}, [PLUGGED], /0000:09:00\.0: no such host device/],
  ])('says what is wrong with %s', async (_what, qemu, devices, problem) => {
    const starting = driver(qemu).start(guest({}, devices), note);
    await expect(starting).rejects.toMatchObject({ code: 'guest.failed', step: 'guest_start' });
    await expect(starting).rejects.toThrow(problem);
  });

  it('refuses what is larger than the settings allow, and starts nothing', async () => {
    await expect(driver().start(guest({ vcpus: 3 }), note)).rejects.toThrow('agent.guests.vcpus_max');
    await expect(driver().start(guest({ memory_mb: 65 }), note)).rejects.toThrow('agent.guests.memory_mb_max');
    expect(notes).toEqual({});
    expect(existsSync(join(stateDir, 'guests'))).toBe(false);
  });

  it('gives up a guest that does not run in time', async () => {
    const starting = driver({ arguments: ['-S'] }, { startTimeoutMs: 2_000 }).start(guest(), note);
    await expect(starting).rejects.toThrow('the guest is "prelaunch"');
    expect(processOf('/proc', pid())).not.toBeNull();
    await driver().stop(guest(), 'at once');
    expect(processOf('/proc', pid())).toBeNull();
  });

  it('starts from the image that the server names', async () => {
    const imageDir = mkdtempSync(join(stateDir, 'images-'));
    writeFileSync(join(imageDir, 'tiny.raw.img'), Buffer.alloc(1024 * 1024));
    await driver({}, { imageDir }).start(guest({ image: 'tiny.raw.img' }), note);
    const blocks = await Qmp.using(join(stateDir, 'guests', SERVER, 'qmp'), (qmp) => qmp.command('query-block'));
    expect(JSON.stringify(blocks)).toContain(join(imageDir, 'tiny.raw.img'));
  });

  it('takes a device from a running guest, and does not mind one that it has not got', async () => {
    // A device on USB goes without the guest's doing.
    const words = ['-device', 'qemu-xhci', '-device', 'usb-tablet,id=berth-0000-09-00.0'];
    await driver({ arguments: words }).start(guest(), note);
    const names = async (): Promise<string> =>
      JSON.stringify(
        await Qmp.using(join(stateDir, 'guests', SERVER, 'qmp'), (qmp) =>
          qmp.command('qom-list', { path: '/machine/peripheral' }),
        ),
      );
    expect(await names()).toContain('berth-0000-09-00.0');
    await driver({}, { stopTimeoutMs: 20_000 }).detach(guest(), [PLUGGED]);
    expect(await names()).not.toContain('berth-0000-09-00.0');
    await driver().detach(guest(), [PLUGGED]);
  });

  it('does not wait for ever for a guest that does not let go of a device', async () => {
    const word = 'e1000e,id=berth-0000-09-00.0,bus=berth-port0,romfile=';
    await driver({ arguments: ['-device', word] }).start(guest(), note);
    const unplugging = driver().detach(guest(), [PLUGGED]);
    await expect(unplugging).rejects.toMatchObject({ code: 'guest.failed', step: 'guest_detach' });
    await expect(driver().detach(guest(), [PLUGGED])).rejects.toThrow('has not let go of 0000:09:00.0 in 500 ms');
  });

  it('says why a device cannot be plugged in', async () => {
    await driver().start(guest(), note);
    const plugging = driver().attach(guest(), [PLUGGED]);
    await expect(plugging).rejects.toMatchObject({ code: 'guest.failed', step: 'guest_attach' });
    await expect(plugging).rejects.toThrow(/no such host device/);
  });
});
