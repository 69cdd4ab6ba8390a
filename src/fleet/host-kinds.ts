import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SerialNumbers } from '../compute-agent/serial-numbers.js';
import { scanHost } from '../compute-agent/sysfs-scanner.js';
import { BerthError } from '../errors.js';
import type { AgentReport } from '../messages/bodies.js';
import { toWireDevice } from '../messages/wire-device.js';
import { parseDeviceSpecs } from '../pci/device-spec/device-spec-reader.js';
import { eightGpuHost, quickAssistHost, sriovNicHost, twoP5000Host } from '../recorded-hosts/demo-fleet.js';
import type { HostDescription } from '../recorded-hosts/description.js';
import { generateHost } from '../recorded-hosts/generator.js';
import { loadRecordedTree, writeTree, type HostTree } from '../recorded-hosts/tree.js';
import type { AgentSettings } from '../settings/settings.js';

/** What a kind of host reports as long as nothing is done to it. */
export type HostContent = Pick<AgentReport, 'facts' | 'devices'>;

const GENERATED: Readonly<Record<string, (name: string) => HostDescription>> = {
  'two-gpus': twoP5000Host,
  'eight-gpus': eightGpuHost,
  'sriov-nic': (name) => sriovNicHost(name, 8),
  quickassist: (name) => quickAssistHost(name, 8),
};

/** Of all makers of the trees: what an operator would offer of them. */
const WHITELIST = [
  { vendor_id: '10de' },
  { vendor_id: '8086', product_id: '154c', physical_network: 'physnet1' },
  { vendor_id: '15b3', product_id: '1018', physical_network: 'physnet2' },
  { vendor_id: '8086', product_id: '0443' },
  { vendor_id: '1002', product_id: '738c' },
];

export const KINDS: readonly string[] = Object.keys(GENERATED);

/**
 * Scans one tree of each kind, as an agent would. A kind is one of {@link KINDS}, or a recorded host: its file's name.
 *
 * @throws BerthError `settings.invalid` when there is no such kind
 */
export async function readKinds(kinds: readonly string[]): Promise<HostContent[]> {
  return Promise.all(kinds.map(async (kind) => scanned(await treeOf(kind))));
}

async function treeOf(kind: string): Promise<HostTree> {
  const generated = GENERATED[kind];
  if (generated) return generateHost(generated(kind));
  try {
    return await loadRecordedTree(kind);
  } catch (cause) {
    const message = `kinds: "${kind.slice(0, 80)}" is none of ${KINDS.join(', ')}, and no recorded host`;
    throw new BerthError('settings.invalid', message, { cause });
  }
}

async function scanned(tree: HostTree): Promise<HostContent> {
  const folder = await mkdtemp(join(tmpdir(), 'berth-fleet-'));
  try {
    await writeTree(tree, folder);
    const { facts, devices } = await scanHost(settingsFor(folder), new Map(), new SerialNumbers());
    return { facts, devices: devices.map(toWireDevice) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function settingsFor(folder: string): AgentSettings {
  return {
    host: 'fleet',
    sysfsRoot: join(folder, 'sys'),
    procRoot: join(folder, 'proc'),
    stateDir: folder,
    kernel: 'simulated',
    readOnly: false,
    deviceSpecs: parseDeviceSpecs(WHITELIST, 'fleet', { freeTags: [] }),
    scanIntervalMs: 60_000,
    heartbeatIntervalMs: 10_000,
    resources: { vcpus: null, memoryMb: null, diskGb: 1000 },
    reserved: { vcpus: 0, memoryMb: 0, diskGb: 0 },
    hypervisor: { type: 'QEMU', version: null },
  };
}
