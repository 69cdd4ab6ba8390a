import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { temporaryHost, type HostOnDisk } from '../../test/support/hosts.js';
import type { PciDevice } from '../pci/device.js';
import { SerialNumbers } from './serial-numbers.js';
import { scanHost } from './sysfs-scanner.js';

const NIC = '0000:01:00.0';
const PLACE = `devices/pci0000:00/0000:00:04.0/${NIC}`;
const removals: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const remove of removals.splice(0)) await remove();
});

async function small(): Promise<HostOnDisk> {
  const [host, remove] = await temporaryHost('small');
  removals.push(remove);
  return host;
}

async function nic(host: HostOnDisk, serials: SerialNumbers, kernel: 'live' | 'simulated' = 'live') {
  const { devices } = await scanHost(
    {
      ...{ sysfsRoot: host.sysfs, procRoot: host.proc, stateDir: host.directory, kernel, readOnly: false },
      ...{ deviceSpecs: [], resources: { vcpus: 1, memoryMb: 1, diskGb: 1 } },
    },
    new Map(),
    serials,
  );
  return devices.find(({ address }) => address === NIC) as PciDevice;
}

async function replug(host: HostOnDisk): Promise<void> {
  const entry = join(host.sysfs, 'bus/pci/devices', NIC);
  // made before the old one is gone, so that it has a number of its own, as in sysfs
  await symlink(`../../../${PLACE}`, `${entry}.new`);
  await rename(`${entry}.new`, entry);
}

it('of a live kernel are read once for each plugged card; all else at every scan', async () => {
  const [host, serials] = [await small(), new SerialNumbers()];
  const first = await nic(host, serials);
  expect(await nic(host, serials)).toEqual(first);
  const directory = join(host.sysfs, PLACE);
  await writeFile(join(directory, 'device'), '0x9999\n');
  await writeFile(join(directory, 'numa_node'), '3\n');
  await writeFile(join(directory, 'current_link_speed'), '2.5 GT/s PCIe\n');
  await rm(join(directory, 'driver'));
  const again = await nic(host, serials);
  expect(again).toMatchObject({ productId: first.productId, numaNode: 3, driver: null });
  expect(again.link?.currentSpeed).toBe('2.5 GT/s PCIe');
  await replug(host);
  expect((await nic(host, serials)).productId).toBe('9999');
});

it('of a card that was away for a scan are read again, and what failed is tried again', async () => {
  const [host, serials] = [await small(), new SerialNumbers()];
  const revision = join(host.sysfs, PLACE, 'revision');
  await rm(revision);
  await mkdir(revision);
  expect((await nic(host, serials)).revision).toBeNull();
  await rm(revision, { recursive: true });
  await writeFile(revision, '0x07\n');
  expect((await nic(host, serials)).revision).toBe('07');
  const entry = join(host.sysfs, 'bus/pci/devices', NIC);
  await rm(entry);
  expect(await nic(host, serials)).toBeUndefined();
  await writeFile(revision, '0x08\n');
  await symlink(`../../../${PLACE}`, entry);
  expect((await nic(host, serials)).revision).toBe('08');
});

it('of a recorded tree are read at every scan', async () => {
  const [host, serials] = [await small(), new SerialNumbers()];
  await nic(host, serials, 'simulated');
  await writeFile(join(host.sysfs, PLACE, 'device'), '0x9999\n');
  expect((await nic(host, serials, 'simulated')).productId).toBe('9999');
});
