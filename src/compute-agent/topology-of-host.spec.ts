import { readFileSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eightGpuHost, randomHost, temporaryHost, type HostOnDisk } from '../../test/support/hosts.js';
import { isBridge } from '../pci/device.js';
import { distanceBetween, topologyOf, type Distance, type Topology } from '../pci/topology.js';
import type { HostDescription } from '../recorded-hosts/description.js';
import { PCI_DEVICES } from './device-reader.js';
import { scanHost } from './sysfs-scanner.js';

const HOSTS: readonly (string | HostDescription)[] = [
  ...['small', 'full', 'full-active', 'accel', 'accel-active', 'legacy', 'noiommu', 'host'],
  eightGpuHost('eight-gpus'),
  ...[1, 2, 3, 4].map(randomHost),
];

async function scanned(host: HostOnDisk): Promise<{ addresses: string[]; topology: Topology }> {
  const { devices } = await scanHost({
    ...{ sysfsRoot: host.sysfs, procRoot: host.proc, stateDir: host.directory, kernel: 'simulated' },
    ...{ readOnly: false, deviceSpecs: [], resources: { vcpus: 1, memoryMb: 1, diskGb: 1 } },
  });
  // bridges are never handed out
  const functions = devices.filter((device) => !isBridge(device));
  return { addresses: functions.map(({ address }) => address), topology: topologyOf(devices) };
}

/**
 * The distance as one reads it off the tree: by the nearest directory that both functions are below, and by how many bridges
 * each is below that.
 */
function distanceInTree(sysfs: string, a: string, b: string): Distance {
  if (a === b) return 'SELF';
  const [here, there] = [a, b].map((address) => realpathSync(join(sysfs, PCI_DEVICES, address))) as [string, string];
  const common = here.split('/').filter((name, depth) => there.split('/')[depth] === name);
  const nearest = common.at(-1) ?? '';
  const depth = (path: string): number => path.split('/').length - common.length - 1;
  if (/^pci[0-9a-f]{4}:/.test(nearest)) return sameSlot(here, there, nearest) ? 'PIX' : 'PHB';
  // between the nearest bridge and a function of the same switch there is a downstream port at most
  if (nearest.includes(':')) return Math.max(depth(here), depth(there)) <= 1 ? 'PIX' : 'PXB';
  const [node, other] = [numaNode(here), numaNode(there)];
  return node !== -1 && node === other ? 'NODE' : 'SYS';
}

function sameSlot(here: string, there: string, bridge: string): boolean {
  const integrated = (path: string): boolean => dirname(path).endsWith(bridge);
  return integrated(here) && integrated(there) && here.slice(0, -2) === there.slice(0, -2);
}

function numaNode(directory: string): number {
  return Number(readFileSync(join(directory, 'numa_node'), 'utf8'));
}

describe.each(HOSTS.map((host) => [typeof host === 'string' ? host : host.name, host] as const))(
  '%s',
  (_name, tree) => {
    let host: HostOnDisk;
    let remove: () => Promise<void>;
    beforeAll(async () => {
      [host, remove] = await temporaryHost(tree);
    });
    afterAll(() => remove());

    it('has the distances that are read off its tree', async () => {
      const { addresses, topology } = await scanned(host);
      expect(addresses.length).toBeGreaterThan(2);
      for (const [index, a] of addresses.entries()) {
        for (const b of addresses.slice(index)) {
          const told = `${a} ${b} ${distanceBetween(topology, a, b)}`;
          expect(told).toBe(`${a} ${b} ${distanceInTree(host.sysfs, a, b)}`);
        }
      }
    });
  },
);

describe('distances of recorded hosts', () => {
  it.each<[tree: string, a: string, b: string, distance: Distance]>([
    ['full', '0000:64:00.0', '0000:65:00.0', 'PIX'],
    ['full', '0000:23:00.0', '0000:23:00.1', 'PIX'],
    ['full', '0000:67:01.0', '0000:67:02.0', 'PIX'],
    ['full', '0000:21:00.0', '0000:22:00.0', 'PHB'],
    ['full', '0000:64:00.0', '0000:61:00.0', 'PHB'],
    ['full', '0000:21:00.0', '0000:61:00.0', 'SYS'],
    ['full-active', '0000:22:00.0', '0000:22:00.1', 'PIX'],
    ['accel', '0000:21:00.0', '0000:24:00.0', 'PHB'],
    ['accel', '0000:21:00.0', '0000:81:00.0', 'SYS'],
    ['host', '0000:00:01.0', '0000:00:02.0', 'PHB'],
  ])('%s: %s and %s are %s', async (tree, a, b, distance) => {
    const [host, remove] = await temporaryHost(tree);
    try {
      expect(distanceBetween((await scanned(host)).topology, a, b)).toBe(distance);
    } finally {
      await remove();
    }
  });
});
