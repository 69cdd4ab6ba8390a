import { describe, expect, it } from 'vitest';
import { asUnbound, DEVICE_TYPES, isBridge, isVirtualFunction, type PciDevice } from './device.js';

const GPU: PciDevice = {
  address: '0000:83:00.0',
  vendorId: '10de',
  productId: '1bb0',
  classCode: '030000',
  subsystemVendorId: null,
  subsystemProductId: null,
  revision: null,
  serialNumber: null,
  deviceType: 'type-PCI',
  parentAddress: null,
  numaNode: 0,
  driver: 'vfio-pci',
  iommuGroup: 1,
  sriov: null,
  netdevs: [],
  pciePath: [],
  acsRedirect: null,
  link: null,
  resetMethods: [],
};

describe('devices', () => {
  it('that the agent holds bound are matched as they were before', () => {
    const bound = { ...GPU, original: { driver: 'nvidia', netdevs: ['eth0'] } };
    expect(asUnbound(bound)).toEqual({ ...bound, driver: 'nvidia', netdevs: ['eth0'] });
    expect(asUnbound(GPU)).toBe(GPU);
  });

  it('are virtual functions by their type', () => {
    expect(DEVICE_TYPES.filter((deviceType) => isVirtualFunction({ deviceType }))).toEqual(['type-VF', 'vdpa']);
  });

  it.each([
    ['060000', true],
    ['060400', true],
    ['030600', false],
    ['020000', false],
  ])('of class %s are bridges: %j', (classCode, expected) => {
    expect(isBridge({ classCode })).toBe(expected);
  });
});
