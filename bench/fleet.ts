import type { AgentReport } from '../src/messages/bodies.js';
import { contentHash } from '../src/messages/content-hash.js';
import type { WireDevice } from '../src/messages/device-bodies.js';
import { fromWireDevice } from '../src/messages/wire-device.js';
import { poolsOf } from '../src/pci/pool.js';

const P5000 = '10de:1bb0';
const A100 = '10de:20b0';
const VF = '8086:154c';

/** What the fleet's devices are asked for by. `gpu` is either card, as where generations are mixed. */
export const ALIASES = [
  { name: 'gpu', vendor_id: '10de', product_id: '1bb0', device_type: 'type-PCI' },
  { name: 'gpu', vendor_id: '10de', product_id: '20b0', device_type: 'type-PCI' },
  { name: 'nic', vendor_id: '8086', product_id: '154c', device_type: 'type-VF' },
  { name: 'fpga', vendor_id: '10ee', product_id: '5000', device_type: 'type-PCI' },
] as const;

export function hostName(index: number): string {
  return `host-${String(index).padStart(5, '0')}`;
}

/**
 * The report of the fleet's host with this index. Of ten hosts three have 2 GPUs, three have 8 GPUs on two NUMA nodes
 * and a NIC with 8 VFs, two have only such a NIC, two have no devices. Every device has an IOMMU group of its own.
 */
export function reportOf(index: number): AgentReport {
  const devices = devicesOf(index % 10).map(wireDevice);
  const facts: AgentReport['facts'] = {
    vcpus: 128,
    memory_mb: 1_048_576,
    disk_gb: 16_000,
    numa_cells: [0, 1].map((id) => ({ id, cpus: 64, memory_mb: 524_288, socket: id })),
    kernel: 'Linux',
    kernel_kind: 'simulated',
    read_only: false,
    agent_version: 'bench',
  };
  return {
    host: hostName(index),
    epoch: 1_700_000_000_000,
    sequence: 1,
    hash: contentHash({ facts, devices }),
    facts,
    devices,
    pools: poolsOf(devices.map(fromWireDevice)).map(({ key, count }) => ({ key: { ...key }, count })),
  };
}

interface Sketch {
  readonly address: string;
  readonly ids: string;
  readonly node: number;
  readonly parent?: string;
}

function devicesOf(kind: number): Sketch[] {
  const gpus = (count: number, ids: string): Sketch[] =>
    Array.from({ length: count }, (_unused, slot) => {
      const node = slot < count / 2 ? 0 : 1;
      return { address: `0000:${node === 0 ? '3' : 'b'}${slot}:00.0`, ids, node };
    });
  const vfs = Array.from({ length: 8 }, (_unused, vf) => ({
    address: `0000:18:02.${vf}`,
    ids: VF,
    node: 0,
    parent: '0000:18:00.0',
  }));
  if (kind < 3) return gpus(2, P5000);
  if (kind < 6) return [...gpus(8, A100), ...vfs];
  return kind < 8 ? vfs : [];
}

function wireDevice({ address, ids, node, parent }: Sketch, index: number): WireDevice {
  const [vendorId = '', productId = ''] = ids.split(':');
  return {
    address,
    vendor_id: vendorId,
    product_id: productId,
    class_code: parent === undefined ? '030200' : '020000',
    subsystem_vendor_id: null,
    subsystem_product_id: null,
    revision: 'a1',
    device_type: parent === undefined ? 'type-PCI' : 'type-VF',
    parent_address: parent ?? null,
    numa_node: node,
    driver: null,
    iommu_group: index,
    sriov: null,
    netdevs: [],
    pcie_path: ['pci0000:00', '0000:00:01.0'],
    link: null,
    reset_methods: ['flr'],
    offer: { entry: 0, tags: {}, resource_class: null, traits: [] },
    not_offered: null,
  };
}
