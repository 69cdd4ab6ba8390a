import { mkdir, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { temporaryHost, sriovNicHost, type HostOnDisk } from '../../test/support/hosts.js';
import { parseDeviceSpecs } from '../pci/device-spec/device-spec-reader.js';
import * as cards from '../recorded-hosts/cards.js';
import { bridge, device, type HostDescription } from '../recorded-hosts/description.js';
import { vitalProductData } from '../recorded-hosts/vital-product-data.js';
import { SerialNumbers } from './serial-numbers.js';
import { scanHost, type HostScan } from './sysfs-scanner.js';

const DPU = '0000:41:00.0';
const VF = '0000:41:00.2';
const OTHER = '0000:42:00.0';
const DPU_DIR = 'devices/pci0000:40/0000:40:01.0/0000:41:00.0';

function dpuHost(serialNumber: string | null): HostDescription {
  const children = [
    bridge('01.0', cards.ROOT_PORT, 0x41, [device('00.0', cards.BLUEFIELD2, { vfs: 2, serialNumber })]),
    bridge('02.0', cards.ROOT_PORT, 0x42, [device('00.0', cards.BLUEFIELD2, { vfs: 1 })]),
  ];
  return { ...sriovNicHost('dpu'), roots: [{ bus: 0x40, numaNode: 0, children }] };
}

let host: HostOnDisk;
let remove: () => Promise<void>;
let file: string;

beforeEach(async () => {
  [host, remove] = await temporaryHost(dpuHost('MT2113X00123'));
  file = join(host.sysfs, DPU_DIR, 'vpd');
});
afterEach(() => remove());

function scan(serials = new SerialNumbers()): Promise<HostScan> {
  const settings = {
    ...{ sysfsRoot: host.sysfs, procRoot: host.proc, stateDir: host.directory },
    ...{ kernel: 'simulated' as const, readOnly: false, resources: { vcpus: 1, memoryMb: 1, diskGb: 1 } },
    deviceSpecs: parseDeviceSpecs({ product_id: '101e', remote_managed: true }, 'test', { freeTags: [] }),
  };
  return scanHost(settings, new Map(), serials);
}

const serialsOf = ({ devices }: HostScan): (string | null | undefined)[] =>
  [DPU, VF, OTHER].map((address) => devices.find((found) => found.address === address)?.serialNumber);

async function replace(content: Uint8Array | string): Promise<void> {
  await rm(file, { recursive: true, force: true });
  await writeFile(file, content);
}

describe('serial numbers of a host', () => {
  it("are read from a card's VPD, and are those of its VFs, too", async () => {
    const found = await scan();
    expect(serialsOf(found)).toEqual(['MT2113X00123', 'MT2113X00123', null]);
    expect(found.problems).toEqual([]);
  });

  it('decide which VFs are remote-managed: those of a card that tells one', async () => {
    const { devices } = await scan();
    const offered = devices.filter(({ offer }) => offer !== null).map(({ address }) => address);
    expect(offered).toEqual([VF, '0000:41:00.3']);
    expect(devices.find(({ address }) => address === '0000:42:00.2')?.notOffered).toMatch(/^no device_spec entry/);
  });

  it('come from the VF itself when its PF tells none', async () => {
    await writeFile(join(host.sysfs, 'bus/pci/devices/0000:42:00.2/vpd'), vitalProductData('VF', 'OWN-1'));
    const { devices } = await scan();
    expect(devices.find(({ address }) => address === '0000:42:00.2')?.serialNumber).toBe('OWN-1');
  });

  it('stand behind a long name, too', async () => {
    await replace(vitalProductData('x'.repeat(30_000), 'FAR-1'));
    expect(serialsOf(await scan())[0]).toBe('FAR-1');
  });

  it.each<[string, () => Promise<unknown>, RegExp]>([
    ['garbage', () => replace('\x01garbage'), /vpd tells no serial number: byte 0 is 0x01/],
    [
      'cut off',
      () => replace(vitalProductData('card', 'S').subarray(0, 12)),
      /vpd tells no serial number: it ends too early/,
    ],
    ['larger than VPD can be', () => replace(Uint8Array.from([0x82, 0xff, 0x7f])), /longer than VPD can be/],
    ['not to be read', () => rm(file).then(() => mkdir(file)), /vpd cannot be read: EISDIR/],
    ['a link to elsewhere', () => unlink(file).then(() => symlink('/etc/passwd', file)), /vpd cannot be read: ELOOP/],
  ])('are null with a reason when the VPD is %s', async (_what, damage, reason) => {
    await damage();
    const found = await scan();
    expect(serialsOf(found)).toEqual([null, null, null]);
    expect(found.problems).toEqual([{ address: DPU, problem: expect.stringMatching(reason) as string }]);
  });

  it.each([
    ['is empty', () => replace('')],
    ['is blank', () => replace(Uint8Array.from({ length: 64 }, () => 0xff))],
    ['is not there', () => rm(file)],
  ])('are null, and that is fine, when the VPD %s', async (_what, change) => {
    await change();
    const found = await scan();
    expect(serialsOf(found)[0]).toBeNull();
    expect(found.problems).toEqual([]);
  });
});

describe('over several scans', () => {
  it('a card is asked once', async () => {
    const serials = new SerialNumbers();
    await scan(serials);
    await replace('garbage');
    expect(serialsOf(await scan(serials))[0]).toBe('MT2113X00123');
    expect(serialsOf(await scan())[0]).toBeNull();
  });

  it('another card at its place is asked anew', async () => {
    const serials = new SerialNumbers();
    await scan(serials);
    await writeFile(join(host.sysfs, DPU_DIR, 'subsystem_device'), '0x0062\n');
    await replace(vitalProductData('card', 'OTHER-1'));
    expect(serialsOf(await scan(serials))[0]).toBe('OTHER-1');
  });

  it('one of the same make that was plugged in meanwhile is asked anew', async () => {
    const serials = new SerialNumbers();
    await scan(serials);
    const link = join(host.sysfs, 'bus/pci/devices', DPU);
    await rm(link);
    expect(serialsOf(await scan(serials))[0]).toBeUndefined();
    await symlink(`../../../${DPU_DIR}`, link);
    await replace(vitalProductData('card', 'SAME-MAKE'));
    expect(serialsOf(await scan(serials))[0]).toBe('SAME-MAKE');
  });

  it('one that fails is asked three times', async () => {
    let asked = 0;
    const serials = new SerialNumbers(undefined, async (path) => {
      if (!path.includes(DPU)) return { serial: null, problem: null };
      asked += 1;
      return { serial: null, problem: 'vpd cannot be read: EIO' };
    });
    for (let round = 0; round < 5; round++) {
      expect((await scan(serials)).problems).toEqual([{ address: DPU, problem: 'vpd cannot be read: EIO' }]);
    }
    expect(asked).toBe(3);
  });

  it('one that never answers is left behind, and two of them are the last that are asked', async () => {
    const asked: string[] = [];
    const serials = new SerialNumbers({ readMs: 5, scanMs: 10_000 }, (path) => {
      asked.push(path);
      return new Promise(() => undefined);
    });
    const { devices, problems } = await scan(serials);
    expect(devices.length).toBeGreaterThan(4);
    expect(problems.map(({ problem }) => problem)).toEqual(Array(2).fill('vpd gave no answer within 5 ms'));
    await scan(serials);
    expect(asked).toHaveLength(2);
  });

  it('those that a scan has no time for are asked by the next one', async () => {
    const limits = { readMs: 1_000, scanMs: -1 };
    const serials = new SerialNumbers(limits);
    expect(serialsOf(await scan(serials))[0]).toBeNull();
    limits.scanMs = 10_000;
    expect(serialsOf(await scan(serials))[0]).toBe('MT2113X00123');
  });
});
