import { attributesOf } from '../../src/pci/device-attributes.js';
import { deviceGroups } from '../../src/pci/device-groups.js';
import type { DeviceType } from '../../src/pci/device.js';
import { isolationUnits } from '../../src/pci/iommu.js';
import { topologyOf } from '../../src/pci/topology.js';
import { ANY_DEVICE, type AliasSpec } from '../../src/pci/alias/alias.js';
import type { NumaPolicy } from '../../src/pci/alias/numa-policy.js';
import { PLAIN_HOST } from '../../src/placement/host-defaults.js';
import type { DeviceRequest, PlacementRequest } from '../../src/placement/request.js';
import type { HostSnapshot, PlacementPolicy, SnapshotDevice } from '../../src/placement/snapshot.js';

export interface DeviceSketch extends Partial<SnapshotDevice> {
  readonly address: string;
  /** `10de:1bb0`. */
  readonly ids?: string;
  readonly group?: number | null;
  readonly driver?: string | null;
  readonly classCode?: string;
  /** As it is in a slot of its own when left out. */
  readonly pciePath?: readonly string[];
  readonly offered?: boolean;
}

/** What is said of a device of which nothing more is known. */
export const PLAIN_ATTRIBUTES = attributesOf({
  classCode: '030000',
  subsystemVendorId: null,
  subsystemProductId: null,
  link: null,
  sriov: null,
});

/** A host of sketched devices, up and roomy. Each device has an IOMMU group of its own unless the sketch says another. */
export function aHost(name: string, devices: readonly DeviceSketch[], more: Partial<HostSnapshot> = {}): HostSnapshot {
  const whole = devices.filter(({ offered = true }) => offered).map((sketch) => aDevice(name, sketch));
  const reported = devices.map((sketch, index) => ({
    address: sketch.address,
    vendorId: (sketch.ids ?? '10de').slice(0, 4),
    pciePath: sketch.pciePath ?? ['pci0000:00', `port of ${sketch.address.slice(0, -2)}`],
    iommuGroup: sketch.group === undefined ? index : sketch.group,
    classCode: sketch.classCode ?? '030000',
    driver: sketch.driver ?? null,
    deviceType: sketch.deviceType ?? 'type-PCI',
    parentAddress: sketch.parentAddress ?? null,
    offered: sketch.offered ?? true,
    numaNode: sketch.numaNode === undefined ? 0 : sketch.numaNode,
  }));
  return {
    ...PLAIN_HOST,
    id: `id-${name}`,
    name,
    generation: 1,
    status: 'up',
    enabled: true,
    disabledReason: null,
    readOnly: false,
    numaCells: [
      { id: 0, cpus: 32, memoryMb: 65_536, socket: 0 },
      { id: 1, cpus: 32, memoryMb: 65_536, socket: 1 },
    ],
    capacity: { vcpus: 64, memoryMb: 131_072, diskGb: 1000 },
    used: { vcpus: 0, memoryMb: 0, diskGb: 0 },
    devices: whole,
    units: isolationUnits(reported),
    groups: deviceGroups(reported),
    topology: topologyOf(reported),
    ...more,
  };
}

function aDevice(
  host: string,
  { classCode: _class, pciePath: _path, offered: _offered, ...sketch }: DeviceSketch,
): SnapshotDevice {
  const [vendorId = '', productId = ''] = (sketch.ids ?? '10de:1bb0').split(':');
  return {
    id: `${host}/${sketch.address}`,
    vendorId,
    productId,
    deviceType: 'type-PCI' as DeviceType,
    parentAddress: null,
    numaNode: 0,
    tags: {},
    resourceClass: null,
    traits: [],
    attributes: PLAIN_ATTRIBUTES,
    status: 'available',
    owner: null,
    missing: false,
    ...sketch,
  };
}

/** `wants('gpu', 2, '10de:1bb0')`. */
export function wants(
  alias: string,
  count: number,
  ids: string,
  { numaPolicy, ...more }: Partial<AliasSpec> & { numaPolicy?: NumaPolicy } = {},
): DeviceRequest {
  const [vendorId = null, productId = null] = ids.split(':');
  const spec: AliasSpec = {
    ...ANY_DEVICE,
    vendorId,
    productId,
    deviceType: 'type-PCI',
    ...more,
  };
  return { alias, count, specs: [spec], numaPolicy: numaPolicy ?? 'legacy' };
}

export function aRequest(devices: readonly DeviceRequest[], more: Partial<PlacementRequest> = {}): PlacementRequest {
  return {
    serverName: 'vm',
    projectId: 'default',
    vcpus: 1,
    memoryMb: 512,
    diskGb: 0,
    devices,
    guestCells: null,
    ...more,
  };
}

export const POLICY: PlacementPolicy = {
  compat: 'strict',
  filters: ['ComputeFilter', 'CoreFilter', 'RamFilter', 'DiskFilter', 'NUMATopologyFilter', 'PciPassthroughFilter'],
  weigherMultipliers: {},
  cpuAllocationRatio: 1,
  ramAllocationRatio: 1,
  diskAllocationRatio: 1,
};
