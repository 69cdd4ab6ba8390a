import 'reflect-metadata';
import { chmod, cp, mkdir, mkdtemp, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { eightGpuHost, temporaryHost, type HostOnDisk } from '../../test/support/hosts.js';
import { onDisk, scan } from '../../test/support/hosts-of-tests.js';
import { DEVICES_PER_HOST_MAX } from '../messages/bodies.js';
import { contentHash } from '../messages/content-hash.js';
import { decodeEnvelope, encodeEnvelope, envelope } from '../messages/envelope.js';
import { toWireDevice } from '../messages/wire-device.js';
import { parseDeviceSpecs } from '../pci/device-spec/device-spec-reader.js';
import { type PciDevice } from '../pci/device.js';
import { isolationUnits } from '../pci/iommu.js';
import * as cards from '../recorded-hosts/cards.js';
import { bridge, device, type HostDescription } from '../recorded-hosts/description.js';

function specs(...entries: object[]) {
  return parseDeviceSpecs(entries, 'test', { freeTags: [] });
}

describe('trees that are not as they should be', () => {
  const VICTIM = '0000:02:00.0';
  const DIR = `devices/pci0000:00/0000:00:05.0/${VICTIM}`;
  const ENTRY = `bus/pci/devices/${VICTIM}`;
  let host: HostOnDisk;
  let remove: () => Promise<void>;

  beforeAll(async () => {
    [host, remove] = await temporaryHost('small');
    await cp(join(host.sysfs, DIR), join(host.directory, 'whole'), { recursive: true, verbatimSymlinks: true });
  });

  /** The tree is whole again before each test. */
  beforeEach(async () => {
    await rm(join(host.sysfs, DIR), { recursive: true, force: true });
    await cp(join(host.directory, 'whole'), join(host.sysfs, DIR), { recursive: true, verbatimSymlinks: true });
    await rm(join(host.sysfs, ENTRY), { force: true });
    await symlink(`../../../${DIR}`, join(host.sysfs, ENTRY));
  });

  afterAll(() => remove());

  type Damage = (sysfs: string, dir: string) => Promise<void>;
  const put =
    (name: string, content: string | Uint8Array): Damage =>
    async (_sysfs, dir) => {
      await rm(join(dir, name), { recursive: true, force: true });
      await writeFile(join(dir, name), content);
    };
  const point =
    (name: string, target: string): Damage =>
    async (_sysfs, dir) => {
      await rm(join(dir, name), { recursive: true, force: true });
      await symlink(target, join(dir, name));
    };
  const entry =
    (act: (path: string, sysfs: string) => Promise<unknown>): Damage =>
    async (sysfs) => {
      const path = join(sysfs, 'bus/pci/devices', VICTIM);
      await unlink(path);
      await act(path, sysfs);
    };

  const LEFT_OUT: readonly [string, Damage, RegExp][] = [
    ['no vendor', (_sysfs, dir) => unlink(join(dir, 'vendor')), /vendor is missing/],
    ['an empty vendor', put('vendor', ''), /vendor is ""/],
    ['a vendor that is gone', put('vendor', '0xffff\n'), /gone or dead/],
    ['a decimal device id', put('device', '4318\n'), /device is "4318"/],
    ['a long device id', put('device', '0x10de0\n'), /device is "0x10de0"/],
    ['a garbage class', put('class', 'video\n'), /class is "video"/],
    ['a short class', put('class', '0x0302\n'), /class is "0x0302"/],
    ['a huge class', put('class', '0'.repeat(1_000_000)), /class is larger than 4096 bytes/],
    ['binary junk for a vendor', put('vendor', new Uint8Array([0, 255, 1, 254])), /vendor is not text/],
    [
      'a vendor that is a directory',
      async (_s, dir) => {
        await unlink(join(dir, 'vendor'));
        await mkdir(join(dir, 'vendor'));
      },
      /vendor cannot be read: EISDIR/,
    ],
    ['a vendor that is a loop of links', point('vendor', 'vendor'), /vendor cannot be read: ELOOP/],
    ['a vendor that leads out of the tree', point('vendor', '/etc/hostname'), /vendor cannot be read: ELOOP/],
    ['a VF without its PF', point('physfn', '../nowhere'), /physfn does not name its PF/],
    ['a physfn that is a file', put('physfn', '0000:22:00.0'), /physfn does not name its PF/],
    ['an entry that is a file', entry((path) => writeFile(path, 'x')), /neither a link nor a directory/],
    ['an entry that leads to nowhere', entry((path) => symlink(`../../../devices/none/${VICTIM}`, path)), /ENOENT/],
    ['an entry that is a loop', entry((path) => symlink(VICTIM, path)), /leads out of devices/],
    ['an entry that leads out of the tree', entry((path) => symlink('/etc', path)), /leads out of devices/],
    [
      'an entry that leads to another device',
      entry((path) => symlink('../../../devices/pci0000:00/0000:00:04.0', path)),
      /leads to 0000:00:04\.0/,
    ],
    [
      'a device directory in a loop',
      async (sysfs, dir) => {
        await rm(dir, { recursive: true });
        await symlink(join(sysfs, DIR), dir);
      },
      /ELOOP/,
    ],
  ];

  it.each(LEFT_OUT)('leave out a device with %s, and only that', async (_name, damage, reason) => {
    await damage(host.sysfs, join(host.sysfs, DIR));
    const { devices, problems } = await scan(host);
    expect(devices).toHaveLength(7);
    expect(devices.some((found) => found.address === VICTIM)).toBe(false);
    expect(problems).toHaveLength(1);
    expect(problems[0]?.address).toBe(VICTIM);
    expect(problems[0]?.problem).toMatch(/^left out: /);
    expect(problems[0]?.problem).toMatch(reason);
  });

  const KEPT: readonly [string, Damage, Partial<PciDevice>, RegExp][] = [
    ['a garbage NUMA node', put('numa_node', 'left\n'), { numaNode: null }, /numa_node is "left"/],
    ['a huge NUMA node', put('numa_node', '99999999999999\n'), { numaNode: null }, /numa_node/],
    ['a garbage revision', put('revision', '0xZZ\n'), { revision: null }, /revision/],
    [
      'a subsystem of junk',
      put('subsystem_vendor', new Uint8Array(300)),
      { subsystemVendorId: null },
      /subsystem_vendor is not text/,
    ],
    ['a driver that is a file', put('driver', 'nvme'), { driver: null }, /driver is not a link/],
    ['a driver without a name', point('driver', '../drivers/a b'), { driver: null }, /driver leads to "a b"/],
    [
      'a group that is no number',
      point('iommu_group', '../groups/seven'),
      { iommuGroup: null },
      /iommu_group is "seven"/,
    ],
    [
      'a garbage number of VFs',
      put('sriov_totalvfs', '-3\n'),
      { sriov: null, deviceType: 'type-PCI' },
      /sriov_totalvfs/,
    ],
    ['a width beyond all links', put('max_link_width', '70000\n'), {}, /max_link_width/],
    ['a speed of garbage', put('current_link_speed', 'fast\n'), {}, /current_link_speed/],
    [
      'reset methods of garbage',
      put('reset_method', 'flr <b> bus\n'),
      { resetMethods: ['flr', 'bus'] },
      /reset_method/,
    ],
    ['a net that is a file', put('net', 'eth0'), { netdevs: [] }, /net cannot be read: ENOTDIR/],
  ];

  it.each(KEPT)('keep a device with %s, without that fact', async (_name, damage, facts, reason) => {
    await damage(host.sysfs, join(host.sysfs, DIR));
    const { devices, problems } = await scan(host);
    expect(devices.find((found) => found.address === VICTIM)).toMatchObject({ vendorId: '1b36', ...facts });
    expect(problems).toEqual([{ address: VICTIM, problem: expect.stringMatching(reason) as string }]);
  });

  it('take a driver and a group whose directories are not there', async () => {
    await unlink(join(host.sysfs, DIR, 'driver'));
    await symlink('../../../../bus/pci/drivers/gone', join(host.sysfs, DIR, 'driver'));
    const { devices, problems } = await scan(host);
    expect(devices.find((found) => found.address === VICTIM)?.driver).toBe('gone');
    expect(problems).toEqual([]);
  });

  it('name entries that are no addresses', async () => {
    const fresh = await onDisk('small');
    for (const name of ['README', '0000:0A:00.0', '0000:00:99.0']) {
      await symlink('../../../devices/pci0000:00/0000:00:02.0', join(fresh.sysfs, 'bus/pci/devices', name));
    }
    const { devices, problems } = await scan(fresh);
    expect(devices).toHaveLength(8);
    expect(problems.map(({ problem }) => problem)).toEqual(Array(3).fill('left out: its name is not a PCI address'));
  });

  it('do not hang the agent with a named pipe', async () => {
    await unlink(join(host.sysfs, DIR, 'vendor'));
    execFileSync('mkfifo', [join(host.sysfs, DIR, 'vendor')]);
    const { problems } = await scan(host);
    expect(problems[0]?.problem).toContain('left out: vendor');
  });

  it('without bus/pci/devices are an error that names the setting', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'berth-none-'));
    onTestFinished(() => rm(directory, { recursive: true }));
    const none = { directory, sysfs: join(directory, 'sys'), proc: join(directory, 'proc') };
    await expect(scan(none)).rejects.toMatchObject({
      code: 'sysfs.unreadable',
      message: expect.stringContaining('agent.sysfs_root') as string,
    });
    await mkdir(join(none.sysfs, 'bus/pci/devices'), { recursive: true });
    expect((await scan(none)).devices).toEqual([]);
  });

  it('keep a PCI domain of five digits in its path', async () => {
    const fresh = await onDisk('small');
    const vmd = 'devices/pci0000:00/0000:00:05.0/pci10000:00/10000:01:00.0';
    await mkdir(join(fresh.sysfs, vmd), { recursive: true });
    for (const [name, text] of [
      ['vendor', '0x8086'],
      ['device', '0x0a54'],
      ['class', '0x010802'],
    ] as const) {
      await writeFile(join(fresh.sysfs, vmd, name), `${text}\n`);
    }
    await symlink(`../../../${vmd}`, join(fresh.sysfs, 'bus/pci/devices/10000:01:00.0'));
    const found = (await scan(fresh)).devices.at(-1);
    expect(found).toMatchObject({
      address: '10000:01:00.0',
      pciePath: ['pci0000:00', '0000:00:05.0', 'pci10000:00'],
      driver: null,
      iommuGroup: null,
    });
  });
});

describe('trees that are larger, or stranger, than any host', () => {
  /** A function in as few files as there can be. Synchronous: thousands of them are written many times sooner so. */
  function put(host: HostOnDisk, place: string, links: Readonly<Record<string, string>> = {}): void {
    const directory = join(host.sysfs, 'devices', place);
    mkdirSync(directory, { recursive: true });
    const files = { vendor: '0x8086', device: '0x154c', class: '0x020000' };
    for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), `${text}\n`);
    for (const [name, target] of Object.entries(links)) symlinkSync(target, join(directory, name));
    symlinkSync(`../../../devices/${place}`, join(host.sysfs, 'bus/pci/devices', basename(place)));
  }

  /** Heap in MiB that is left after the garbage is gone. */
  function heapMib(): number {
    setFlagsFromString('--expose-gc');
    (runInNewContext('gc') as () => void)();
    return process.memoryUsage().heapUsed / 2 ** 20;
  }

  it('a PF with 4,096 VFs', async () => {
    const host = await onDisk('small');
    const address = (vf: number): string => {
      const [bus, slot] = [0x10 + (vf >> 8), (vf >> 3) & 31].map((part) => part.toString(16).padStart(2, '0'));
      return `0001:${bus}:${slot}.${vf & 7}`;
    };
    const pf = '0001:0f:00.0';
    put(host, `pci0001:0f/${pf}`);
    for (const [name, text] of [
      ['sriov_totalvfs', '4096'],
      ['sriov_numvfs', '4096'],
    ] as const)
      await writeFile(join(host.sysfs, `devices/pci0001:0f/${pf}`, name), `${text}\n`);
    const links = (vf: number) => ({ physfn: `../${pf}`, iommu_group: `../../../kernel/iommu_groups/${100 + vf}` });
    for (let vf = 0; vf < 4096; vf++) put(host, `pci0001:0f/${address(vf)}`, links(vf));
    const before = heapMib();
    const { devices, problems } = await scan(host, { deviceSpecs: specs({ address: pf }) });
    expect(heapMib() - before).toBeLessThan(16); // of which 4 KiB a device are the device's
    expect(problems).toEqual([]);
    expect(devices).toHaveLength(8 + 1 + 4096);
    const vfs = devices.filter(({ parentAddress }) => parentAddress === pf);
    expect(vfs.map((vf) => vf.address)).toEqual(Array.from({ length: 4096 }, (_, vf) => address(vf)));
    expect(vfs.every(({ offer, deviceType }) => offer !== null && deviceType === 'type-VF')).toBe(true);
    expect(isolationUnits(devices.map((device) => ({ ...device, offered: device.offer !== null }))).size).toBe(4097);
  }, 60_000);

  it('more functions than a report may have: the rest is left out, and that is said', async () => {
    const host = await onDisk('small');
    const directory = join(host.sysfs, 'bus/pci/devices');
    for (let at = 0; at < DEVICES_PER_HOST_MAX; at++) {
      const [domain, bus, slot] = [2 + (at >> 12), (at >> 4) & 255, (at >> 1) & 7].map((part) => part.toString(16));
      const name = `${domain?.padStart(4, '0')}:${bus?.padStart(2, '0')}:0${slot}.${at & 1}`;
      symlinkSync('../nowhere', join(directory, name));
    }
    const before = heapMib();
    const { devices, problems } = await scan(host);
    expect(heapMib() - before).toBeLessThan(16);
    expect(devices).toHaveLength(8);
    expect(problems[0]).toEqual({ address: null, problem: '8 devices above the limit of 16384 are left out' });
    expect(problems).toHaveLength(1 + DEVICES_PER_HOST_MAX - 8);
    expect(problems.at(-1)?.problem).toMatch(/^left out: /);
  }, 60_000);

  it('PCI domains of 32 bits', async () => {
    const host = await onDisk('small');
    const addresses = ['10000:e1:00.0', '80000000:01:00.0', 'ffffffff:ff:1f.7'];
    for (const address of addresses) put(host, `pci${address.slice(0, -5)}/${address}`);
    const { devices, problems, facts } = await scan(host, { deviceSpecs: specs({ address: 'ffffffff:ff:1f.7' }) });
    expect(problems).toEqual([]);
    expect(devices.slice(8).map(({ address, pciePath }) => [address, pciePath])).toEqual(
      addresses.map((address) => [address, [`pci${address.slice(0, -5)}`]]),
    );
    expect(devices.filter(({ offer }) => offer !== null).map(({ address }) => address)).toEqual(['ffffffff:ff:1f.7']);
    const content = { facts, devices: devices.map(toWireDevice) };
    const message = envelope('agent.report', {
      ...{ host: 'a', epoch: 1, sequence: 1, hash: contentHash(content), pools: [] },
      ...content,
    });
    expect(decodeEnvelope(encodeEnvelope(message, 1e7), 1e7).type).toBe('agent.report');
  });

  it('VFs that are their own PF, or each the other one’s', async () => {
    const host = await onDisk('small');
    put(host, 'pci0009:00/0009:00:00.0', { physfn: '../0009:00:00.0', iommu_group: '../x/90' });
    put(host, 'pci0009:00/0009:00:01.0', { physfn: '../0009:00:02.0', iommu_group: '../x/91' });
    put(host, 'pci0009:00/0009:00:02.0', { physfn: '../0009:00:01.0', iommu_group: '../x/91' });
    const { devices, problems } = await scan(host, { deviceSpecs: specs({ vendor_id: '8086' }) });
    expect(problems).toEqual([]);
    expect(devices.filter(({ deviceType }) => deviceType === 'type-VF').map(({ address }) => address)).toEqual([
      '0009:00:00.0',
      '0009:00:01.0',
      '0009:00:02.0',
    ]);
    const units = isolationUnits(devices.map((device) => ({ ...device, offered: device.offer !== null })));
    for (const address of ['0009:00:00.0', '0009:00:01.0']) {
      expect(units.get(address)?.blockedBy).toContain('together with its PF');
    }
  });

  it.skipIf(process.getuid?.() !== 0)('files that only others may read', async () => {
    const host = await onDisk('small');
    const nic = join(host.sysfs, 'devices/pci0000:00/0000:00:04.0/0000:01:00.0');
    put(host, 'pci0009:00/0009:00:00.0');
    for (const name of ['revision', 'net']) await chmod(join(nic, name), 0);
    await chmod(join(host.sysfs, 'devices/pci0009:00/0009:00:00.0'), 0);
    await chmod(host.directory, 0o755);
    process.seteuid?.(65_534);
    const { devices, problems } = await scan(host).finally(() => process.seteuid?.(0));
    expect(devices).toHaveLength(8);
    expect(problems.map(({ address, problem }) => `${address}: ${problem}`).sort()).toEqual([
      '0000:01:00.0: net cannot be read: EACCES',
      '0000:01:00.0: revision cannot be read: EACCES',
      '0009:00:00.0: left out: its directory cannot be read: EACCES',
    ]);
  });
});

it('reads a host with 8 GPUs and 256 VFs', async () => {
  const host = await onDisk(manyVfs());
  const { devices, problems } = await scan(host, { deviceSpecs: specs({ vendor_id: '10de' }, { vendor_id: '8086' }) });
  expect(devices.filter((found) => found.deviceType === 'type-VF').length).toBeGreaterThanOrEqual(256);
  expect(problems).toEqual([]);
});

function manyVfs(): HostDescription {
  const gpus = eightGpuHost('many');
  const nic = (slot: string, bus: number) =>
    bridge(slot, cards.ROOT_PORT, bus, [device('00.0', cards.X710, { vfs: 64 })]);
  const children = ['00.0', '01.0', '02.0', '03.0'].map((slot, index) => nic(slot, 0xd1 + index));
  return { ...gpus, roots: [...gpus.roots, { bus: 0xd0, numaNode: 1, children }] };
}
