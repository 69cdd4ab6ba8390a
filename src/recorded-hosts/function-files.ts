import { configSpace } from './config-space.js';
import type { Bar, Card } from './description.js';
import type { TreeBuilder } from './tree-builder.js';
import { vitalProductData } from './vital-product-data.js';

/** All that a function's directory follows from. Directories are from the tree's root (`sys/devices/…`). */
export interface FunctionFacts {
  readonly address: string;
  readonly directory: string;
  readonly card: Card;
  readonly driver: string | null;
  readonly serialNumber: string | null;
  readonly numaNode: number | null;
  readonly iommuGroup: number | null;
  readonly multifunction: boolean;
  readonly behind: { readonly primary: number; readonly secondary: number; readonly subordinate: number } | null;
  readonly onRootBus: boolean;
  /** Of a VF: the directory of its PF. */
  readonly physicalFunction: string | null;
  /** Of a PF: the directories of its VFs, in order. */
  readonly virtualFunctions: readonly string[];
  /** As mask and as list. */
  readonly localCpus: CpuSet;
  /** Start addresses by BAR index; a BAR without one has no region. */
  readonly barStarts: ReadonlyMap<number, number>;
}

export interface CpuSet {
  /** `ff,ffffffff` */
  readonly mask: string;
  /** `0-15,32-47` */
  readonly list: string;
}

/** The directory that VT-d's first unit has in sysfs. */
export const IOMMU_DIRECTORY = 'sys/devices/virtual/iommu/dmar0';

/** Writes a function's directory: attributes as a Linux 6.1 kernel formats them, links, and what its kind adds. */
export function writeFunction(tree: TreeBuilder, facts: FunctionFacts): void {
  writeIdentity(tree, facts);
  writeState(tree, facts);
  writeRegions(tree, facts);
  tree.dir(`${facts.directory}/link`);
  if (facts.card.link !== null) writeLink(tree, facts, facts.card.link);
  if (facts.card.resetMethods.length > 0) {
    tree.file(`${facts.directory}/reset`, '', 0o200);
    tree.attribute(`${facts.directory}/reset_method`, facts.card.resetMethods.join(' '), 0o644);
  }
  if (facts.behind !== null) writeBusBehind(tree, facts, facts.behind);
  if (facts.serialNumber !== null) {
    tree.file(`${facts.directory}/vpd`, vitalProductData(facts.card.name, facts.serialNumber), 0o600);
  }
  writeSriov(tree, facts);
  writeLinks(tree, facts);
}

function writeIdentity(tree: TreeBuilder, { directory, address, card, driver }: FunctionFacts): void {
  tree.attribute(`${directory}/vendor`, `0x${card.vendorId}`);
  tree.attribute(`${directory}/device`, `0x${card.productId}`);
  tree.attribute(`${directory}/class`, `0x${card.classCode}`);
  tree.attribute(`${directory}/subsystem_vendor`, `0x${card.subsystemVendorId}`);
  tree.attribute(`${directory}/subsystem_device`, `0x${card.subsystemProductId}`);
  tree.attribute(`${directory}/revision`, `0x${card.revision}`);
  tree.attribute(`${directory}/modalias`, modalias(card));
  tree.file(`${directory}/uevent`, ueventText(address, card, driver), 0o644);
}

function modalias(card: Card): string {
  const id = (digits: string): string => digits.toUpperCase().padStart(8, '0');
  const [base, sub, programming] = [0, 2, 4].map((at) => card.classCode.slice(at, at + 2).toUpperCase());
  const ids = `v${id(card.vendorId)}d${id(card.productId)}`;
  return `pci:${ids}sv${id(card.subsystemVendorId)}sd${id(card.subsystemProductId)}bc${base}sc${sub}i${programming}`;
}

function ueventText(address: string, card: Card, driver: string | null): string {
  const upper = (text: string): string => text.toUpperCase();
  return [
    ...(driver === null ? [] : [`DRIVER=${driver}`]),
    `PCI_CLASS=${upper(Number.parseInt(card.classCode, 16).toString(16)).padStart(4, '0')}`,
    `PCI_ID=${upper(card.vendorId)}:${upper(card.productId)}`,
    `PCI_SUBSYS_ID=${upper(card.subsystemVendorId)}:${upper(card.subsystemProductId)}`,
    `PCI_SLOT_NAME=${address}`,
    `MODALIAS=${modalias(card)}`,
    '',
  ].join('\n');
}

function writeState(tree: TreeBuilder, facts: FunctionFacts): void {
  const { directory, driver, card } = facts;
  const isVirtual = facts.physicalFunction !== null;
  const native = driver !== null && driver !== 'vfio-pci';
  const maskBits = driver !== null ? 64 : 32;
  tree.attribute(`${directory}/numa_node`, facts.numaNode ?? -1, 0o644);
  tree.attribute(`${directory}/local_cpus`, facts.localCpus.mask);
  tree.attribute(`${directory}/local_cpulist`, facts.localCpus.list);
  tree.attribute(`${directory}/driver_override`, driver === 'vfio-pci' ? driver : '(null)', 0o644);
  tree.attribute(`${directory}/enable`, native ? 1 : 0, 0o644);
  tree.attribute(`${directory}/irq`, native ? 16 : 0);
  tree.attribute(`${directory}/msi_bus`, 1, 0o644);
  tree.attribute(`${directory}/ari_enabled`, isVirtual || card.sriov !== null ? 1 : 0);
  tree.attribute(`${directory}/broken_parity_status`, 0, 0o644);
  tree.attribute(`${directory}/d3cold_allowed`, facts.onRootBus ? 0 : 1, 0o644);
  tree.attribute(`${directory}/dma_mask_bits`, maskBits);
  tree.attribute(`${directory}/consistent_dma_mask_bits`, maskBits);
  tree.attribute(`${directory}/power_state`, isVirtual ? 'unknown' : driver === 'vfio-pci' ? 'D3hot' : 'D0');
  if (!isVirtual) {
    tree.file(`${directory}/remove`, '', 0o220);
    tree.file(`${directory}/rescan`, '', 0o200);
  }
}

/** IO regions, then the ROM, then six for SR-IOV; a bridge has four windows more. */
const REGION_LINES = { function: 13, bridge: 17 } as const;
const REGION_FLAGS = { io: 0x40101, memory: 0x40200, memory64: 0x140204, prefetchable64: 0x14220c } as const;
const SRIOV_REGION = 7;

function writeRegions(tree: TreeBuilder, facts: FunctionFacts): void {
  const { directory, card, barStarts } = facts;
  const lines = Array<string>(facts.behind === null ? REGION_LINES.function : REGION_LINES.bridge).fill(
    regionLine(0, 0, 0),
  );
  for (const bar of card.bars) {
    const start = barStarts.get(bar.index);
    if (start === undefined) continue;
    lines[bar.index] = regionOf(bar, start);
    // Device memory: empty in a recorded tree.
    tree.file(`${directory}/resource${bar.index}`, '', 0o600);
    if (bar.kind === 'prefetchable64') tree.file(`${directory}/resource${bar.index}_wc`, '', 0o600);
  }
  for (const bar of card.sriov?.vf.bars ?? []) {
    const start = barStarts.get(SRIOV_REGION + bar.index);
    if (start !== undefined)
      lines[SRIOV_REGION + bar.index] = regionOf({ ...bar, bytes: bar.bytes * (card.sriov?.totalVfs ?? 1) }, start);
  }
  tree.file(`${directory}/resource`, `${lines.join('\n')}\n`);
  tree.file(
    `${directory}/config`,
    configSpace({ ...facts, isVirtual: facts.physicalFunction !== null, vfs: facts.virtualFunctions.length }),
    0o644,
  );
}

function regionOf(bar: Bar, start: number): string {
  return regionLine(start, start + bar.bytes - 1, REGION_FLAGS[bar.kind]);
}

function regionLine(...fields: readonly number[]): string {
  return fields.map((field) => `0x${field.toString(16).padStart(16, '0')}`).join(' ');
}

function writeLink(tree: TreeBuilder, { directory, behind }: FunctionFacts, link: NonNullable<Card['link']>): void {
  const speed = `${link.speed.toFixed(1)} GT/s PCIe`;
  tree.attribute(`${directory}/current_link_speed`, speed);
  tree.attribute(`${directory}/max_link_speed`, speed);
  tree.attribute(`${directory}/current_link_width`, link.width);
  tree.attribute(`${directory}/max_link_width`, link.width);
  if (behind === null) tree.attribute(`${directory}/link/l0s_aspm`, 0, 0o644);
}

function writeBusBehind(tree: TreeBuilder, facts: FunctionFacts, behind: NonNullable<FunctionFacts['behind']>): void {
  tree.attribute(`${facts.directory}/secondary_bus_number`, behind.secondary);
  tree.attribute(`${facts.directory}/subordinate_bus_number`, behind.subordinate);
  tree.file(`${facts.directory}/reset_subordinate`, '', 0o200);
  writeBusDirectory(tree, facts.directory, behind.secondary, facts.localCpus);
}

/** `pci_bus/0000:81` of a bridge or a root, and its link in `class/pci_bus`. */
export function writeBusDirectory(tree: TreeBuilder, above: string, bus: number, cpus: CpuSet): void {
  const name = `0000:${bus.toString(16).padStart(2, '0')}`;
  const directory = `${above}/pci_bus/${name}`;
  tree.attribute(`${directory}/cpuaffinity`, cpus.mask);
  tree.attribute(`${directory}/cpulistaffinity`, cpus.list);
  tree.file(`${directory}/rescan`, '', 0o200);
  tree.file(`${directory}/uevent`, '', 0o644);
  tree.link(`${directory}/device`, above);
  tree.link(`${directory}/subsystem`, 'sys/class/pci_bus');
  tree.link(`sys/class/pci_bus/${name}`, directory);
}

function writeSriov(tree: TreeBuilder, { directory, card, virtualFunctions, physicalFunction }: FunctionFacts): void {
  if (physicalFunction !== null) {
    tree.link(`${directory}/physfn`, physicalFunction);
    tree.file(`${directory}/sriov_vf_msix_count`, '', 0o200);
  }
  if (card.sriov === null) return;
  tree.attribute(`${directory}/sriov_totalvfs`, card.sriov.totalVfs);
  tree.attribute(`${directory}/sriov_numvfs`, virtualFunctions.length, 0o644);
  tree.attribute(`${directory}/sriov_offset`, card.sriov.offset);
  tree.attribute(`${directory}/sriov_stride`, card.sriov.stride);
  tree.attribute(`${directory}/sriov_vf_device`, Number.parseInt(card.sriov.vf.productId, 16).toString(16));
  tree.attribute(`${directory}/sriov_vf_total_msix`, 0);
  tree.attribute(`${directory}/sriov_drivers_autoprobe`, 1, 0o644);
  for (const [index, target] of virtualFunctions.entries()) tree.link(`${directory}/virtfn${index}`, target);
}

function writeLinks(tree: TreeBuilder, { directory, address, card, driver, iommuGroup }: FunctionFacts): void {
  tree.link(`${directory}/subsystem`, 'sys/bus/pci');
  tree.link(`sys/bus/pci/devices/${address}`, directory);
  if (driver !== null) {
    tree.link(`${directory}/driver`, `sys/bus/pci/drivers/${driver}`);
    tree.link(`sys/bus/pci/drivers/${driver}/${address}`, directory);
  }
  if (iommuGroup === null) return;
  const group = `sys/kernel/iommu_groups/${iommuGroup}`;
  tree.link(`${directory}/iommu_group`, group);
  tree.link(`${directory}/iommu`, IOMMU_DIRECTORY);
  tree.link(`${group}/devices/${address}`, directory);
  tree.link(`${IOMMU_DIRECTORY}/devices/${address}`, directory);
  tree.attribute(`${group}/type`, 'identity', 0o644);
  const interrupts = '0x00000000fee00000 0x00000000feefffff msi';
  // The ISA bridge keeps the first 16 MiB for DMA of old.
  const legacy = card.classCode.startsWith('0601') ? '0x0000000000000000 0x0000000000ffffff direct-relaxable\n' : '';
  tree.attribute(`${group}/reserved_regions`, `${legacy}${interrupts}`);
}
