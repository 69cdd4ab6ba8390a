import type { AgentReport } from '../../src/messages/bodies.js';
import type { WireDevice } from '../../src/messages/device-bodies.js';
import { contentHash } from '../../src/messages/content-hash.js';
import { fromWireDevice } from '../../src/messages/wire-device.js';
import type { DeviceType } from '../../src/pci/device.js';
import { poolsOf } from '../../src/pci/pool.js';

export interface ReportSketch {
  readonly host: string;
  readonly epoch?: number;
  readonly sequence?: number;
  readonly devices: readonly {
    readonly address: string;
    readonly ids: string;
    readonly deviceType?: DeviceType;
    readonly parentAddress?: string;
    readonly numaNode?: number | null;
    /** What differs from the rest of the sketch. */
    readonly more?: Partial<WireDevice>;
  }[];
}

/** A valid full report of sketched devices, each offered and alone in its IOMMU group. */
export function aReport(sketch: ReportSketch): AgentReport {
  const devices = sketch.devices.map((device, index): WireDevice => ({
    address: device.address,
    vendor_id: device.ids.slice(0, 4),
    product_id: device.ids.slice(5),
    class_code: '030000',
    subsystem_vendor_id: null,
    subsystem_product_id: null,
    revision: null,
    device_type: device.deviceType ?? 'type-PCI',
    parent_address: device.parentAddress ?? null,
    numa_node: device.numaNode ?? 0,
    driver: null,
    iommu_group: index,
    sriov: null,
    netdevs: [],
    pcie_path: ['pci0000:00'],
    link: null,
    reset_methods: ['flr'],
    offer: { entry: 0, tags: {}, resource_class: null, traits: [] },
    not_offered: null,
    ...device.more,
  }));
  const facts: AgentReport['facts'] = {
    vcpus: 64,
    memory_mb: 262_144,
    disk_gb: 1000,
    numa_cells: [
      { id: 0, cpus: 32, memory_mb: 131_072, socket: 0 },
      { id: 1, cpus: 32, memory_mb: 131_072, socket: 1 },
    ],
    kernel: 'Linux',
    kernel_kind: 'simulated',
    read_only: false,
    agent_version: 'test',
  };
  return {
    host: sketch.host,
    epoch: sketch.epoch ?? 1_700_000_000_000,
    sequence: sketch.sequence ?? 1,
    hash: contentHash({ facts, devices }),
    facts,
    devices,
    pools: poolsOf(devices.map(fromWireDevice)).map(({ key, count }) => ({ key: { ...key }, count })),
  };
}
