import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BerthError } from '../../errors.js';
import { addressMatches, readAddressPattern } from './device-spec-address.js';
import type { AddressPattern, ComponentPattern } from './device-spec-address.js';
import { hostContext, matchDeviceSpec, offerDevice, overriddenAddresses } from './device-spec.js';
import { parseDeviceSpecs } from './device-spec-reader.js';
import type { DeviceSpec } from './device-spec.js';
import type { DeviceSpecOptions } from './device-spec-reader.js';
import type { PciDevice } from '../device.js';

const NIC: PciDevice = {
  address: '0000:0a:00.1',
  vendorId: '8086',
  productId: '10d3',
  classCode: '020000',
  subsystemVendorId: '1af4',
  subsystemProductId: '0001',
  revision: '00',
  serialNumber: null,
  deviceType: 'type-PCI',
  parentAddress: null,
  numaNode: 1,
  driver: 'e1000e',
  iommuGroup: 17,
  sriov: null,
  netdevs: ['ens3'],
  pciePath: ['pci0000:00'],
  acsRedirect: null,
  link: null,
  resetMethods: [],
};
const PF: PciDevice = { ...NIC, address: '0000:21:00.0', deviceType: 'type-PF', netdevs: ['enp33s0f0'] };
const VF: PciDevice = {
  ...NIC,
  address: '0000:21:10.2',
  productId: '10ed',
  deviceType: 'type-VF',
  parentAddress: PF.address,
  netdevs: [],
};
const DPU_VF: PciDevice = { ...VF, serialNumber: 'MT2113X00123' };
const HOST = hostContext([NIC, PF, VF]);

const EXACT = { address: '0000:81:00.0', override_protection: true };

describe('address as text (every row of the table of Nova, and what Nova refuses)', () => {
  it.each([
    ['', '*:*:*.*'],
    ['*', '*:*:*.*'],
    ['0000:0a:00.1', '0000:0a:00.1'],
    ['0A:00.1', '*:0a:00.1'],
    ['00.1', '*:*:00.1'],
    ['.1', '*:*:*.1'],
    ['.5', '*:*:*.5'],
    ['0000:0a:00', '0000:0a:00.*'],
    [':0a:00.', '*:0a:00.*'],
    ['*: *: *.5', '*:*:*.5'],
    ['*:0a:00.*', '*:0a:00.*'],
    ['a:1.0', '*:0a:01.0'],
    ['10000:01:00.0', '10000:01:00.0'],
    ['FFFFFFFF:ff:1f.7', 'ffffffff:ff:1f.7'],
  ])('%j means %s', (text, expected) => {
    expect(shown(readAddressPattern(text))).toBe(expected);
  });

  it.each([
    ['0a*:00.1', 'the bus "0a*" of "0a*:00.1" is not hex'],
    ['0000:0a:00.1.2', 'the function "1.2" of'],
    ['0000:h4.12:6', 'the slot "h4" of "0000:h4.12:6" is not hex'],
    ['0000:0a:0b:00.5', 'has too many parts'],
    ['0000:0a:20.0', 'the slot "20" of "0000:0a:20.0" is above its maximum 1f'],
    ['0000:100:00.0', 'the bus "100" of "0000:100:00.0" is above its maximum ff'],
    ['0000:0a:00.8', 'above its maximum 7'],
    ['-1:00.0', 'the bus "-1"'],
    ['+1:00.0', 'the bus "+1"'],
    ['0x0a:00.0', 'the bus "0x0a"'],
    ['0_a:00.0', 'the bus "0_a"'],
    ['123456789:0a:00.0', 'the domain "123456789"'],
    ['0'.repeat(65), 'has 65 characters; at most 64'],
  ])('%j is refused: %s', (text, expected) => {
    expect(() => readAddressPattern(text)).toThrow(expected);
  });
});

describe('address as an object of regexes', () => {
  it.each([
    [{}, '0000:02:01.5', true],
    [{ domain: '.*', bus: '02', slot: '01', function: '[2-7]' }, '0000:02:01.5', true],
    [{ domain: '.*', bus: '02', slot: '01', function: '[2-7]' }, '0000:02:01.1', false],
    [{ bus: '0.' }, '0000:0f:01.1', true],
    [{ bus: '0[a-c]|1' }, '0000:1a:01.1', false],
    [{ bus: '1|1a' }, '0000:1a:01.1', true],
    [{ bus: '0A' }, '0000:0a:01.1', true],
    [{ bus: '[A-F]{2}' }, '0000:be:01.1', true],
    [{ domain: '1000.' }, '10000:be:01.1', true],
    [{ domain: '1000' }, '10000:be:01.1', false],
  ])('%j on %s: %s', (value, address, expected) => {
    expect(addressMatches(readAddressPattern(value), address)).toBe(expected);
  });

  it.each([
    [{ function: '*' }, 'function', 'is not a regex (missing argument to repetition operator'],
    [{ bus: '[6[-7]' }, 'bus', 'is not a regex'],
    [{ bus: '(?=0)0a' }, 'bus', 'is not a regex'],
    [{ bus: 10 }, 'bus', 'has to be a regex in quotes, like "[2-7]", not the number 10'],
    [{ bus: '0' }, 'bus', '"0" matches no bus, which has 2 digits; write them all, or "0.*" for a prefix'],
    [{ bus: '' }, 'bus', 'the regex is empty and matches nothing; for any value write ".*"'],
    [{ fnction: '0' }, 'fnction', 'unknown key; did you mean "function"?'],
    [{ bus: 'a'.repeat(201) }, 'bus', 'has 201 characters; at most 200'],
    [{ bus: '((a{1000}){1000}){1000}' }, 'bus', 'is not a regex'],
  ])('%j is refused at %s: %s', (address, key, expected) => {
    expect(problemsOf({ address })[0]).toMatch(`w:1: address.${key}: `);
    expect(problemsOf({ address })[0]).toContain(expected);
  });

  it('takes linear time on a regex that makes others explode', () => {
    const started = performance.now();
    addressMatches(readAddressPattern({ domain: '(([0-9a-f]+)*)*!' }), 'ffffffff:00:00.0');
    expect(performance.now() - started).toBeLessThan(5_000);
  });
});

describe('matching', () => {
  it.each<[string, object, PciDevice, boolean]>([
    ['everything', {}, NIC, true],
    ['ids', { vendor_id: '8086', product_id: '10d3' }, NIC, true],
    ['ids in any spelling', { vendor_id: '0x8086', product_id: '10D3' }, NIC, true],
    ['ids by wildcard', { vendor_id: '*', product_id: '*' }, NIC, true],
    ['another vendor', { vendor_id: '10de' }, NIC, false],
    ['another product', { product_id: '10ed' }, NIC, false],
    ['a PF by its address', { address: '0000:21:00.0' }, PF, true],
    ["a PF's VF by the PF's address", { address: '0000:21:00.0' }, VF, true],
    [
      "a PF's VF by the PF's address in digits",
      { address: { domain: '0000', bus: '21', slot: '00', function: '0' } },
      VF,
      true,
    ],
    ['no VF by a wildcard address of the PF', { address: '*:21:00.0' }, VF, false],
    ['only the VFs by product', { address: '0000:21:00.0', product_id: '10ed' }, PF, false],
    ['a device by its interface', { devname: 'ens3' }, NIC, true],
    ['a PF by its interface', { devname: 'enp33s0f0' }, PF, true],
    ["a VF by its PF's interface", { devname: 'enp33s0f0' }, VF, true],
    ['nothing by an interface that is not there', { devname: 'eth9' }, NIC, false],
    ['class', { class: '0200' }, NIC, true],
    ['another class', { class: '03' }, NIC, false],
    ['subsystem', { subsystem_vendor_id: '1af4', subsystem_product_id: '1' }, NIC, true],
    ['another subsystem', { subsystem_vendor_id: '1af5' }, NIC, false],
    ['driver', { driver: 'e1000e' }, NIC, true],
    ['another driver', { driver: 'igb' }, NIC, false],
    ['IOMMU group', { iommu_group: 17 }, NIC, true],
    ['another IOMMU group', { iommu_group: '18' }, NIC, false],
    ['NUMA node', { numa_node: 1 }, NIC, true],
    ['another NUMA node', { numa_node: 0 }, NIC, false],
    ['serial number', { serial: ' MT2113X00123 ' }, DPU_VF, true],
    ['another serial number', { serial: 'mt2113x00123' }, DPU_VF, false],
    ['a serial number of a card that tells none', { serial: 'MT2113X00123' }, NIC, false],
    ['a VF of a remote-managed card', { remote_managed: true }, DPU_VF, true],
    ['a vdpa VF of a remote-managed card', { remote_managed: true }, { ...DPU_VF, deviceType: 'vdpa' }, true],
    ['no VF of a card without a serial number', { remote_managed: true }, VF, false],
    ['no VF of a card with a blank one', { remote_managed: true }, { ...VF, serialNumber: ' ' }, false],
    ['no remote-managed PF', { remote_managed: true }, { ...PF, serialNumber: 'MT2113X00123' }, false],
    ['not remote-managed', { remote_managed: 'no' }, PF, true],
  ])('%s', (_, entry, device, expected) => {
    expect(matchDeviceSpec(only(entry), device, HOST)).toBe(expected);
  });

  it('remembers whose interface it was when a driver without interfaces has taken the device', () => {
    const bound = { ...PF, netdevs: [], driver: 'vfio-pci' };
    const spec = only({ devname: 'enp33s0f0' });
    expect(matchDeviceSpec(spec, bound, hostContext([bound]))).toBe(false);
    expect(matchDeviceSpec(spec, bound, hostContext([bound], HOST.devnames))).toBe(true);
  });
});

describe('what is offered', () => {
  it('is decided by the first entry that matches, whole', () => {
    const specs = parse([
      { vendor_id: '10de' },
      { vendor_id: '8086', physical_network: null, trusted: 'YES', managed: false },
      { product_id: '10d3', physical_network: 'physnet1' },
    ]);
    expect(offerDevice(specs, NIC, HOST)).toEqual({
      offer: {
        entry: 1,
        tags: { physical_network: null, trusted: 'true', managed: 'false' },
        resourceClass: null,
        traits: [],
      },
      notOffered: null,
    });
  });

  it('has its resource class and traits normalised', () => {
    const { offer } = offerDevice(
      parse({ resource_class: 'gold-vf', traits: 'blue, big,HW_NIC_SRIOV , custom_a-b' }),
      NIC,
      HOST,
    );
    expect(offer?.resourceClass).toBe('CUSTOM_GOLD_VF');
    expect(offer?.traits).toEqual(['CUSTOM_BLUE', 'CUSTOM_BIG', 'HW_NIC_SRIOV', 'CUSTOM_A_B']);
    expect(offer?.tags).toEqual({});
    expect(only({ resource_class: 'vgpu' }).resourceClass).toBe('VGPU');
    expect(only({ resource_class: 'custom_x' }).resourceClass).toBe('CUSTOM_X');
    expect(only({ traits: ['big', 'BIG'] }).traits).toEqual(['CUSTOM_BIG']);
  });

  it('says why it is not', () => {
    const why = (value: unknown, device: PciDevice): string | null =>
      offerDevice(parse(value), device, HOST).notOffered;
    expect(why([], NIC)).toBe('no device_spec entry matches 8086:10d3 at 0000:0a:00.1');
    expect(why([{ vendor_id: '10de' }, { address: '0a:00.1', exclude: true }, {}], NIC)).toBe(
      'excluded by entry 2 (w:1)',
    );
    expect(why({}, { ...NIC, classCode: '060400' })).toBe('bridges are never handed out');
  });

  it('may be for one use only: a PF or a whole function, never a VF', () => {
    const specs = parse([{ one_time_use: 'yes' }, {}]);
    expect(offerDevice(specs, NIC, HOST).offer?.tags).toEqual({ one_time_use: 'true' });
    expect(offerDevice(specs, PF, HOST).offer?.entry).toBe(0);
    expect(offerDevice(specs, VF, HOST)).toEqual({
      offer: null,
      notOffered: 'entry 1 (w:1) says one_time_use, which a type-VF cannot have',
    });
    expect(offerDevice(specs, { ...VF, deviceType: 'vdpa' }, HOST).notOffered).toContain('a vdpa cannot have');
    expect(offerDevice(parse({ one_time_use: 'no' }), VF, HOST).offer?.tags).toEqual({ one_time_use: 'false' });
  });

  it.each<[string, object, object]>([
    ['managed', { managed: 'off' }, { tags: { managed: 'false' } }],
    ['managed', { managed: true }, { tags: { managed: 'true' } }],
    ['vfio_driver', { vfio_driver: 'mlx5_vfio_pci' }, { tags: { vfio_driver: 'mlx5_vfio_pci' } }],
    ['handover', { handover: 'Netdev' }, { tags: { handover: 'netdev' } }],
    ['handover by vfio', { handover: 'vfio', managed: 'no' }, { tags: { handover: 'vfio', managed: 'false' } }],
    ['live_migratable', { live_migratable: 'Y' }, { tags: { live_migratable: 'true' } }],
    ['live_migratable', { live_migratable: 0 }, { tags: { live_migratable: 'false' } }],
    ['remote_managed', { remote_managed: false }, { tags: { remote_managed: 'false' } }],
    ['resource_class', { resource_class: 'pci-gpu.1' }, { resourceClass: 'CUSTOM_PCI_GPU_1', tags: {} }],
    ['traits', { traits: ['hw_gpu_api_vulkan', ' a b '] }, { traits: ['HW_GPU_API_VULKAN', 'CUSTOM_A_B'], tags: {} }],
    ['an overlay network', { physical_network: null }, { tags: { physical_network: null } }],
    ['a network called null', { physical_network: 'null' }, { tags: { physical_network: 'null' } }],
  ])('carries %s', (_key, entry, offer) => {
    expect(offerDevice(parse(entry), NIC, HOST).offer).toMatchObject(offer);
  });

  it('is the lowest entry that matches by itself (any entries, any order)', () => {
    const entry = fc.record(
      {
        vendor_id: fc.constantFrom('8086', '10de', '*'),
        product_id: fc.constantFrom('10d3', '10ed', '*'),
        address: fc.constantFrom('.1', '0000:21:00.0', '*', ':0a:00.'),
        exclude: fc.boolean(),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 8 }), fc.constantFrom(NIC, PF, VF), (entries, device) => {
        const specs = parse(entries);
        const first = specs.findIndex((spec) => matchDeviceSpec(spec, device, HOST));
        const { offer } = offerDevice(specs, device, HOST);
        expect(offer?.entry ?? null).toBe(first < 0 || specs[first]?.exclude ? null : first);
      }),
    );
  });
});

describe('malformed entries', () => {
  it.each<[string, unknown, string]>([
    ['a text', 'gpu', 'w:1: device_spec: an entry has to be an object like {"vendor_id": "8086"}, not a text'],
    ['a number', 8086, 'not the number 8086'],
    ['null', null, 'not null'],
    ['a list in a list', [[]], 'not a list'],
    ['a mistyped key', { vender_id: '8086' }, 'w:1: vender_id: unknown key; did you mean "vendor_id"?'],
    ['an unknown key', { colour: 'blue' }, 'colour: unknown key; the keys are vendor_id, product_id'],
    ['an undeclared tag', { rack: 'r1' }, 'a tag of your own has to be declared in pci.free_tags'],
    ['__proto__', JSON.parse('{"__proto__": {"exclude": true}}'), '__proto__: unknown key'],
    ['constructor', { constructor: 'x' }, 'constructor: unknown key'],
    ['a vendor in digits', { vendor_id: 8086 }, 'w:1: vendor_id: a number; write "8086" in quotes'],
    ['a product with a lost zero', { product_id: 443 }, 'product_id: a number; write "0443" in quotes'],
    ['a null vendor', { vendor_id: null }, 'vendor_id: has to be a text like "8086" or "*", not null'],
    ['a long vendor', { vendor_id: '18086' }, 'vendor_id: "18086" is not 1 to 4 hex digits'],
    ['an empty vendor', { vendor_id: '' }, 'vendor_id: "" is not 1 to 4 hex digits'],
    ['a vendor with blanks', { vendor_id: ' 8086 ' }, 'vendor_id: " 8086 " is not'],
    ['a signed vendor', { vendor_id: '-1' }, 'vendor_id: "-1" is not'],
    ['an underscored vendor', { vendor_id: '80_86' }, 'vendor_id: "80_86" is not'],
    ['a vendor name', { vendor_id: 'NVIDIA' }, 'vendor_id: "NVIDIA" is not'],
    [
      'an address list',
      { address: ['0a:00.0'] },
      'address: has to be a text like "0000:81:00.0" or an object of regexes, not a list',
    ],
    ['address and devname', { address: '', devname: 'eth0' }, 'devname: an entry has either an address or a devname'],
    ['an empty devname', { devname: '' }, 'devname: is empty; give a value, or leave the key out'],
    ['a null devname', { devname: null }, 'devname: has to be a text in quotes, not null'],
    ['a numeric network', { physical_network: 1 }, 'physical_network: a number; write "1" in quotes'],
    ['an empty network', { physical_network: ' ' }, 'physical_network: is empty'],
    ['banana managed', { managed: 'banana' }, 'managed: "banana" is neither yes nor no; write true or false'],
    ['another handover', { handover: 'macvlan' }, 'handover: "macvlan" is neither vfio nor netdev'],
    [
      'an interface that is not bound',
      { handover: 'netdev', managed: 'no' },
      'managed: a device with handover: netdev stays',
    ],
    [
      'an interface on a vfio driver',
      { handover: 'netdev', vfio_driver: 'x' },
      'vfio_driver: a device with handover: netdev',
    ],
    ['a driver with a path', { vfio_driver: '../x' }, 'vfio_driver: "../x" is not the name of a driver'],
    ['a null managed', { managed: null }, 'managed: null is neither yes nor no'],
    ['banana remote_managed', { remote_managed: 'banana' }, 'remote_managed: "banana" is neither'],
    ['a numeric boolean', { one_time_use: 2 }, 'one_time_use: the number 2 is neither'],
    ['a list as boolean', { trusted: [true] }, 'trusted: a list is neither'],
    ['a doubled comma', { traits: 'a,,b' }, 'traits: has an empty name in it; remove the comma too many'],
    ['traits as object', { traits: {} }, 'traits: has to be a list of names, or "a,b", not an object'],
    ['a trait number', { traits: [1] }, 'traits: a number; write "1" in quotes'],
    ['65 traits', { traits: Array.from({ length: 65 }, (_, n) => `t${n}`) }, 'traits: names 65 traits; at most 64'],
    ['an empty class name', { resource_class: '' }, 'resource_class: is empty'],
    ['a long class name', { resource_class: 'x'.repeat(256) }, 'resource_class: has 256 characters; at most 255'],
    ['an odd class', { class: '030' }, 'class: "030" is not 2, 4 or 6 hex digits, like "0300"'],
    ['a serial number in digits', { serial: 12345 }, 'serial: a number; write "12345" in quotes'],
    ['an empty serial number', { serial: ' ' }, 'serial: is empty; give a value, or leave the key out'],
    ['a null serial number', { serial: null }, 'serial: has to be a text in quotes, not null'],
    ['a negative node', { numa_node: -1 }, 'numa_node: has to be a whole number from 0 on, not the number -1'],
    ['a group by name', { iommu_group: 'x' }, 'iommu_group: has to be a whole number from 0 on, not "x"'],
    ['an exclusion with tags', { exclude: true, trusted: true }, 'exclude: what is excluded has no tags'],
    ['an override of what is excluded', { exclude: true, ...EXACT }, 'override_protection: what is excluded'],
    ['an override for a card', { ...EXACT, address: '81:00' }, 'override_protection: is for one device only'],
    ['an override for any function', { ...EXACT, address: '0000:81:00.*' }, 'override_protection: is for one device'],
    ['an override by regexes', { ...EXACT, address: { bus: '81' } }, 'override_protection: is for one device only'],
    ['an override by name', { override_protection: true, devname: 'eth0' }, 'override_protection: is for one device'],
    ['an override for a kind', { override_protection: true, vendor_id: '8086' }, 'override_protection: is for one'],
    ['a doubtful override', { ...EXACT, override_protection: 'perhaps' }, 'override_protection: "perhaps" is neither'],
    ['a control character', { devname: 'eth0\n' }, 'devname: has a control character in it'],
  ])('%s', (_, value, expected) => {
    expect(problemsOf(value).join('\n')).toContain(expected);
    expect(problemsOf(value)).toHaveLength(1);
  });

  it('are told all at once, each at its place', () => {
    const where = (path: readonly (string | number)[]): string => `f:${path.join('/')}`;
    const problems = problemsOf([{ vendor_id: 1 }, {}, { address: { bus: 1 }, managd: 1 }], { freeTags: [] }, where);
    expect(problems.map((text) => text.split(': ')[0])).toEqual(['f:0/vendor_id', 'f:2/address/bus', 'f:2/managd']);
  });

  it('are too many from 10,001 on', () => {
    expect(problemsOf(Array.from({ length: 10_001 }, () => ({})))).toEqual([
      'w:1: device_spec: 10001 entries; at most 10000',
    ]);
  });

  it('have at most 64 tags', () => {
    const freeTags = Array.from({ length: 65 }, (_, n) => `tag${n}`);
    const entry = Object.fromEntries(freeTags.map((name) => [name, 'x']));
    expect(problemsOf(entry, { freeTags })).toEqual(['w:1: device_spec: 65 tags in one entry; at most 64']);
  });

  it('never throw anything but a BerthError, whatever the JSON', () => {
    const known = fc.constantFrom('vendor_id', 'address', 'devname', 'traits', 'managed', 'class', 'numa_node', 'rack');
    const value = fc.oneof(
      fc.jsonValue(),
      fc.dictionary(known, fc.jsonValue()),
      fc.array(fc.dictionary(known, fc.jsonValue())),
    );
    fc.assert(
      fc.property(value, (json) => {
        try {
          parseDeviceSpecs(JSON.parse(JSON.stringify(json)), 'w:1', { freeTags: ['rack'] });
        } catch (error) {
          expect(error).toBeInstanceOf(BerthError);
          expect((error as BerthError).details['problems']).not.toHaveLength(0);
        }
      }),
      { numRuns: 1000 },
    );
    expect(({} as Record<string, unknown>)['exclude']).toBeUndefined();
  });
});

describe('an override of protections', () => {
  it('is for one exact address, and is no tag', () => {
    expect(only(EXACT)).toMatchObject({ overrideProtection: true, tags: {} });
    const spelled = { domain: '0000', bus: '82', slot: '00', function: '1' };
    const specs = parse([{ vendor_id: '8086' }, EXACT, { override_protection: 'yes', address: spelled }]);
    expect([...overriddenAddresses(specs)]).toEqual(['0000:81:00.0', '0000:82:00.1']);
    expect([...overriddenAddresses(parse({ ...EXACT, override_protection: false }))]).toEqual([]);
  });

  it('is a tag in the nova dialect, which counts with one exact address only', () => {
    const nova = (entry: object) => parse(entry, { freeTags: [], dialect: 'nova' });
    const told = { override_protection: 'true' };
    expect([...overriddenAddresses(nova({ ...told, address: '0000:81:00.0' }))]).toEqual(['0000:81:00.0']);
    for (const wide of [
      { address: '0000:81:00.*' },
      { address: '*:81:00.0' },
      { vendor_id: '8086' },
      { devname: 'eth0' },
    ]) {
      expect([...overriddenAddresses(nova({ ...told, ...wide }))]).toEqual([]);
    }
  });
});

describe('free tags', () => {
  it('are allowed when declared; booleans become texts', () => {
    const [spec] = parse({ rack: 'r1', spare: true, note: null }, { freeTags: ['rack', 'spare', 'note'] });
    expect(spec?.tags).toEqual({ rack: 'r1', spare: 'true', note: null });
  });

  it('are texts', () => {
    expect(problemsOf({ rack: 7 }, { freeTags: ['rack'] })).toEqual(['w:1: rack: a number; write "7" in quotes']);
    expect(problemsOf({ rack: {} }, { freeTags: ['rack'] })[0]).toContain('rack: has to be a text in quotes');
  });
});

function parse(value: unknown, options: DeviceSpecOptions = { freeTags: [] }): DeviceSpec[] {
  return parseDeviceSpecs(value, 'w:1', options);
}

function only(entry: unknown): DeviceSpec {
  return parse(entry)[0] as DeviceSpec;
}

function problemsOf(
  value: unknown,
  options: DeviceSpecOptions = { freeTags: [] },
  where: Parameters<typeof parseDeviceSpecs>[1] = 'w:1',
): string[] {
  try {
    parseDeviceSpecs(value, where, options);
  } catch (error) {
    const { code, message, details } = error as BerthError;
    expect(code).toBe('device_spec.invalid');
    expect(message).toBe((details['problems'] as string[]).join('\n'));
    return details['problems'] as string[];
  }
  return [];
}

function shown({ domain, bus, slot, function: fn }: AddressPattern): string {
  const text = (part: ComponentPattern): string => (part.kind === 'exact' ? part.digits : '*');
  return `${text(domain)}:${text(bus)}:${text(slot)}.${text(fn)}`;
}
