import { access, constants, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SerialNumbers } from '../src/compute-agent/serial-numbers.js';
import { scanHost, type HostScan } from '../src/compute-agent/sysfs-scanner.js';
import { contentHash } from '../src/messages/content-hash.js';
import { toWireDevice } from '../src/messages/wire-device.js';
import { parseDeviceSpecs } from '../src/pci/device-spec/device-spec-reader.js';
import * as cards from '../src/recorded-hosts/cards.js';
import { eightGpuHost } from '../src/recorded-hosts/demo-fleet.js';
import { bridge, device, type HostDescription, type SlotDescription } from '../src/recorded-hosts/description.js';
import { generateHost } from '../src/recorded-hosts/generator.js';
import { writeTree } from '../src/recorded-hosts/tree.js';
import { figure, say, sayTable } from './print.js';
import { median } from './statistics.js';

const FUNCTIONS = 1024;
const VFS_MAX = 64;
const ROUNDS = 21;
const WARM_UPS = 5;
const MIB = 2 ** 20;

interface Cost {
  readonly ms: number;
  readonly cpuMs: number;
}

/** What an agent spends on looking at a large host: for the first time, and every minute from then on. */
export async function measureScan(): Promise<void> {
  const folder = await mkdtemp(join(await inMemory(), 'berth-bench-scan-'));
  try {
    await writeTree(generateHost(largeHost()), folder);
    await mkdir(join(folder, 'proc/1'), { recursive: true });
    await writeFile(join(folder, 'proc/1/mountinfo'), '24 1 0:21 / / rw - tmpfs tmpfs rw\n');
    const before = process.memoryUsage().rss;
    const rows = await rowsOf(folder);
    say(`Scan of a generated host of ${FUNCTIONS} functions in ${folder}, medians of ${ROUNDS} rounds.`);
    say(
      'full: with nothing known from before; again: nothing has changed. report: the wire form and its hash, which decide',
    );
    say('whether there is news. CPU is user and system time of this process.');
    say();
    sayTable(['', 'ms', 'CPU ms', 'µs a function'], rows);
    say();
    const [rss, peak] = [process.memoryUsage().rss, process.resourceUsage().maxRSS * 1024];
    say(`RSS ${figure(before / MIB)} MiB before, ${figure(rss / MIB)} after, ${figure(peak / MIB)} at most.`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function rowsOf(folder: string): Promise<string[][]> {
  const known = new SerialNumbers();
  const scanned = await scan(folder, known);
  if (scanned.devices.length !== FUNCTIONS || scanned.problems.length > 0) {
    throw new Error(
      `${scanned.devices.length} functions, problems ${JSON.stringify(scanned.problems.slice(0, 3))}: not the host that was meant`,
    );
  }
  return [
    row('full', await measured(() => scan(folder, new SerialNumbers()))),
    row('again', await measured(() => scan(folder, known))),
    row('report', await measured(() => Promise.resolve(hashOf(scanned)))),
  ];
}

function scan(folder: string, serials: SerialNumbers): Promise<HostScan> {
  return scanHost(
    {
      ...{ sysfsRoot: join(folder, 'sys'), procRoot: join(folder, 'proc'), stateDir: folder },
      ...{ kernel: 'live', readOnly: false, resources: { vcpus: null, memoryMb: null, diskGb: null } },
      deviceSpecs: SPECS,
    },
    new Map(),
    serials,
  );
}

const SPECS = parseDeviceSpecs([{ vendor_id: '10de' }, { vendor_id: '8086', product_id: '154c' }], 'bench', {
  freeTags: [],
});

function hashOf({ facts, devices }: HostScan): string {
  return contentHash({ facts, devices: devices.map(toWireDevice) });
}

function row(name: string, costs: readonly Cost[]): string[] {
  const [ms, cpuMs] = [median(costs.map((cost) => cost.ms)), median(costs.map((cost) => cost.cpuMs))];
  return [name, figure(ms), figure(cpuMs), figure((cpuMs * 1000) / FUNCTIONS)];
}

async function measured(work: () => Promise<unknown>): Promise<Cost[]> {
  const costs: Cost[] = [];
  for (let round = -WARM_UPS; round < ROUNDS; round++) {
    const [cpu, start] = [process.cpuUsage(), performance.now()];
    await work();
    const { user, system } = process.cpuUsage(cpu);
    if (round >= 0) costs.push({ ms: performance.now() - start, cpuMs: (user + system) / 1000 });
  }
  return costs;
}

/** Eight GPUs with their switches, and NICs with as many VFs as make up the number. */
function largeHost(): HostDescription {
  const gpus = eightGpuHost('large');
  let missing = FUNCTIONS - generateCount(gpus);
  const nics: SlotDescription[] = [];
  for (let nic = 0; missing > 2; nic++) {
    const vfs = Math.min(VFS_MAX, missing - 2); // the port and the PF are two
    const slot = `${nic.toString(16).padStart(2, '0')}.0`;
    nics.push(bridge(slot, cards.ROOT_PORT, 0xc1 + nic, [device('00.0', cards.X710, { vfs })]));
    missing -= vfs + 2;
  }
  return { ...gpus, roots: [...gpus.roots, { bus: 0xc0, numaNode: 1, children: nics }] };
}

function generateCount(host: HostDescription): number {
  const pattern = /^sys\/bus\/pci\/devices\/[^/]+$/;
  return generateHost(host).entries.filter(({ path }) => pattern.test(path)).length;
}

/** What is measured is not a disk. */
async function inMemory(): Promise<string> {
  return access('/dev/shm', constants.W_OK).then(
    () => '/dev/shm',
    () => tmpdir(),
  );
}
