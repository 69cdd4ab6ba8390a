import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseDeviceSpecs } from './device-spec/device-spec-reader.js';
import { offerDevice } from './device-spec/device-spec.js';
import type { PciDevice, ReportedDevice } from './device.js';
import { protectDevices, withoutProtected } from './protection.js';
import { withheldDevices } from './withheld.js';

const BARE: PciDevice = {
  ...{ address: '0000:01:00.0', vendorId: '8086', productId: '1572', classCode: '020000', deviceType: 'type-PCI' },
  ...{ subsystemVendorId: null, subsystemProductId: null, revision: null, serialNumber: null, parentAddress: null },
  ...{ numaNode: 0, driver: 'i40e', iommuGroup: null, sriov: null, netdevs: [], pciePath: ['pci0000:00'] },
  ...{ acsRedirect: null, link: null, resetMethods: [] },
};

/** What a scan makes of the devices: the device_spec is asked first, then what the host needs. */
function reported(devices: readonly Partial<PciDevice>[], entries: readonly object[], needed: readonly string[] = []) {
  const whole = devices.map((device) => ({ ...BARE, ...device }));
  const specs = parseDeviceSpecs(entries, 'test', { freeTags: [] });
  const findings = needed.map((address) => ({ address, code: 'default_route', text: 'carries the route' }) as const);
  const protections = protectDevices(whole, findings, new Set());
  return whole.map((device): ReportedDevice => {
    const protection = protections.get(device.address);
    const answer = withoutProtected(offerDevice(specs, device, { devnames: new Map() }), protection);
    return { ...device, ...answer, ...(protection && { protection }) };
  });
}

const INTEL = [{ vendor_id: '8086' }];

describe('what a host keeps back', () => {
  it('is what it needs itself of what its device_spec means, with the words of the report', () => {
    const devices = reported([{}, { address: '0000:02:00.0' }], INTEL, ['0000:01:00.0']);
    expect(withheldDevices(devices)).toEqual([
      {
        ...{ vendorId: '8086', productId: '1572', deviceType: 'type-PCI', protection: 'default_route', count: 1 },
        examples: [
          {
            address: '0000:01:00.0',
            why: expect.stringMatching(/^protected \(default_route\): it carries the route; move the default route/),
          },
        ],
      },
    ]);
  });

  it('is also what shares the IOMMU group of such a device, and what an entry says no to', () => {
    const pair = [{ iommuGroup: 4 }, { address: '0000:01:00.1', iommuGroup: 4 }];
    expect(withheldDevices(reported(pair, INTEL, ['0000:01:00.0'])).map(({ protection }) => protection)).toEqual([
      'default_route',
      'iommu_group',
    ]);
    const vf = [{ deviceType: 'type-VF', parentAddress: '0000:09:00.0' }] as const;
    const once = reported(vf, [{ vendor_id: '8086', one_time_use: true }]);
    expect(withheldDevices(once)).toMatchObject([
      { protection: null, count: 1, examples: [{ why: expect.stringContaining('one_time_use') }] },
    ]);
    const excluded = [{ address: '0000:01:00.0', exclude: true }, ...INTEL];
    expect(withheldDevices(reported([{}], excluded, ['0000:01:00.0']))).toMatchObject([
      { protection: null, examples: [{ why: expect.stringContaining('excluded by entry 1') }] },
    ]);
  });

  it('is nothing of what is offered, of bridges, and of what no entry is about, needed or not', () => {
    const devices = [
      {},
      { address: '0000:00:01.0', classCode: '060400' },
      { address: '0000:03:00.0', vendorId: '10de' },
    ];
    expect(withheldDevices(reported(devices, INTEL, ['0000:00:01.0', '0000:03:00.0']))).toEqual([]);
  });

  it('names three of a kind, and has a limit; the order of the devices is no matter', () => {
    const many = Array.from({ length: 300 }, (_none, at) => ({
      address: `0000:${(at + 1).toString(16).padStart(2, '0').slice(-2)}:00.${at > 254 ? 1 : 0}`,
      productId: (at % 40).toString(16).padStart(4, '0'),
    }));
    const devices = reported(
      many,
      INTEL,
      many.map(({ address }) => address),
    );
    const told = withheldDevices(devices);
    expect(told).toHaveLength(32);
    expect(told[0]).toMatchObject({ productId: '0000', count: 8, examples: { length: 3 } });
    const shuffled = fc.shuffledSubarray(devices, { minLength: devices.length });
    const isSame = fc.property(shuffled, (other) => {
      expect(withheldDevices(other)).toEqual(told);
    });
    fc.assert(isSame, { numRuns: 20 });
  });
});
