import { chmodSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Guest } from '../../src/compute-agent/compute-driver/compute-driver.js';
import { LibvirtDriver } from '../../src/compute-agent/compute-driver/libvirt.driver.js';
import type { WireBinding } from '../../src/messages/bodies.js';
import type { WireServer } from '../../src/messages/server-bodies.js';
import type { GuestSettings } from '../../src/settings/settings.js';
import { startLibvirt, type TestLibvirt } from './libvirt.js';
import { findPrograms } from './programs.js';

const SERVER = '11111111-1111-4111-8111-111111111111';
const CLAIM = '22222222-2222-4222-8222-222222222222';
const MISSING: WireBinding = {
  ...{ address: '00ff:1f:1e.7', driver: 'vfio-pci', original_driver: null, iommu_group: 1 },
};

/** The agent's driver with this machine's libvirt and QEMU; its guests have no devices of the host, and nothing to boot. */
describe('the libvirt driver', () => {
  let libvirt: TestLibvirt;
  let stateDir: string;

  beforeAll(async () => {
    await findPrograms();
    libvirt = await startLibvirt();
  });

  afterAll(() => libvirt?.stop());

  beforeEach(() => {
    stateDir = mkdtempSync(join(tmpdir(), 'berth-libvirt-state-'));
  });

  afterEach(async () => {
    await driver().stop(guest(), 'at once');
    rmSync(stateDir, { recursive: true });
  });

  const driver = (settings: Partial<GuestSettings> = {}, uri = libvirt.uri): LibvirtDriver =>
    new LibvirtDriver({
      stateDir,
      settings: {
        ...{ machine: 'q35', accel: 'tcg', cpu: null, imageDir: null, image: null, kernel: null, initrd: null },
        ...{
          append: null,
          hotplugPorts: 2,
          vcpusMax: 2,
          memoryMbMax: 64,
          startTimeoutMs: 30_000,
          stopTimeoutMs: 1_000,
        },
        ...settings,
      },
      libvirt: { uri },
    });

  const guest = (server: Partial<WireServer> = {}, devices: readonly WireBinding[] = []): Guest => ({
    ...{ serverId: SERVER, claimId: CLAIM, devices, notes: {} },
    server: { name: 'one <&> "two"\n\u0007', project_id: 'p', vcpus: 2, memory_mb: 32, ...server },
  });

  const listed = async (): Promise<string> => (await libvirt.virsh(['list', '--all', '--uuid'])).trim();

  it('defines and starts a guest once, however often it is told to, and leaves nothing of it', async () => {
    await driver().start(guest());
    await driver().start(guest());
    expect(await listed()).toBe(SERVER);
    expect(await driver().state(guest())).toEqual({ state: 'running' });
    const xml = await libvirt.virsh(['dumpxml', SERVER]);
    expect(xml).toContain(`<name>berth-${SERVER}</name>`);
    expect(xml).toMatch(/<title>one &lt;&amp;&gt; (?:"|&quot;)two(?:"|&quot;)<\/title>/);
    expect(xml).toMatch(/<vcpu [^>]*>2<\/vcpu>/);
    expect(xml).toContain("<memory unit='KiB'>32768</memory>");
    await driver().stop(guest());
    await driver().stop(guest());
    expect(await listed()).toBe('');
    expect(readdirSync(join(stateDir, 'guests'))).toEqual([]);
    expect(await driver().state(guest())).toMatchObject({ state: 'gone' });
  });

  it('starts a guest that was defined, and no more, before the agent died', async () => {
    await driver().start(guest());
    await libvirt.virsh(['destroy', SERVER]);
    expect(await driver().state(guest())).toEqual({ state: 'gone', message: 'libvirt says: shut off (destroyed)' });
    await driver().start(guest());
    expect(await driver().state(guest())).toEqual({ state: 'running' });
  });

  it('starts from a copy of the image that the server names', async () => {
    const imageDir = mkdtempSync(join(libvirt.folder, 'images-'));
    chmodSync(imageDir, 0o777);
    writeFileSync(join(imageDir, 'tiny.img'), Buffer.alloc(1024 * 1024));
    chmodSync(join(imageDir, 'tiny.img'), 0o666);
    await driver({ imageDir }).start(guest({ image: 'tiny.img' }));
    expect(await libvirt.virsh(['domblklist', SERVER])).toContain(join(imageDir, 'tiny.img'));
    await driver({ imageDir }).stop(guest());
    expect(readdirSync(imageDir)).toEqual(['tiny.img']);
  });

  it('says what libvirt has against a device that is not there', async () => {
    const starting = driver().start(guest({}, [MISSING]));
    await expect(starting).rejects.toMatchObject({ code: 'guest.failed', step: 'guest_start' });
    await expect(starting).rejects.toThrow(/virsh start: .*\bPCI\b/);
    await driver().stop(guest(), 'at once');
    expect(await listed()).toBe('');
  });

  it('says why a device cannot be plugged in, and does not mind one to unplug that was not', async () => {
    await driver().start(guest());
    const plugging = driver().attach(guest(), [MISSING]);
    await expect(plugging).rejects.toMatchObject({ code: 'guest.failed', step: 'guest_attach' });
    await driver().detach(guest(), [MISSING]);
  });

  it('takes a libvirt that is away for no end of the guest', async () => {
    await driver().start(guest());
    const away = driver({}, `${libvirt.uri}-away`);
    await expect(away.state(guest())).rejects.toThrow(/virsh domstate: .*connect/i);
    await expect(away.stop(guest())).rejects.toMatchObject({ step: 'guest_stop' });
    expect(await driver().state(guest())).toEqual({ state: 'running' });
  });

  it('refuses what is larger than the settings allow, and defines nothing', async () => {
    await expect(driver().start(guest({ memory_mb: 65 }))).rejects.toThrow('agent.guests.memory_mb_max');
    expect(await listed()).toBe('');
  });
});
