import type { HostDescription, NumaNodeDescription } from './description.js';
import { moduleOf } from './bus-files.js';
import type { CpuSet } from './function-files.js';
import type { TreeBuilder } from './tree-builder.js';

/** The numbers of a list as the kernel prints it, `0-3,8`. */
export function cpusOf(list: string): number[] {
  return list.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, step) => first + step);
  });
}

/** The CPUs of a node; of all nodes when it is null, which is what the kernel calls local to a device without one. */
export function cpuSetOf(nodes: readonly NumaNodeDescription[], node: number | null): CpuSet {
  const all = nodes.flatMap(({ cpus }) => cpusOf(cpus));
  const own = node === null ? all : cpusOf(nodes[node]?.cpus ?? '0');
  return { mask: maskOf(own, Math.max(...all) + 1), list: listOf(own) };
}

/** Words of 32 bits, highest first; the highest has as many digits as there are CPUs for it. */
function maskOf(cpus: readonly number[], count: number): string {
  const digits = Math.ceil(count / 4);
  const mask = cpus.reduce((bits, cpu) => bits | (1n << BigInt(cpu)), 0n);
  const text = mask.toString(16).padStart(digits, '0');
  return text.replaceAll(/(?<=.)(?=(.{8})+$)/g, ',');
}

function listOf(cpus: readonly number[]): string {
  const ranges: [number, number][] = [];
  for (const cpu of [...cpus].sort((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last !== undefined && last[1] === cpu - 1) last[1] = cpu;
    else ranges.push([cpu, cpu]);
  }
  return ranges.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(',');
}

/** `devices/system`: NUMA nodes, and the CPUs with the socket of each. */
export function writeTopology(tree: TreeBuilder, nodes: readonly NumaNodeDescription[]): void {
  const all = cpuSetOf(nodes, null);
  const online = nodes.length > 1 ? `0-${nodes.length - 1}` : '0';
  const directory = 'sys/devices/system/node';
  for (const file of ['online', 'possible', 'has_cpu', 'has_memory', 'has_normal_memory']) {
    tree.attribute(`${directory}/${file}`, online);
  }
  tree.attribute(`${directory}/has_generic_initiator`, '');
  tree.file(`${directory}/uevent`, '', 0o644);
  for (const file of ['online', 'possible', 'present']) tree.attribute(`sys/devices/system/cpu/${file}`, all.list);
  for (const index of nodes.keys()) writeNode(tree, nodes, index);
}

function writeNode(tree: TreeBuilder, nodes: readonly NumaNodeDescription[], index: number): void {
  const node = nodes[index] as NumaNodeDescription;
  const directory = `sys/devices/system/node/node${index}`;
  const cpus = cpuSetOf(nodes, index);
  tree.attribute(`${directory}/cpulist`, cpus.list);
  tree.attribute(`${directory}/cpumap`, cpus.mask);
  tree.attribute(`${directory}/distance`, nodes.map((other, at) => distance(node, other, at === index)).join(' '));
  tree.file(`${directory}/meminfo`, nodeMemory(index, node.memoryMb * 1024));
  tree.file(`${directory}/compact`, '', 0o200);
  tree.file(`${directory}/uevent`, '', 0o644);
  tree.link(`${directory}/subsystem`, 'sys/bus/node');
  for (const [core, cpu] of cpusOf(node.cpus).entries()) {
    const topology = `sys/devices/system/cpu/cpu${cpu}/topology`;
    tree.attribute(`${topology}/physical_package_id`, node.socket);
    tree.attribute(`${topology}/core_id`, core);
    tree.link(`${directory}/cpu${cpu}`, `sys/devices/system/cpu/cpu${cpu}`);
  }
}

function distance(node: NumaNodeDescription, other: NumaNodeDescription, same: boolean): number {
  return same ? 10 : node.socket === other.socket ? 12 : 20;
}

function nodeMemory(index: number, total: number): string {
  const values: readonly (readonly [string, number])[] = [
    ['MemTotal', total],
    ['MemFree', Math.floor(total * 0.9)],
    ['MemUsed', total - Math.floor(total * 0.9)],
  ];
  return values.map(([key, kib]) => `Node ${index} ${`${key}:`.padEnd(15)} ${String(kib).padStart(8)} kB\n`).join('');
}

/** Seconds since 1970: New Year's Day of 2025. */
const BOOTED_AT = 1_735_689_600;

/** `proc`: what an agent reads of the host itself. */
export function writeProc(
  tree: TreeBuilder,
  description: HostDescription,
  drivers: readonly string[],
  interfaces: readonly string[],
): void {
  const total = description.numaNodes.reduce((sum, { memoryMb }) => sum + memoryMb * 1024, 0);
  const memory = {
    MemTotal: total,
    MemFree: Math.floor(total * 0.9),
    MemAvailable: Math.floor(total * 0.95),
    Buffers: 0,
    Cached: 0,
  };
  const memoryLines = Object.entries(memory).map(
    ([key, kib]) => `${`${key}:`.padEnd(15)} ${String(kib).padStart(8)} kB\n`,
  );
  tree.file('proc/meminfo', `${memoryLines.join('')}HugePages_Total:       0\nHugepagesize:       2048 kB\n`);
  tree.attribute('proc/stat', `btime ${BOOTED_AT}`);
  tree.attribute('proc/version', 'Linux version 6.1.0-generated-amd64 (berth) #1 SMP PREEMPT_DYNAMIC');
  tree.attribute(
    'proc/cmdline',
    `BOOT_IMAGE=/boot/vmlinuz root=/dev/nvme0n1p2 ro${description.iommu ? ' intel_iommu=on iommu=pt' : ''}`,
  );
  tree.file(
    'proc/modules',
    drivers.map((driver) => `${moduleOf(driver)} 65536 0 - Live 0x0000000000000000\n`).join(''),
  );
  tree.file('proc/cpuinfo', cpuInfo(description.numaNodes));
  tree.file('proc/net/route', routes(description.defaultRoute));
  tree.file('proc/net/dev', interfaceCounters(['lo', ...interfaces]));
}

function cpuInfo(nodes: readonly NumaNodeDescription[]): string {
  const cpus = nodes.flatMap(({ cpus: list, socket }) => cpusOf(list).map((cpu, core) => ({ cpu, core, socket })));
  return cpus
    .sort((a, b) => a.cpu - b.cpu)
    .map(({ cpu, core, socket }) => `processor\t: ${cpu}\nphysical id\t: ${socket}\ncore id\t\t: ${core}\n\n`)
    .join('');
}

function routes(defaultRoute: string | null): string {
  const line = (...fields: readonly string[]): string => `${fields.join('\t').padEnd(127)}\n`;
  const head = line(
    'Iface',
    'Destination',
    'Gateway ',
    'Flags',
    'RefCnt',
    'Use',
    'Metric',
    'Mask',
    '\tMTU',
    'Window',
    'IRTT',
  );
  if (defaultRoute === null) return head;
  const rest = ['0', '0', '0'];
  return [
    head,
    line(defaultRoute, '00000000', '0202000A', '0003', '0', '0', '0', '00000000', ...rest),
    line(defaultRoute, '0002000A', '00000000', '0001', '0', '0', '0', '00FFFFFF', ...rest),
  ].join('');
}

function interfaceCounters(names: readonly string[]): string {
  const zeros =
    '       0       0    0    0    0     0          0         0        0       0    0    0    0     0       0          0';
  return [
    'Inter-|   Receive                                                |  Transmit\n',
    ' face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n',
    ...names.map((name) => `${name.padStart(6)}:${zeros}\n`),
  ].join('');
}
