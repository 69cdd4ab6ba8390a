import { writeDriver, writeIommu, writeModule, writePciBus } from './bus-files.js';
import type { HostDescription } from './description.js';
import { DRIVER_TABLE_FILE, SIMULATION_DIRECTORY } from './driver-table.js';
import { IOMMU_DIRECTORY, writeBusDirectory, writeFunction } from './function-files.js';
import { placeHost, rootDirectory, type PlacedHost } from './layout.js';
import { cpuSetOf, writeProc, writeTopology } from './machine-files.js';
import type { PlacedFunction } from './placed-function.js';
import { writeInterface, writeNvme, writeVirtioNet } from './presented-files.js';
import { allocateRegions } from './regions.js';
import { TreeBuilder } from './tree-builder.js';
import type { HostTree } from './tree.js';

/**
 * The tree of any host, in the layout of a Linux 6.1 kernel: the same description always gives the same tree.
 *
 * Left out are power management, interrupts, error counters, ACPI's links and the port services: a scheduler reads
 * none of them.
 */
export function generateHost(description: HostDescription): HostTree {
  const host = placeHost(description);
  const tree = new TreeBuilder();
  writePciBus(tree);
  if (description.iommu) writeIommu(tree, IOMMU_DIRECTORY);
  tree.dir('sys/kernel/iommu_groups');
  for (const driver of driversOf(host)) writeDriver(tree, driver);
  for (const module of ['vfio', 'vfio_iommu_type1', 'vfio_pci']) writeModule(tree, module);
  for (const { bus, numaNode } of description.roots) {
    tree.file(`${rootDirectory(bus)}/uevent`, '', 0o644);
    writeBusDirectory(tree, rootDirectory(bus), bus, cpuSetOf(description.numaNodes, numaNode));
  }
  writeFunctions(tree, host);
  writePresented(tree, host);
  writeTopology(tree, description.numaNodes);
  const interfaces = host.functions.flatMap(({ interfaceName }) => interfaceName ?? []);
  writeProc(tree, description, driversOf(host), interfaces);
  tree.attribute(`sys/${SIMULATION_DIRECTORY}/${DRIVER_TABLE_FILE}`, JSON.stringify(driverTableOf(host)), 0o644);
  return { name: description.name, entries: tree.done() };
}

/** Every driver that a device of this host may have. */
function driversOf(host: PlacedHost): string[] {
  const drivers = host.functions.flatMap(({ driver, card }) => [driver, card.driver, card.sriov?.vf.driver ?? null]);
  return [...new Set([...drivers, 'vfio-pci'])].filter((driver) => driver !== null).sort();
}

function driverTableOf(host: PlacedHost): Record<string, string> {
  const own = host.functions.flatMap(({ card }) => [card, ...(card.sriov === null ? [] : [card.sriov.vf])]);
  const entries = own.flatMap((card) =>
    card.driver === null ? [] : [[`${card.vendorId}:${card.productId}`, card.driver] as const],
  );
  return Object.fromEntries(entries);
}

function writeFunctions(tree: TreeBuilder, host: PlacedHost): void {
  const regions = allocateRegions(host.functions);
  for (const placed of host.functions) {
    const virtual = host.functions.filter(({ physicalFunction }) => physicalFunction === placed);
    writeFunction(tree, {
      ...placed,
      iommuGroup: host.groups.get(placed.address) ?? null,
      multifunction: isMultifunction(placed, host.functions),
      behind: placed.behind && { primary: placed.bus, ...placed.behind },
      onRootBus: placed.above === null,
      physicalFunction: placed.physicalFunction?.directory ?? null,
      virtualFunctions: virtual
        .toSorted((a, b) => (a.vfIndex ?? 0) - (b.vfIndex ?? 0))
        .map(({ directory }) => directory),
      localCpus: cpuSetOf(host.description.numaNodes, placed.numaNode),
      barStarts: regions.get(placed.address) ?? new Map(),
    });
  }
}

function isMultifunction(placed: PlacedFunction, all: readonly PlacedFunction[]): boolean {
  const slot = placed.address.slice(0, -1);
  return (
    placed.physicalFunction === null &&
    all.some((other) => other !== placed && other.address.startsWith(slot) && other.physicalFunction === null)
  );
}

/** What the native drivers show of their devices: interfaces and NVMe controllers. */
function writePresented(tree: TreeBuilder, host: PlacedHost): void {
  let interfaceIndex = 2;
  let virtioIndex = 0;
  let nvmeIndex = 0;
  for (const { directory, address, card, driver, numaNode, interfaceName } of host.functions) {
    if (driver === null || driver !== card.driver) continue;
    if (card.presents === 'nvme') writeNvme(tree, { parent: directory, address, index: nvmeIndex++, numaNode });
    if (interfaceName === null) continue;
    const parent = card.presents === 'virtio-net' ? writeVirtioNet(tree, directory, virtioIndex++) : directory;
    const mac = macOf(host.description.name, address);
    const up = interfaceName === host.description.defaultRoute;
    writeInterface(tree, { parent, name: interfaceName, mac, index: interfaceIndex++, up });
  }
}

/** A locally administered address that differs from host to host (FNV-1a of the names). */
function macOf(host: string, address: string): string {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(`${host}/${address}`)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  const octets = [0x02, 0xbe, ...[24, 16, 8, 0].map((shift) => (hash >>> shift) & 0xff)];
  return octets.map((octet) => octet.toString(16).padStart(2, '0')).join(':');
}
