import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ReportedDevice } from './device.js';
import { reconcileInventory, type KnownDevice } from './reconcile-inventory.js';

function device(address: string, more: Partial<ReportedDevice> = {}): ReportedDevice {
  return {
    address,
    vendorId: '10de',
    productId: '1bb0',
    classCode: '030000',
    subsystemVendorId: null,
    subsystemProductId: null,
    revision: null,
    deviceType: 'type-PCI',
    parentAddress: null,
    numaNode: 0,
    driver: 'nvidia',
    iommuGroup: 1,
    sriov: null,
    netdevs: [],
    pciePath: [],
    link: null,
    resetMethods: [],
    offer: null,
    notOffered: 'no device_spec entry matches',
    ...more,
  };
}

const A = '0000:83:00.0';
const B = '0000:84:00.0';
const known = (address: string, more: Partial<KnownDevice> = {}): KnownDevice => ({
  device: device(address),
  status: 'available',
  inUse: false,
  ...more,
});

describe('reconcileInventory', () => {
  it('sorts devices into added, changed, returned and vanished', () => {
    const before = [
      known(A),
      known(B, { status: 'removed' }),
      known('0000:85:00.0'),
      known('0000:86:00.0', { inUse: true }),
    ];
    const after = reconcileInventory(before, [device('0000:90:00.0'), device(B), device(A, { driver: 'vfio-pci' })]);
    expect(after.added.map((entry) => entry.address)).toEqual(['0000:90:00.0']);
    expect(after.changed.map((entry) => entry.address)).toEqual([A]);
    expect(after.returned.map((entry) => entry.address)).toEqual([B]);
    expect(after.vanished).toEqual([
      { address: '0000:85:00.0', inUse: false },
      { address: '0000:86:00.0', inUse: true },
    ]);
  });

  it('the order of keys and of devices does not matter; what was removed and is still away is no news', () => {
    const offer = { entry: 0, tags: { a: '1', b: '2' }, resourceClass: null, traits: [] };
    const reordered = { ...offer, tags: { b: '2', a: '1' } };
    const result = reconcileInventory(
      [known(A, { device: device(A, { offer }) }), known(B, { status: 'removed' })],
      [device(A, { offer: reordered })],
    );
    expect(result).toEqual({ added: [], changed: [], returned: [], vanished: [] });
  });

  it('the same report twice changes nothing', () => {
    const addresses = fc.uniqueArray(fc.constantFrom(A, B, '0000:85:00.0', '0000:86:00.0'));
    fc.assert(
      fc.property(addresses, addresses, (before, reported) => {
        const devices = reported.map((address) => device(address, { driver: null }));
        const first = reconcileInventory(
          before.map((address) => known(address)),
          devices,
        );
        expect(first.added.length + first.changed.length).toBe(reported.length);
        const again = reconcileInventory(
          devices.map((entry) => known(entry.address, { device: entry })),
          devices,
        );
        expect(again).toEqual({ added: [], changed: [], returned: [], vanished: [] });
      }),
    );
  });
});
