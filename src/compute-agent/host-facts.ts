import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type { WireHostFacts, WireNumaCell, WireResources } from '../messages/bodies.js';
import type { AgentSettings } from '../settings/settings.js';
import { AGENT_VERSION } from './agent-version.js';
import { readCapabilities } from './host-capabilities.js';
import { readIommu } from './iommu-facts.js';
import { listNames, readText } from './sysfs-read.js';

const CELLS_MAX = 256;
const CPUS_MAX = 65_536;
const CPUINFO_BYTES_MAX = 4 * 1024 * 1024;
const MEMINFO_BYTES_MAX = 64 * 1024;
const STAT_BYTES_MAX = 4 * 1024 * 1024;
const GIB = 1024 ** 3;

export type FactsSettings = Pick<
  AgentSettings,
  'sysfsRoot' | 'procRoot' | 'stateDir' | 'kernel' | 'readOnly' | 'resources'
> &
  /** Whoever leaves these out reports none. */
  Partial<Pick<AgentSettings, 'reserved' | 'hypervisor' | 'computeDriver'>> & {
    /** The local end of the agent's connection to the message broker; null or left out: not known. */
    readonly brokerAddress?: string | null;
  };

export interface FactsReading {
  readonly facts: WireHostFacts;
  readonly problems: readonly string[];
}

/**
 * What the host is: NUMA cells from sysfs, sums of them as totals, `/proc` where sysfs does not say. Settings win.
 * What cannot be read is 0 or null, with a problem.
 */
export async function readHostFacts(settings: FactsSettings): Promise<FactsReading> {
  const problems: string[] = [];
  const cells = numaCells(settings.sysfsRoot, problems);
  const { vcpus, memoryMb, diskGb } = settings.resources;
  const ipAddress = ipAddressOf(settings);
  const booted = bootedAt(settings.procRoot);
  const facts: WireHostFacts = {
    vcpus: vcpus ?? (sum(cells.map((cell) => cell.cpus)) || cpusWithoutNuma(settings)),
    memory_mb: memoryMb ?? (sum(cells.map((cell) => cell.memory_mb)) || memoryWithoutNuma(settings)),
    disk_gb: diskGb ?? (await diskOf(settings, problems)),
    numa_cells: cells,
    kernel: kernelRelease(settings.procRoot),
    kernel_kind: settings.kernel,
    read_only: settings.readOnly,
    agent_version: AGENT_VERSION,
    ...(settings.hypervisor ? { capabilities: readCapabilities(settings, settings.hypervisor) } : {}),
    iommu: readIommu(settings.sysfsRoot),
    ...(settings.reserved ? { reserved: reservedOf(settings.reserved) } : {}),
    ...(startsGuests(settings) ? { compute_driver: settings.computeDriver } : {}),
    ...(ipAddress === null ? {} : { ip_address: ipAddress }),
    ...(booted === null ? {} : { booted_at: booted }),
  };
  if (facts.vcpus === 0) problems.push('the number of CPUs is not known; set agent.resources.vcpus');
  if (facts.memory_mb === 0) problems.push('the size of the memory is not known; set agent.resources.memory_mb');
  return { facts, problems };
}

function startsGuests({ computeDriver = 'attach-only' }: FactsSettings): boolean {
  return computeDriver === 'qemu' || computeDriver === 'libvirt';
}

function reservedOf({ vcpus, memoryMb, diskGb }: AgentSettings['reserved']): WireResources {
  return { vcpus, memory_mb: memoryMb, disk_gb: diskGb };
}

function numaCells(sysfsRoot: string, problems: string[]): WireNumaCell[] {
  const root = join(sysfsRoot, 'devices/system/node');
  const ids = namesOrProblem(root, problems)
    .map((name) => /^node(\d{1,5})$/.exec(name)?.[1])
    .filter((digits) => digits !== undefined)
    .map(Number)
    .filter((id) => id <= 65_535)
    .sort((a, b) => a - b);
  if (ids.length > CELLS_MAX) problems.push(`more than ${CELLS_MAX} NUMA nodes; the rest is left out`);
  return ids.slice(0, CELLS_MAX).map((id) => numaCell(sysfsRoot, join(root, `node${id}`), id, problems));
}

function namesOrProblem(path: string, problems: string[]): string[] {
  try {
    return listNames(path);
  } catch (error) {
    problems.push((error as Error).message);
    return [];
  }
}

function numaCell(sysfsRoot: string, dir: string, id: number, problems: string[]): WireNumaCell {
  const cpus = cpuList(textOf(join(dir, 'cpulist')));
  const memoryMb = memTotalMb(textOf(join(dir, 'meminfo'), MEMINFO_BYTES_MAX));
  if (cpus === null) problems.push(`node${id}/cpulist is not a list of CPUs`);
  if (memoryMb === null) problems.push(`node${id}/meminfo does not say MemTotal`);
  return { id, cpus: cpus?.count ?? 0, memory_mb: memoryMb ?? 0, socket: socketOf(sysfsRoot, cpus?.first ?? null) };
}

/** `0-3,8-11`; a node with memory only has an empty list. */
function cpuList(text: string | null): { readonly count: number; readonly first: number | null } | null {
  if (text === null) return null;
  if (text === '') return { count: 0, first: null };
  let count = 0;
  let first: number | null = null;
  for (const part of text.split(',')) {
    const [, from, to] = /^(\d{1,6})(?:-(\d{1,6}))?$/.exec(part) ?? [];
    if (from === undefined || Number(to ?? from) < Number(from)) return null;
    count += Number(to ?? from) - Number(from) + 1;
    first ??= Number(from);
  }
  return count <= CPUS_MAX ? { count, first } : null;
}

function memTotalMb(text: string | null): number | null {
  const kib = /MemTotal:\s+(\d{1,15}) kB/.exec(text ?? '')?.[1];
  return kib === undefined ? null : Math.floor(Number(kib) / 1024);
}

function socketOf(sysfsRoot: string, cpu: number | null): number | null {
  if (cpu === null) return null;
  const text = textOf(join(sysfsRoot, `devices/system/cpu/cpu${cpu}/topology/physical_package_id`));
  return text !== null && /^\d{1,5}$/.test(text) && Number(text) <= 65_535 ? Number(text) : null;
}

function cpusWithoutNuma({ sysfsRoot, procRoot }: FactsSettings): number {
  const online = cpuList(textOf(join(sysfsRoot, 'devices/system/cpu/online')))?.count ?? 0;
  if (online > 0) return online;
  const cpuinfo = textOf(join(procRoot, 'cpuinfo'), CPUINFO_BYTES_MAX) ?? '';
  return Math.min(cpuinfo.match(/^processor\s*:/gm)?.length ?? 0, CPUS_MAX);
}

function memoryWithoutNuma({ procRoot }: FactsSettings): number {
  return memTotalMb(textOf(join(procRoot, 'meminfo'), MEMINFO_BYTES_MAX)) ?? 0;
}

/** Of a live host: the size of the file system with the agent's state. A recorded tree has no disk but the settings'. */
async function diskOf({ kernel, stateDir }: FactsSettings, problems: string[]): Promise<number> {
  if (kernel === 'simulated') return 0;
  try {
    const { blocks, bsize } = await statfs(stateDir);
    return Math.floor((blocks * bsize) / GIB);
  } catch (error) {
    problems.push(`the disk of ${stateDir} cannot be measured: ${(error as Error).message}`);
    return 0;
  }
}

/** How the host is reached where the broker is. The host of a recorded tree is nowhere. */
function ipAddressOf({ kernel, brokerAddress = null }: FactsSettings): string | null {
  return kernel === 'simulated' ? null : (brokerAddress?.replace(/^::ffff:(?=[\d.]+$)/, '') ?? null);
}

/** When the kernel says that it booted, in ISO 8601; null: it does not say. */
function bootedAt(procRoot: string): string | null {
  const seconds = /^btime (\d{1,11})$/m.exec(textOf(join(procRoot, 'stat'), STAT_BYTES_MAX) ?? '')?.[1];
  return seconds === undefined ? null : new Date(Number(seconds) * 1000).toISOString();
}

/** The running kernel: `6.1.0-18-amd64`. */
export function kernelRelease(procRoot: string): string | null {
  const release = textOf(join(procRoot, 'sys/kernel/osrelease'));
  const version = /^Linux version (\S+)/.exec(textOf(join(procRoot, 'version')) ?? '')?.[1];
  return (release || version)?.slice(0, 255) ?? null;
}

function textOf(path: string, bytesMax?: number): string | null {
  const reading = readText(path, bytesMax);
  return reading.kind === 'text' ? reading.text : null;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
