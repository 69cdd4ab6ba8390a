import fc from 'fast-check';
import { DEVICE_TYPES, type PciDevice } from '../../src/pci/device.js';

/** Devices and whitelist entries of few different values, so that they meet often. */

const digits = (width: number, max: number) =>
  fc.integer({ min: 0, max }).map((value) => value.toString(16).padStart(width, '0'));
const addresses = fc
  .tuple(fc.constantFrom('0000', '10000'), digits(2, 2), digits(2, 1), digits(1, 2))
  .map(([domain, bus, slot, fn]) => `${domain}:${bus}:${slot}.${fn}`);
const ids = fc.constantFrom('8086', '10de', '15b3');
const serials = fc.constantFrom('S1', 'S2');
const names = fc.constantFrom('eth0', 'eth1', 'eth2');

export const anyDevice: fc.Arbitrary<PciDevice> = fc.record({
  address: addresses,
  vendorId: ids,
  productId: ids,
  classCode: fc.constantFrom('020000', '030000'),
  subsystemVendorId: fc.option(ids),
  subsystemProductId: fc.option(ids),
  revision: fc.constant(null),
  serialNumber: fc.option(serials),
  deviceType: fc.constantFrom(...DEVICE_TYPES),
  parentAddress: fc.option(addresses),
  numaNode: fc.option(fc.nat(1)),
  driver: fc.option(fc.constantFrom('a', 'b')),
  iommuGroup: fc.option(fc.nat(2)),
  sriov: fc.constant(null),
  netdevs: fc.array(names, { maxLength: 2 }),
  pciePath: fc.constant([]),
  acsRedirect: fc.constant(null),
  link: fc.constant(null),
  resetMethods: fc.constant([]),
});

const patterns = fc.oneof(
  addresses,
  fc.constantFrom('*', '.1', '00.1', ':01:', '0000:*:*.*', '*:02:01.*'),
  fc.constantFrom(
    {},
    { bus: '0[01]' },
    { bus: '01', function: '[1-7]' },
    { domain: '0000', bus: '01', slot: '00', function: '0' },
  ),
);
const keys = {
  vendor_id: fc.oneof(ids, fc.constant('*')),
  product_id: ids,
  class: fc.constantFrom('02', '0300'),
  subsystem_vendor_id: ids,
  driver: fc.constantFrom('a', 'b'),
  serial: serials,
  iommu_group: fc.nat(2),
  numa_node: fc.nat(1),
};
const matching = fc.oneof(
  fc.record({ ...keys, address: patterns }, { requiredKeys: [] }),
  fc.record({ ...keys, devname: names }, { requiredKeys: ['devname'] }),
  fc.record({ address: patterns }),
  fc.record({ vendor_id: ids }),
);

/** As written in a file. */
export const anyEntry: fc.Arbitrary<object> = fc.oneof(
  matching,
  matching.map((entry) => ({ ...entry, exclude: true })),
  matching.map((entry) => ({ ...entry, remote_managed: true })),
);
