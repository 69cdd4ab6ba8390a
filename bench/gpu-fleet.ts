import { randomUUID } from 'node:crypto';
import { parseAliases } from '../src/pci/alias/alias.js';
import { attributesOf } from '../src/pci/device-attributes.js';
import { deviceGroups } from '../src/pci/device-groups.js';
import type { DeviceType } from '../src/pci/device.js';
import { isolationUnits } from '../src/pci/iommu.js';
import { topologyOf } from '../src/pci/topology.js';
import { PLAIN_HOST } from '../src/placement/host-defaults.js';
import { withSharedFacts } from '../src/placement/host-shape.js';
import type { DeviceRequest, PlacementRequest } from '../src/placement/request.js';
import type { HostSnapshot, SnapshotDevice } from '../src/placement/snapshot.js';

const SPECS = parseAliases(
  [
    { name: 'gpu', vendor_id: '10de', product_id: '2330', device_type: 'type-PCI' },
    { name: 'nic', vendor_id: '15b3', product_id: '101e', device_type: 'type-VF' },
    { name: 'fpga', vendor_id: '10ee', product_id: '5000', device_type: 'type-PCI' },
  ].map((value, index) => ({ value, where: `alias ${index + 1}` })),
);

/** A request of the alias for so many devices. */
export function wanted(alias: string, count: number, more: Partial<DeviceRequest> = {}): DeviceRequest {
  const specs = SPECS.find(({ name }) => name === alias)?.specs ?? [];
  return { alias, count, specs, numaPolicy: 'legacy', ...more };
}

/** A server that asks for these devices, and little else. */
export function serverWith(devices: readonly DeviceRequest[], more: Partial<PlacementRequest> = {}): PlacementRequest {
  const size = { vcpus: 4, memoryMb: 16_384, diskGb: 20 };
  return { serverName: 'server', projectId: 'default', ...size, devices, guestCells: null, ...more };
}

interface Sketch {
  readonly address: string;
  readonly ids: readonly [string, string];
  readonly deviceType: DeviceType;
  readonly parentAddress: string | null;
  readonly numaNode: number;
  readonly pciePath: readonly string[];
  readonly offered: boolean;
}

/**
 * The devices of one host: two NUMA nodes, on each a root port with a switch, below that two switches with two GPUs each and a
 * NIC with 8 VFs. The PFs stay the host's.
 */
function sketches(): Sketch[] {
  return [0, 1].flatMap((node) => {
    const hex = node === 0 ? '1' : 'a';
    const top = [`pci0000:${hex}0`, `0000:${hex}0:01.0`, `0000:${hex}1:00.0`];
    const gpus = [0, 1, 2, 3].map((slot): Sketch => {
      const lower = [`0000:${hex}2:0${slot >> 1}.0`, `0000:${hex}${3 + (slot >> 1)}:00.0`];
      const port = `0000:${hex}${5 + (slot >> 1)}:0${slot & 1}.0`;
      return {
        ...{ address: `0000:${hex}${7 + slot}:00.0`, ids: ['10de', '2330'], deviceType: 'type-PCI' },
        ...{ parentAddress: null, numaNode: node, pciePath: [...top, ...lower, port], offered: true },
      };
    });
    const nic = `0000:${hex}b:00.0`;
    const common = { numaNode: node, pciePath: [...top, `0000:${hex}2:02.0`] };
    const pf: Sketch = {
      ...{ address: nic, ids: ['15b3', '1021'], deviceType: 'type-PF', parentAddress: null, offered: false },
      ...common,
    };
    const vfs = Array.from({ length: 8 }, (_unused, index): Sketch => ({
      ...{ address: `0000:${hex}b:01.${index}`, ids: ['15b3', '101e'], deviceType: 'type-VF' },
      ...{ parentAddress: nic, offered: true },
      ...common,
    }));
    return [...gpus, pf, ...vfs];
  });
}

/** As it comes from the database: `randomUUID` gives a text of many pieces, which takes nine times the memory. */
function uuid(): string {
  return Buffer.from(randomUUID(), 'latin1').toString('latin1');
}

/** The fleet's host with this index, as a decision sees it. */
export function gpuHost(index: number): HostSnapshot {
  return hostWith(index, sketches());
}

/**
 * The same with fewer devices: of ten hosts three have 2 GPUs, three have all, two have only the VFs, two have none, as in the
 * fleet of `bench:place`.
 */
export function mixedHost(index: number): HostSnapshot {
  const kind = index % 10;
  const gpus = sketches().filter(({ deviceType }) => deviceType === 'type-PCI');
  const nics = sketches().filter(({ deviceType }) => deviceType !== 'type-PCI');
  if (kind < 3) return hostWith(index, gpus.slice(0, 2));
  if (kind < 6) return gpuHost(index);
  return hostWith(index, kind < 8 ? nics : []);
}

function hostWith(index: number, devices: readonly Sketch[]): HostSnapshot {
  const name = `host-${String(index).padStart(5, '0')}`;
  const reported = devices.map((sketch, group) => ({
    ...sketch,
    vendorId: sketch.ids[0],
    productId: sketch.ids[1],
    classCode: sketch.deviceType === 'type-PCI' ? '030200' : '020000',
    subsystemVendorId: null,
    subsystemProductId: null,
    link: null,
    sriov: null,
    driver: sketch.offered ? null : 'mlx5_core',
    iommuGroup: group,
  }));
  return withSharedFacts({
    ...PLAIN_HOST,
    id: `${name}-id`,
    name,
    generation: 1,
    status: 'up',
    enabled: true,
    disabledReason: null,
    readOnly: false,
    numaCells: [0, 1].map((id) => ({ id, cpus: 64, memoryMb: 1_048_576, socket: id })),
    capacity: { vcpus: 128, memoryMb: 2_097_152, diskGb: 16_000 },
    used: { vcpus: 0, memoryMb: 0, diskGb: 0 },
    devices: reported
      .filter(({ offered }) => offered)
      .map((device): SnapshotDevice => ({
        id: uuid(),
        address: device.address,
        vendorId: device.vendorId,
        productId: device.productId,
        deviceType: device.deviceType,
        parentAddress: device.parentAddress,
        numaNode: device.numaNode,
        tags: {},
        resourceClass: null,
        traits: [],
        attributes: attributesOf(device),
        status: 'available',
        owner: null,
        missing: false,
      })),
    units: isolationUnits(reported),
    groups: deviceGroups(reported),
    topology: topologyOf(reported),
  });
}
