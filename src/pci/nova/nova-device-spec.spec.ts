import { describe, expect, it } from 'vitest';
import { BerthError } from '../../errors.js';
import { checkOnHost, hostContext, matchDeviceSpec, offerDevice } from '../device-spec/device-spec.js';
import { parseDeviceSpecs } from '../device-spec/device-spec-reader.js';
import type { PciDevice } from '../device.js';

const PF = '0000:05:00.0';
const DEVICE: PciDevice = {
  address: '0000:81:00.0',
  ...{ vendorId: '10de', productId: '1bb0', classCode: '030000', subsystemVendorId: null, subsystemProductId: null },
  ...{ revision: null, deviceType: 'type-PCI', parentAddress: null, numaNode: 0, driver: null, serialNumber: null },
  ...{ iommuGroup: 1, sriov: null, netdevs: [], pciePath: [], acsRedirect: null, link: null, resetMethods: [] },
};
const NIC: PciDevice = {
  ...DEVICE,
  ...{ address: PF, vendorId: '8086', productId: '10fb', deviceType: 'type-PF' },
  ...{ sriov: { totalVfs: 8, numVfs: 1 }, netdevs: ['eth0'] },
};
const VF: PciDevice = {
  ...DEVICE,
  ...{ address: '0000:05:10.0', vendorId: '8086', productId: '10ed', deviceType: 'type-VF', parentAddress: PF },
  ...{ netdevs: ['eth0v0'] },
};
const HOST = hostContext([DEVICE, NIC, VF]);

function specsOf(...entries: unknown[]) {
  return parseDeviceSpecs(entries, 'list', { freeTags: [], dialect: 'nova' });
}

function matches(entry: unknown, device: PciDevice): boolean {
  return specsOf(entry).some((spec) => matchDeviceSpec(spec, device, HOST));
}

describe('a whitelist as Nova reads it', () => {
  it.each<[string, unknown, PciDevice, boolean]>([
    ['nothing said: everything', {}, DEVICE, true],
    ['a key that is misspelt is a tag, and the whole host is offered', { vender_id: '8086' }, DEVICE, true],
    ['an address of blanks and stars', { address: ' *: 81: *.*' }, DEVICE, true],
    ['an empty address and an empty devname', { address: '', devname: '' }, DEVICE, true],
    ['a regex from the start only', { address: { bus: '8' } }, DEVICE, true],
    ['a regex of another case', { address: { bus: 'FF|8A' } }, { ...DEVICE, address: '0000:8a:00.0' }, false],
    ['another key of an address', { address: { buss: '00' } }, DEVICE, true],
    ['the address of a PF covers its VFs', { address: PF }, VF, true],
    ['a PF in regexes of digits covers them, too', { address: { domain: '0000', bus: '05', slot: '00', function: '0' } }, VF, true], // prettier-ignore
    ['a wildcard covers no VFs', { address: '*:05:00.0' }, VF, false],
    ['the interface of a PF covers its VFs', { devname: 'eth0' }, VF, true],
    ['the interface of a VF', { devname: 'eth0v0' }, VF, true],
    ['an interface that is not there', { devname: 'eth7' }, VF, false],
    ['a negative id matches nothing', { vendor_id: '-1' }, DEVICE, false],
  ])('%s', (_, entry, device, match) => {
    expect(matches(entry, device)).toBe(match);
  });

  it('keeps every other key as a tag, as text', () => {
    const [spec] = specsOf({ vendor_id: '10de', rack: ['a', 1], trusted: true, physical_network: null });
    expect(spec?.tags).toEqual({ rack: "['a', 1]", trusted: 'True', physical_network: null });
    const { offer } = offerDevice(spec ? [spec] : [], DEVICE, HOST);
    expect(offer).toMatchObject({ entry: 0, tags: { trusted: 'True' }, resourceClass: null, traits: [] });
  });

  it('tells all bad entries, each with its place and what Nova calls it', () => {
    try {
      specsOf({}, { vendor_id: 'g' }, { address: '1:2:3:4' }, { address: 'x', devname: 'y' }, { vendor_id: 1 });
      expect.unreachable();
    } catch (error) {
      expect((error as BerthError).details['problems']).toEqual([
        'list: vendor_id: "g" is not hex up to ffff, and not "*" (PciConfigInvalidSpec)',
        'list: address: "1:2:3:4" is not domain:bus:slot.function, like "0000:81:00.0" (PciDeviceWrongAddressFormat)',
        'list: devname: an entry has either an address or a devname; remove one of them (PciDeviceInvalidDeviceName)',
        'list: vendor_id: has to be a text like "8086" or "*", not the number 1',
      ]);
    }
  });

  it('has limits where messages have them', () => {
    const many = Object.fromEntries(Array.from({ length: 65 }, (_, index) => [`tag${index}`, 'x']));
    expect(() => specsOf(many)).toThrow('65 tags in one entry; at most 64');
    expect(() => specsOf({ rack: 'x'.repeat(256) })).toThrow('at most 255 characters');
    expect(() => specsOf({ ['x'.repeat(256)]: 'a' })).toThrow('at most 255 characters');
  });

  it('passes over a device whose domain Nova cannot read', () => {
    const device = { ...DEVICE, address: '10000:01:00.0' };
    expect(offerDevice(specsOf({}), device, HOST)).toEqual({
      offer: null,
      notOffered: 'Nova cannot read 10000:01:00.0: address: the domain "10000" of "10000:01:00.0" is above ffff',
    });
  });

  it('offers remote-managed VFs of cards that tell a serial number', () => {
    const [spec] = specsOf({ devname: 'eth0v0', remote_managed: 'yes' });
    expect(spec && matchDeviceSpec(spec, VF, HOST)).toBe(false);
    expect(spec && matchDeviceSpec(spec, { ...VF, serialNumber: 'MT1' }, HOST)).toBe(true);
  });
});

describe('what Nova checks on the host', () => {
  const refused = (entry: unknown): unknown => {
    try {
      checkOnHost(specsOf(entry), HOST);
      return null;
    } catch (error) {
      return (error as BerthError).details['exception'];
    }
  };

  it.each<[string, unknown, string | null]>([
    ['an interface that is not there', { devname: 'eth7' }, null],
    ['and is to be remote-managed', { devname: 'eth7', remote_managed: true }, 'PciDeviceRemoteManagedNotPresent'],
    ['a PF by its interface', { devname: 'eth0', remote_managed: true }, 'PciDeviceInvalidPFRemoteManaged'],
    ['a PF by its interface, with its own id', { devname: 'eth0', product_id: '10fb', remote_managed: true }, 'PciDeviceInvalidPFRemoteManaged'], // prettier-ignore
    ['with the id of its VFs', { devname: 'eth0', product_id: '10ed', remote_managed: true }, null],
    ['with another vendor', { devname: 'eth0', vendor_id: '15b3', product_id: '10ed', remote_managed: true }, 'PciConfigInvalidSpec'], // prettier-ignore
    ['a PF by its address', { address: PF, product_id: '10ed', remote_managed: true }, 'PciDeviceNotFoundById'],
    ['a PF by its address, not remote-managed', { address: PF, remote_managed: 'banana' }, null],
    ['a device by its address', { address: '0000:81:00.0', remote_managed: true }, null],
  ])('%s', (_, entry, exception) => {
    expect(refused(entry)).toBe(exception);
  });

  it('asks only PFs that can have VFs', () => {
    const bare = { ...NIC, sriov: { totalVfs: 0, numVfs: 0 } };
    const host = hostContext([bare, VF]);
    expect(() => checkOnHost(specsOf({ devname: 'eth0', remote_managed: true }), host)).not.toThrow();
    const [spec] = specsOf({ devname: 'eth0' });
    expect(spec && matchDeviceSpec(spec, VF, host)).toBe(false);
    expect(spec && matchDeviceSpec(spec, bare, host)).toBe(true);
  });

  it('takes the interface of a PF that sysfs names another way, unless it is to be looked up again', () => {
    const named = { netdevs: new Map([['eth0', { address: PF, physicalFunction: false }]]) };
    const ids = { vfProductIds: new Map([[PF, '10ed']]), deviceIds: new Map([[PF, ['8086', '10fb'] as const]]) };
    const host = { devnames: new Map(), nova: { physicalFunctions: new Set([PF]), ...named, ...ids } };
    const [spec] = specsOf({ devname: 'eth0' });
    expect(spec && matchDeviceSpec(spec, VF, { ...HOST, ...host })).toBe(true);
    const remote = specsOf({ devname: 'eth0', product_id: '10ed', remote_managed: true });
    expect(() => checkOnHost(remote, host)).toThrow('cannot look up a PF by its address');
  });

  it('refuses a PF whose VFs have an id that cannot be read', () => {
    const nova = HOST.nova;
    const host = nova && { devnames: HOST.devnames, nova: { ...nova, vfProductIds: new Map([[PF, '']]) } };
    const remote = specsOf({ devname: 'eth0', remote_managed: true });
    expect(() => host && checkOnHost(remote, host)).toThrow('the product id of the VFs of 0000:05:00.0 cannot be read');
  });

  it('does not know the VFs of a PF that has none yet', () => {
    const host = hostContext([NIC]);
    expect(() => checkOnHost(specsOf({ devname: 'eth0', remote_managed: true }), host)).toThrow('are not known');
  });
});
