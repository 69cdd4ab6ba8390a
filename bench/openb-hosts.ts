import { ANY_DEVICE, type AliasSpec } from '../src/pci/alias/alias.js';
import { attributesOf } from '../src/pci/device-attributes.js';
import { deviceGroups } from '../src/pci/device-groups.js';
import { isolationUnits } from '../src/pci/iommu.js';
import { topologyOf } from '../src/pci/topology.js';
import { PLAIN_HOST } from '../src/placement/host-defaults.js';
import type { PlacementRequest } from '../src/placement/request.js';
import type { HostSnapshot, SnapshotDevice } from '../src/placement/snapshot.js';
import type { TraceHost, TraceRequest } from './openb.js';

const VENDOR = '10de';
const ATTRIBUTES = attributesOf({
  classCode: '030200',
  subsystemVendorId: null,
  subsystemProductId: null,
  link: null,
  sriov: null,
});

/** Product ids of GPU models: the order in which they first come up. */
export function productIds(hosts: readonly TraceHost[]): ReadonlyMap<string, string> {
  const models = [...new Set(hosts.map(({ model }) => model))].sort();
  return new Map(models.map((model, at) => [model, (0x2000 + at).toString(16)]));
}

/** A host of a trace as a decision sees it. Its name says its place: ties go to the first. */
export function hostFrom(host: TraceHost, place: number, products: ReadonlyMap<string, string>): HostSnapshot {
  const name = `host-${String(place).padStart(5, '0')}`;
  const addresses = Array.from({ length: host.gpus }, (_unused, gpu) => `0000:${(0x10 + gpu).toString(16)}:00.0`);
  const reported = addresses.map((address, iommuGroup) => ({
    ...{ address, vendorId: VENDOR, deviceType: 'type-PCI' as const, parentAddress: null, iommuGroup },
    ...{ pciePath: ['pci0000:00', address], classCode: '030200', driver: null, offered: true, numaNode: null },
  }));
  return {
    ...PLAIN_HOST,
    ...{ id: name, name, generation: 1, status: 'up', enabled: true, disabledReason: null, readOnly: false },
    numaCells: [],
    capacity: { vcpus: host.cpuMilli / 1000, memoryMb: host.memoryMib, diskGb: 0 },
    used: { vcpus: 0, memoryMb: 0, diskGb: 0 },
    devices: addresses.map((address): SnapshotDevice => ({
      ...{ id: `${name}/${address}`, address, vendorId: VENDOR, productId: products.get(host.model) ?? '' },
      ...{ deviceType: 'type-PCI', parentAddress: null, numaNode: null, tags: {}, resourceClass: null, traits: [] },
      ...{ attributes: ATTRIBUTES, status: 'available', owner: null, missing: false },
    })),
    units: isolationUnits(reported),
    groups: deviceGroups(reported),
    topology: topologyOf(reported),
  };
}

/** A request of a trace as a server asks for it. */
export function requestFrom(request: TraceRequest, products: ReadonlyMap<string, string>): PlacementRequest {
  const { gpus, gpuMilli, cpuMilli, memoryMib, models } = request;
  const share = gpuMilli < 1000 ? { share: gpuMilli } : {};
  const wanted = { alias: 'gpu', count: gpus, specs: specsFor(models, products), numaPolicy: 'legacy' as const };
  return {
    ...{ serverName: 'server', projectId: 'default', diskGb: 0, guestCells: null },
    ...{ vcpus: cpuMilli / 1000, memoryMb: memoryMib },
    devices: gpus === 0 ? [] : [{ ...wanted, ...share }],
  };
}

function specsFor(models: readonly string[], products: ReadonlyMap<string, string>): AliasSpec[] {
  const gpu: AliasSpec = { ...ANY_DEVICE, vendorId: VENDOR, deviceType: 'type-PCI' };
  if (models.length === 0) return [gpu];
  // a model that no host has is an id that no device has
  return models.map((model) => ({ ...gpu, productId: products.get(model) ?? 'ffff' }));
}
