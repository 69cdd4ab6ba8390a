import { access, constants, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as cards from '../../src/recorded-hosts/cards.js';
import { sriovNicHost, twoP5000Host } from '../../src/recorded-hosts/demo-fleet.js';
import { bridge, device } from '../../src/recorded-hosts/description.js';
import type { HostDescription, RootDescription, SlotDescription } from '../../src/recorded-hosts/description.js';
import { generateHost } from '../../src/recorded-hosts/generator.js';
import { loadRecordedTree, writeTree, type HostTree } from '../../src/recorded-hosts/tree.js';
import { randomNumbers } from './random.js';

export { eightGpuHost, quickAssistHost, sriovNicHost } from '../../src/recorded-hosts/demo-fleet.js';

/** The charms guide's host: two P5000 at 0000:83:00.0 and 0000:84:00.0, both on NUMA node 1, nothing else to offer. */
export function charmsGuideHost(name: string): HostDescription {
  return twoP5000Host(name);
}

/** A host on disk. `sysfs` and `proc` are what an agent is given as its roots. */
export interface HostOnDisk {
  readonly directory: string;
  readonly sysfs: string;
  readonly proc: string;
}

/** Writes a described host, or a recorded one by its name, into an empty directory. */
export async function hostAt(directory: string, host: HostDescription | HostTree | string): Promise<HostOnDisk> {
  await writeTree(await treeOf(host), directory);
  return { directory, sysfs: join(directory, 'sys'), proc: join(directory, 'proc') };
}

async function treeOf(host: HostDescription | HostTree | string): Promise<HostTree> {
  if (typeof host === 'string') return loadRecordedTree(host);
  return 'entries' in host ? host : generateHost(host);
}

/** {@link hostAt} in a temporary directory; the second of the pair removes it. */
export async function temporaryHost(
  host: HostDescription | HostTree | string,
): Promise<readonly [HostOnDisk, () => Promise<void>]> {
  const directory = await temporaryDirectory();
  const written = await hostAt(directory, host);
  return [written, () => rm(directory, { recursive: true, force: true })];
}

/** An empty directory in memory where that is possible: a tree is thousands of small files, which disks are slow with. */
export async function temporaryDirectory(): Promise<string> {
  const memory = await access('/dev/shm', constants.W_OK | constants.X_OK).then(
    () => true,
    () => false,
  );
  return mkdtemp(join(memory ? '/dev/shm' : tmpdir(), 'berth-host-'));
}

/** Any host: one to four NUMA nodes, up to twenty cards, some behind switches or ports without ACS. Same seed, same host. */
export function randomHost(seed: number): HostDescription {
  const random = randomNumbers(seed);
  const nodes = 1 + random(4);
  const roots = Array.from({ length: nodes }, (_, node) => randomRoot(node, random));
  return {
    name: `random-${seed}`,
    numaNodes: Array.from({ length: nodes }, (_, node) => {
      return { cpus: `${node * 8}-${node * 8 + 7}`, memoryMb: 32_768 * (1 + random(4)), socket: node >> random(2) };
    }),
    iommu: random(8) > 0,
    roots: [...sriovNicHost('any', 0).roots.slice(0, 1), ...roots],
    defaultRoute: 'eno1',
  };
}

function randomRoot(node: number, random: (below: number) => number): RootDescription {
  const bus = 0x20 + node * 0x30;
  let behind = bus;
  const nextBus = (): number => ++behind;
  const children = Array.from({ length: 1 + random(4) }, (_, slot) => {
    const at = `${slot.toString(16).padStart(2, '0')}.0`;
    const port = random(4) === 0 ? cards.ROOT_PORT_WITHOUT_ACS : cards.ROOT_PORT;
    const first = nextBus();
    return bridge(at, port, first, random(3) === 0 ? [randomSwitch(nextBus, random)] : randomSlot(random));
  });
  return { bus, numaNode: random(6) === 0 ? null : node, children };
}

function randomSwitch(nextBus: () => number, random: (below: number) => number): SlotDescription {
  const inside = nextBus();
  const ports = Array.from({ length: 1 + random(4) }, (_, slot) => {
    return bridge(`0${slot}.0`, cards.SWITCH_DOWNSTREAM, nextBus(), randomSlot(random));
  });
  return bridge('00.0', cards.SWITCH_UPSTREAM, inside, ports);
}

const SINGLE = [cards.P5000, cards.V100, cards.A100, cards.H100, cards.MI100, cards.RADEON_PRO, cards.NVME];
/** VFs are few enough to stay within the PF's own bus. */
const WITH_VFS = [cards.X710, cards.CONNECTX5, cards.QUICKASSIST];

function randomSlot(random: (below: number) => number): SlotDescription[] {
  const sort = random(6);
  if (sort === 0) return [device('00.0', cards.P5000), device('00.1', cards.P5000_AUDIO)];
  if (sort <= 2) {
    const card = WITH_VFS[random(WITH_VFS.length)] ?? cards.X710;
    return [device('00.0', card, { vfs: random(9), vfDriver: random(2) === 0 ? null : 'vfio-pci' })];
  }
  const card = SINGLE[random(SINGLE.length)] ?? cards.P5000;
  return [device('00.0', card, random(3) === 0 ? { driver: null } : {})];
}

/** A P5000 with its audio function in one IOMMU group (0000:63:00.0 and .1), and a two-port X710 at 0000:81:00. */
export function gpuWithAudioHost(name: string): HostDescription {
  const nic = sriovNicHost(name, 0);
  const functions = [device('00.0', cards.P5000), device('00.1', cards.P5000_AUDIO)];
  const gpu = { bus: 0x60, numaNode: 1, children: [bridge('02.0', cards.ROOT_PORT, 0x63, functions)] };
  return { ...nic, roots: [...nic.roots, gpu] };
}
