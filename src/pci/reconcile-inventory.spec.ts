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
    serialNumber: null,
    revision: null,
    deviceType: 'type-PCI',
    parentAddress: null,
    numaNode: 0,
    driver: 'nvidia',
    iommuGroup: 1,
    sriov: null,
    netdevs: [],
    pciePath: [],
    acsRedirect: null,
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
    expect(result).toEqual({ added: [], changed: [], returned: [], vanished: [], withdrawn: [] });
  });

  it('names what is in use and no longer offered, once', () => {
    const offer = { entry: 0, tags: {}, resourceClass: null, traits: [] };
    const before = [
      known(A, { device: device(A, { offer }), status: 'allocated', inUse: true }),
      known(B, { device: device(B, { offer }) }),
    ];
    const after = reconcileInventory(before, [device(A), device(B)]);
    expect(after).toMatchObject({ changed: [{ address: A }, { address: B }], vanished: [], withdrawn: [A] });
    const later = [known(A, { device: device(A), status: 'allocated', inUse: true }), known(B)];
    expect(reconcileInventory(later, [device(A), device(B)]).withdrawn).toEqual([]);
    expect(reconcileInventory(later, [device(A, { offer }), device(B)]).withdrawn).toEqual([]);
    expect(reconcileInventory(before, [device(A, { offer, driver: null }), device(B)]).withdrawn).toEqual([]);
    for (const other of [{ vendorId: '1002' }, { productId: '2230' }, { deviceType: 'type-PF' }] as const) {
      expect(reconcileInventory(before, [device(A, other), device(B)]).withdrawn).toEqual([]);
    }
  });

  it('lists devices in address order, whatever the order of rows and report', () => {
    const C = '10000:01:00.0';
    const news = { driver: 'vfio-pci' };
    const addressesOf = (list: readonly { readonly address: string }[]): string[] => list.map((entry) => entry.address);
    const added = reconcileInventory([], [device(C), device(B), device(A)]);
    expect(addressesOf(added.added)).toEqual([A, B, C]);
    const back = [C, A, B].map((address) => known(address, { status: 'removed' }));
    expect(addressesOf(reconcileInventory(back, [device(C), device(B), device(A)]).returned)).toEqual([A, B, C]);
    const there = [C, A, B].map((address) => known(address));
    const changed = reconcileInventory(there, [device(C, news), device(B, news), device(A, news)]);
    expect(addressesOf(changed.changed)).toEqual([A, B, C]);
    expect(addressesOf(reconcileInventory(there, []).vanished)).toEqual([A, B, C]);
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
        expect(again).toEqual({ added: [], changed: [], returned: [], vanished: [], withdrawn: [] });
      }),
    );
  });
});
