import { mkdir, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { eightGpuHost, temporaryHost, type HostOnDisk } from '../../test/support/hosts.js';
import type { PciDevice } from '../pci/device.js';
import * as cards from '../recorded-hosts/cards.js';
import { bridge, device, type HostDescription } from '../recorded-hosts/description.js';
import { fillInRedirects } from './acs-redirects.js';
import { PCI_DEVICES } from './device-reader.js';
import { scanHost } from './sysfs-scanner.js';

const removals: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const remove of removals.splice(0)) await remove();
});

async function onDisk(host: HostDescription | string): Promise<HostOnDisk> {
  const [written, remove] = await temporaryHost(host);
  removals.push(remove);
  return written;
}

async function scanned(host: HostOnDisk): Promise<readonly PciDevice[]> {
  const { devices } = await scanHost({
    ...{ sysfsRoot: host.sysfs, procRoot: host.proc, stateDir: host.directory, kernel: 'simulated' },
    ...{ readOnly: false, deviceSpecs: [], resources: { vcpus: 1, memoryMb: 1, diskGb: 1 } },
  });
  return devices;
}

async function redirects(host: HostOnDisk, ...addresses: string[]): Promise<(boolean | null | undefined)[]> {
  const devices = await scanned(host);
  return addresses.map((address) => devices.find((found) => found.address === address)?.acsRedirect);
}

describe('ACS of recorded hosts', () => {
  it.each<[string, string, string, boolean | null]>([
    ['full', '0000:21:00.0', 'below a root port that redirects', true],
    ['full', '0000:64:00.0', 'below a switch without ACS, the root port of which redirects', false],
    ['full', '0000:65:00.0', 'beside it', false],
    ['full', '0000:67:01.0', 'behind a bridge to conventional PCI', true],
    ['full', '0000:00:02.0', 'integrated: below no port', null],
    ['full-active', '0000:22:00.1', 'a VF', true],
    ['legacy', '0000:02:00.0', 'below a root port without ACS', false],
    ['legacy', '0000:04:00.0', 'below one with it', true],
    ['legacy', '0000:06:01.0', 'below conventional bridges only', null],
    ['small', '0000:01:00.0', 'with an IOMMU, for which Linux switches ACS on', true],
    ['noiommu', '0000:01:00.0', 'the same port without one', false],
    ['host', '0000:00:03.0', 'a virtual machine’s', null],
  ])('%s: %s, %s: %j', async (tree, address, _what, expected) => {
    expect(await redirects(await onDisk(tree), address)).toEqual([expected]);
  });
});

const GPU = '0000:23:00.0';
const NEIGHBOUR = '0000:24:00.0';
const ROOT_PORT = '0000:20:01.0';
const ITS_PORT = '0000:22:00.0';
/** In the generator's trees ACS is the first extended capability: its control register is six bytes behind that. */
const ACS_CONTROL = 0x106;

const configOf = (host: HostOnDisk, address: string): string => join(host.sysfs, PCI_DEVICES, address, 'config');

async function switchOff(host: HostOnDisk, address: string): Promise<void> {
  const bytes = await readFile(configOf(host, address));
  expect(bytes[ACS_CONTROL]).toBe(0x1d);
  bytes[ACS_CONTROL] = 0x01;
  await writeFile(configOf(host, address), bytes);
}

describe('ACS of a host', () => {
  it('is that of the switch’s port which a function is behind', async () => {
    const host = await onDisk(eightGpuHost('gpus'));
    expect(await redirects(host, GPU, NEIGHBOUR)).toEqual([true, true]);
    await switchOff(host, ITS_PORT);
    expect(await redirects(host, GPU, NEIGHBOUR)).toEqual([false, true]);
    await switchOff(host, ROOT_PORT);
    expect(await redirects(host, GPU, NEIGHBOUR)).toEqual([false, true]);
  });

  it('is that of every switch on the way', async () => {
    const gpu = device('00.0', cards.A100);
    const lower = bridge('00.0', cards.SWITCH_UPSTREAM, 0x24, [bridge('00.0', cards.SWITCH_DOWNSTREAM, 0x25, [gpu])]);
    const upper = bridge('00.0', cards.SWITCH_UPSTREAM, 0x22, [bridge('00.0', cards.SWITCH_DOWNSTREAM, 0x23, [lower])]);
    const roots = [{ bus: 0x20, numaNode: 0, children: [bridge('01.0', cards.ROOT_PORT, 0x21, [upper])] }];
    const host = await onDisk({ ...eightGpuHost('cascade'), roots });
    const address = '0000:25:00.0';
    await switchOff(host, '0000:24:00.0');
    expect(await redirects(host, address)).toEqual([true]);
    await switchOff(host, '0000:22:00.0');
    expect(await redirects(host, address)).toEqual([false]);
  });

  it.each<[string, (file: string) => Promise<unknown>]>([
    ['only its header, as to any user but root', (file) => truncate(file, 64)],
    ['only what conventional PCI has', (file) => truncate(file, 256)],
    ['nothing', (file) => truncate(file, 0)],
    ['no file', (file) => rm(file)],
    ['a directory', (file) => rm(file).then(() => mkdir(file))],
    ['a link to elsewhere', (file) => rm(file).then(() => symlink('/etc/passwd', file))],
  ])('is not known where the port shows %s, and nobody else is harmed', async (_what, damage) => {
    const host = await onDisk(eightGpuHost('gpus'));
    await damage(configOf(host, ITS_PORT));
    expect(await redirects(host, GPU, NEIGHBOUR)).toEqual([null, true]);
  });

  it('is not known while a port on the way is not, unless another one redirects', async () => {
    const host = await onDisk(eightGpuHost('gpus'));
    await switchOff(host, ITS_PORT);
    await truncate(configOf(host, ROOT_PORT), 64);
    expect(await redirects(host, GPU, NEIGHBOUR)).toEqual([null, true]);
  });

  it('is not known below a port that was not found, and is below VMD’s', async () => {
    const host = await onDisk(eightGpuHost('gpus'));
    const devices = await scanned(host);
    const gpu = devices.find(({ address }) => address === GPU) as PciDevice;
    const alone = await fillInRedirects(host.sysfs, [gpu]);
    expect(alone.map(({ acsRedirect }) => acsRedirect)).toEqual([null]);
    const path = ['pci0000:d7', '0000:00:00.0', 'pci10000:00', ...gpu.pciePath.slice(1)];
    const behind = await fillInRedirects(host.sysfs, [...devices, { ...gpu, pciePath: path }]);
    expect(behind.at(-1)?.acsRedirect).toBe(true);
  });

  it('is read anew each time: setpci changes it', async () => {
    const host = await onDisk(eightGpuHost('gpus'));
    const devices = await scanned(host);
    await switchOff(host, ITS_PORT);
    const again = await fillInRedirects(host.sysfs, devices);
    expect(again.find(({ address }) => address === GPU)?.acsRedirect).toBe(false);
  });
});
