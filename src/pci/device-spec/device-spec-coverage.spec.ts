import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { anyDevice, anyEntry } from '../../../test/support/device-spec-arbitraries.js';
import { coverDeviceSpecs, findingsOf, unreachableEntries, type SpecFinding } from './device-spec-coverage.js';
import { hostContext, matchDeviceSpec, offerDevice, type DeviceSpec } from './device-spec.js';
import { parseDeviceSpecs } from './device-spec-reader.js';
import type { PciDevice } from '../device.js';

const GPU: PciDevice = {
  address: '0000:83:00.0',
  vendorId: '10de',
  productId: '1bb0',
  classCode: '030000',
  subsystemVendorId: '10de',
  subsystemProductId: '11b2',
  revision: 'a1',
  serialNumber: null,
  deviceType: 'type-PCI',
  parentAddress: null,
  numaNode: 1,
  driver: 'nouveau',
  iommuGroup: 25,
  sriov: null,
  netdevs: [],
  pciePath: [],
  acsRedirect: null,
  link: null,
  resetMethods: [],
};
const GPU_2: PciDevice = { ...GPU, address: '0000:84:00.0', numaNode: 0, iommuGroup: 26 };
const PF: PciDevice = {
  ...GPU,
  ...{ address: '0000:41:00.0', vendorId: '15b3', productId: 'a2d6', deviceType: 'type-PF', netdevs: ['enp65s0'] },
};
const VF: PciDevice = {
  ...PF,
  ...{ address: '0000:41:00.2', productId: '101e', deviceType: 'type-VF', parentAddress: PF.address, netdevs: [] },
};
const BRIDGE: PciDevice = { ...GPU, address: '0000:00:00.0', vendorId: '8086', productId: '2020', classCode: '060000' };
const HOST = [BRIDGE, GPU, GPU_2, PF, VF];

function parse(...entries: object[]): DeviceSpec[] {
  return entries.flatMap((entry, at) => parseDeviceSpecs(entry, `agent.yaml:${at + 10}`, { freeTags: [] }));
}

describe('what the entries of a whitelist mean on a host', () => {
  it('is told for each: matched, decided, and who decides the others', () => {
    const specs = parse(
      { vendor_id: '10de', numa_node: 1 },
      { vendor_id: '10de' },
      { address: '0000:83:00.0' },
      { address: '0000:41:00.0' },
      { vendor_id: '8086' },
    );
    expect(coverDeviceSpecs(specs, HOST)).toEqual([
      { entry: 0, where: 'agent.yaml:10', matched: [GPU.address], decided: [GPU.address], decidedBy: [] },
      {
        entry: 1,
        where: 'agent.yaml:11',
        matched: [GPU.address, GPU_2.address],
        decided: [GPU_2.address],
        decidedBy: [0],
      },
      { entry: 2, where: 'agent.yaml:12', matched: [GPU.address], decided: [], decidedBy: [0] },
      {
        entry: 3,
        where: 'agent.yaml:13',
        matched: [PF.address, VF.address],
        decided: [PF.address, VF.address],
        decidedBy: [],
      },
      { entry: 4, where: 'agent.yaml:14', matched: [], decided: [], decidedBy: [] },
    ]);
  });

  it('counts a device that the agent holds bound as it was before', () => {
    const bound = { ...PF, driver: 'vfio-pci', netdevs: [], original: { driver: 'mlx5_core', netdevs: ['enp65s0'] } };
    const matched = (entry: object) => coverDeviceSpecs(parse(entry), [bound, VF])[0]?.matched;
    expect(matched({ devname: 'enp65s0' })).toEqual([PF.address, VF.address]);
    expect(matched({ driver: 'mlx5_core' })).toEqual([PF.address]);
    expect(matched({ driver: 'vfio-pci' })).toEqual([]);
  });

  it('is what asking every entry of every device comes to', () => {
    const scans = fc.uniqueArray(anyDevice, { maxLength: 6, selector: (device) => device.address });
    fc.assert(
      fc.property(fc.array(anyEntry, { maxLength: 8 }), scans, (entries, devices) => {
        const specs = parse(...entries);
        const host = hostContext(devices);
        const coverage = coverDeviceSpecs(specs, devices);
        for (const [at, spec] of specs.entries()) {
          const matched = devices.filter((device) => matchDeviceSpec(spec, device, host));
          const earlier = (device: PciDevice) => specs.findIndex((other) => matchDeviceSpec(other, device, host));
          const decided = matched.filter((device) => earlier(device) === at);
          expect(coverage[at]?.matched).toEqual(matched.map(({ address }) => address));
          expect(coverage[at]?.decided).toEqual(decided.map(({ address }) => address));
          expect(coverage[at]?.decidedBy).toEqual(
            [...new Set(matched.map(earlier))].filter((by) => by !== at).sort((a, b) => a - b),
          );
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('findings', () => {
  const findings = (specs: DeviceSpec[], devices = HOST): SpecFinding[] =>
    findingsOf(specs, coverDeviceSpecs(specs, devices));

  it('name an entry that matches nothing here', () => {
    expect(findings(parse({ vendor_id: '10de' }, { vendor_id: '1002' }))).toEqual([
      { kind: 'dead', entry: 1, by: [], message: 'entry 2 (agent.yaml:11) matches no device of this host' },
    ]);
  });

  it('name an entry that matches bridges only: they are never handed out', () => {
    expect(findings(parse({ vendor_id: '8086' }))).toMatchObject([{ kind: 'dead', entry: 0 }]);
  });

  it('name an entry whose devices earlier ones decide, and which those are', () => {
    const specs = parse(
      { numa_node: 1 },
      { numa_node: 0 },
      { vendor_id: '10de' },
      { product_id: '1bb0', driver: 'nouveau' },
    );
    const places = 'entry 1 (agent.yaml:10) and entry 2 (agent.yaml:11)';
    expect(findings(specs)).toEqual([
      {
        kind: 'shadowed',
        entry: 2,
        by: [0, 1],
        message: `entry 3 (agent.yaml:12) matches 2 devices, which ${places} decide`,
      },
      {
        kind: 'shadowed',
        entry: 3,
        by: [0, 1],
        message: `entry 4 (agent.yaml:13) matches 2 devices, which ${places} decide`,
      },
    ]);
    expect(findings(parse({ numa_node: 0 }, { address: GPU_2.address }))[0]?.message).toBe(
      'entry 2 (agent.yaml:11) matches 1 device, which entry 1 (agent.yaml:10) decides',
    );
  });

  it('name three of many that shadow, and how many more', () => {
    const narrow = [0, 1, 2, 3, 4].map((bus) => ({ address: `:0${bus}:` }));
    const devices = narrow.map((_, bus) => ({ ...GPU, address: `0000:0${bus}:00.0` }));
    const last = findings(parse(...narrow, { vendor_id: '10de' }), devices).at(-1);
    expect(last).toMatchObject({ kind: 'shadowed', by: [0, 1, 2, 3, 4] });
    expect(last?.message).toContain('entry 3 (agent.yaml:12) and 2 more decide');
  });

  it('say unreachable rather than dead or shadowed', () => {
    const specs = parse(
      { vendor_id: '10de' },
      { vendor_id: '10de', product_id: '1bb0' },
      { vendor_id: '10de', driver: 'x' },
    );
    expect(findings(specs).map(({ kind, entry, by }) => [kind, entry, by])).toEqual([
      ['unreachable', 1, [0]],
      ['unreachable', 2, [0]],
    ]);
  });

  it('are none for a sound whitelist, nor for an empty one', () => {
    expect(findings(parse({ vendor_id: '10de', numa_node: 1 }, { vendor_id: '10de' }, { devname: 'enp65s0' }))).toEqual(
      [],
    );
    expect(findings([])).toEqual([]);
  });
});

describe('an entry that can never decide', () => {
  it.each<[string, object, object]>([
    ['everything before', {}, { vendor_id: '10de' }],
    ['the same', { vendor_id: '10de' }, { vendor_id: '10DE' }],
    ['an exclusion before', { vendor_id: '10de', exclude: true }, { vendor_id: '10de', product_id: '1bb0' }],
    ['fewer ids', { product_id: '1bb0' }, { vendor_id: '10de', product_id: '1bb0' }],
    ['ids without an address', { vendor_id: '10de' }, { vendor_id: '10de', address: '83:00.0' }],
    ['ids without an interface', { vendor_id: '15b3' }, { vendor_id: '15b3', devname: 'enp65s0' }],
    ['any address', { address: '*' }, { address: '0000:83:00.0' }],
    ['any address as an object', { address: { bus: '.*' } }, { devname: 'enp65s0' }],
    ['the same address', { address: '0000:41:00.0' }, { address: '0000:41:00.0', product_id: '101e' }],
    ['a wider address', { address: '*:41:' }, { address: '0000:41:00.*' }],
    ['a regex that takes the digits', { address: { bus: '4[0-9]' } }, { address: '*:41:00.*' }],
    ['the same regex', { address: { bus: '4.' } }, { address: { bus: '4.', slot: '00' } }],
    ['the same interface', { devname: 'enp65s0' }, { devname: 'enp65s0', product_id: '101e' }],
    ['a wider class', { class: '03' }, { class: '0302' }],
    ['the same serial number', { serial: 'S' }, { serial: 'S', numa_node: 1 }],
    ['the same group', { iommu_group: 3 }, { iommu_group: 3, driver: 'x' }],
    ['all VFs of remote-managed cards', { remote_managed: true }, { vendor_id: '15b3', remote_managed: true }],
    ['PFs too', { vendor_id: '15b3' }, { vendor_id: '15b3', remote_managed: true }],
    ['what is for one use only', { one_time_use: true }, { vendor_id: '10de' }],
  ])('is told: %s', (_what, wide, narrow) => {
    expect(unreachableEntries(parse(wide, narrow))).toEqual([
      {
        kind: 'unreachable',
        entry: 1,
        by: [0],
        message:
          'entry 2 (agent.yaml:11) never decides: entry 1 (agent.yaml:10) matches all that it matches; move it before that one, or remove it',
      },
    ]);
  });

  it.each<[string, object, object]>([
    ['the narrower one first', { vendor_id: '10de', product_id: '1bb0' }, { vendor_id: '10de' }],
    ['another product', { vendor_id: '10de', product_id: '1bb0' }, { vendor_id: '10de', product_id: '1bb1' }],
    ['a wildcard that does not take the VFs of the PF', { address: '*:41:00.0' }, { address: '0000:41:00.0' }],
    ['a narrower address', { address: '0000:41:00.*' }, { address: '*:41:' }],
    ['one address before many', { address: '0000:41:00.0' }, { address: '0000:41:00.*' }],
    ['another regex', { address: { bus: '4.' } }, { address: { bus: '4[0-9]' } }],
    ['a regex before anything', { address: { bus: '4.' } }, { address: { slot: '00' } }],
    ['an address before an interface', { address: '0000:41:00.0' }, { devname: 'enp65s0' }],
    ['an interface before an address', { devname: 'enp65s0' }, { address: '0000:41:00.0' }],
    ['another interface', { devname: 'eth0' }, { devname: 'eth1' }],
    ['a narrower class', { class: '0302' }, { class: '03' }],
    ['a class before none', { class: '03' }, { vendor_id: '10de' }],
    ['remote-managed ones only', { remote_managed: true }, { vendor_id: '15b3' }],
    ['a driver', { driver: 'x' }, {}],
    ['another group', { iommu_group: 3 }, { iommu_group: 4 }],
    ['another node', { numa_node: 0 }, { numa_node: 1 }],
    ['a subsystem', { subsystem_vendor_id: '10de' }, { vendor_id: '10de' }],
    ['a subsystem product', { subsystem_product_id: '10de' }, { subsystem_vendor_id: '10de' }],
  ])('is not told: %s', (_what, first, second) => {
    expect(unreachableEntries(parse(first, second))).toEqual([]);
  });

  it.each<[string, object, object, boolean]>([
    ['fewer ids', { vendor_id: '10de' }, { vendor_id: '10de', product_id: '1bb0' }, true],
    [
      'a wildcard that does not take the VFs of the PF',
      { address: '*:41:' },
      { address: { domain: '0000', bus: '41', slot: '00', function: '0' } },
      false,
    ],
    [
      'remote-managed ones, in other words',
      { remote_managed: 'yes' },
      { vendor_id: '15b3', remote_managed: true },
      true,
    ],
    ['remote-managed ones before others', { remote_managed: '1' }, { vendor_id: '15b3' }, false],
  ])('is told in the nova dialect, too: %s', (_what, first, second, expected) => {
    const specs = parseDeviceSpecs([first, second], 'nova.conf:1', { freeTags: [], dialect: 'nova' });
    expect(unreachableEntries(specs)).toHaveLength(expected ? 1 : 0);
  });

  it('means no device whose address Nova cannot read', () => {
    const specs = parseDeviceSpecs([{}], 'nova.conf:1', { freeTags: [], dialect: 'nova' });
    expect(coverDeviceSpecs(specs, [{ ...GPU, address: '10000:01:00.0' }])[0]?.matched).toEqual([]);
  });

  it('names the first of several that are wider', () => {
    const specs = parse(
      { vendor_id: '15b3' },
      { class: '03' },
      {},
      { class: '0302', vendor_id: '10de' },
      { numa_node: 0 },
    );
    expect(unreachableEntries(specs).map(({ entry, by }) => [entry, by])).toEqual([
      [3, [1]],
      [4, [2]],
    ]);
  });

  it('decides no device, whatever the host', () => {
    let told = 0;
    fc.assert(
      fc.property(
        fc.array(anyEntry, { minLength: 2, maxLength: 6 }),
        fc.array(anyDevice, { minLength: 1, maxLength: 8 }),
        (entries, devices) => {
          const specs = parse(...entries);
          const host = hostContext(devices);
          const never = new Set(unreachableEntries(specs).map(({ entry }) => entry));
          told += never.size;
          const plain = specs.map((spec) => ({ ...spec, exclude: false }));
          for (const device of devices) {
            const { offer } = offerDevice(plain, device, host);
            if (offer) expect(never).not.toContain(offer.entry);
          }
        },
      ),
      { numRuns: 2000 },
    );
    expect(told).toBeGreaterThan(100);
  });
});
