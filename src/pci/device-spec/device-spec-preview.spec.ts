import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { anyDevice, anyEntry } from '../../../test/support/device-spec-arbitraries.js';
import { previewDeviceSpecs, type Holder, type ScannedDevice, type WhitelistPreview } from './device-spec-preview.js';
import { hostContext, offerDevice, type DeviceSpec } from './device-spec.js';
import { parseDeviceSpecs } from './device-spec-reader.js';
import type { ReportedDevice } from '../device.js';

const SERVER: Holder = { id: '8f1b', name: 'web' };
const OFFER = { entry: 0, tags: {}, resourceClass: null, traits: [] };
const NIC: ReportedDevice = {
  address: '0000:41:00.0',
  vendorId: '8086',
  productId: '1572',
  classCode: '020000',
  subsystemVendorId: null,
  subsystemProductId: null,
  revision: null,
  serialNumber: null,
  deviceType: 'type-PF',
  parentAddress: null,
  numaNode: 0,
  driver: 'i40e',
  iommuGroup: 1,
  sriov: null,
  netdevs: ['enp65s0'],
  pciePath: [],
  acsRedirect: null,
  link: null,
  resetMethods: [],
  offer: OFFER,
  notOffered: null,
};
const BOUND: ReportedDevice = { ...NIC, driver: 'vfio-pci', netdevs: [] };
const VF: ReportedDevice = {
  ...NIC,
  ...{ address: '0000:41:02.0', productId: '154c', deviceType: 'type-VF', parentAddress: NIC.address },
  ...{ driver: 'iavf', netdevs: [] },
};

function parse(...entries: object[]): DeviceSpec[] {
  return entries.flatMap((entry, at) => parseDeviceSpecs(entry, `f:${at + 1}`, { freeTags: [] }));
}

function preview(entries: object[], ...scan: [ReportedDevice, Holder?][]): WhitelistPreview {
  return previewDeviceSpecs(parse(...entries), scan.map(scanned), { readOnly: false });
}

function scanned([device, holder = null]: [ReportedDevice, (Holder | null)?]): ScannedDevice {
  return { device, holder };
}

const fates = ({ added, removed, changed, uncertain }: WhitelistPreview) =>
  Object.fromEntries(
    Object.entries({ added, removed, changed, uncertain }).flatMap(([fate, list]) =>
      list.map(({ device, reason }) => [device.address, `${fate}${reason === '' ? '' : `: ${reason}`}`]),
    ),
  );

describe('what another whitelist would make of a host', () => {
  it('is nothing when each device keeps its offer, by whichever entry', () => {
    expect(fates(preview([{ vendor_id: '10de' }, { vendor_id: '8086' }], [NIC]))).toEqual({});
  });

  it('adds what is not offered now', () => {
    const idle = { ...NIC, offer: null, notOffered: 'no entry' };
    const { added } = preview([{ vendor_id: '8086', trusted: true }], [idle]);
    expect(added).toEqual([
      {
        device: idle,
        holder: null,
        before: null,
        after: { ...OFFER, tags: { trusted: 'true' } },
        reason: '',
        protection: [],
      },
    ]);
  });

  it('removes what no entry matches, with the reason and who holds it', () => {
    const { removed } = preview([{ vendor_id: '10de' }], [NIC, SERVER]);
    const reason = 'no device_spec entry matches 8086:1572 at 0000:41:00.0';
    expect(removed).toEqual([{ device: NIC, holder: SERVER, before: OFFER, after: null, reason, protection: [] }]);
    expect(preview([{ exclude: true }], [NIC]).removed[0]?.reason).toBe('excluded by entry 1 (f:1)');
  });

  it.each<[string, object, object, string | null]>([
    ['nothing', {}, {}, null],
    ['a new tag', {}, { trusted: true }, 'changed: tags.trusted'],
    ['a tag that goes', { tags: { trusted: 'true' } }, {}, 'changed: tags.trusted'],
    [
      'a network that becomes null',
      { tags: { physical_network: 'a' } },
      { physical_network: null },
      'changed: tags.physical_network',
    ],
    ['a network of null that goes', { tags: { physical_network: null } }, {}, 'changed: tags.physical_network'],
    ['a network of null that stays', { tags: { physical_network: null } }, { physical_network: null }, null],
    ['a class', {}, { resource_class: 'gold' }, 'changed: resource_class'],
    ['traits in another order', { traits: ['CUSTOM_A', 'CUSTOM_B'] }, { traits: 'b,a' }, 'changed: traits'],
    [
      'several',
      { resourceClass: 'CUSTOM_X' },
      { managed: 'no', trusted: 'no', traits: 'a' },
      'changed: tags.managed, tags.trusted, resource_class, traits',
    ],
  ])('names what changes: %s', (_what, before, entry, expected) => {
    const device = { ...NIC, offer: { ...OFFER, ...before } };
    expect(fates(preview([entry], [device]))).toEqual(expected === null ? {} : { [NIC.address]: expected });
  });

  it('offers nothing on a read-only host', () => {
    const idle = { ...NIC, offer: null, notOffered: 'read_only' };
    const result = previewDeviceSpecs(parse({}), [scanned([idle])], { readOnly: true });
    expect(fates(result)).toEqual({});
    expect(result.coverage[0]?.matched).toEqual([NIC.address]);
  });

  it('counts what the entries match, and what is odd about them', () => {
    const { coverage, findings } = preview([{ vendor_id: '8086' }, {}, { vendor_id: '10de' }], [NIC], [VF]);
    expect(coverage.map(({ matched, decided }) => [matched.length, decided.length])).toEqual([
      [2, 2],
      [2, 0],
      [0, 0],
    ]);
    expect(findings.map(({ kind, entry }) => [kind, entry])).toEqual([
      ['shadowed', 1],
      ['unreachable', 2],
    ]);
  });
});

describe('a device that the agent holds bound', () => {
  const told = { ...BOUND, original: { driver: 'i40e', netdevs: ['enp65s0'] } };

  it.each<[string, object[], Record<string, string>]>([
    ['its driver', [{ driver: 'i40e' }], {}],
    ['its interface', [{ devname: 'enp65s0' }], {}],
    ['another driver', [{ driver: 'igb' }], { [NIC.address]: 'removed' }],
    ['vfio-pci', [{ driver: 'vfio-pci' }], { [NIC.address]: 'removed' }],
  ])('is matched as it was before: %s', (_what, entries, expected) => {
    const found = fates(preview(entries, [told, SERVER]));
    expect(Object.keys(found)).toEqual(Object.keys(expected));
    for (const [address, fate] of Object.entries(expected)) expect(found[address]).toMatch(new RegExp(`^${fate}`));
  });

  const unknown = (key: string) =>
    `uncertain: entry 1 (f:1) asks for a ${key}; the agent that bound the card does not tell which it had`;

  it.each<[string, object[], string | undefined]>([
    ['a driver', [{ driver: 'i40e' }], unknown('driver')],
    ['an interface', [{ devname: 'enp65s0' }], unknown('devname')],
    ['a driver, with other facts that fit', [{ driver: 'i40e', vendor_id: '8086', trusted: true }], unknown('driver')],
    ['a driver, with other facts that do not fit', [{ driver: 'i40e', vendor_id: '10de' }, {}], undefined],
    ['a driver after an entry that decides', [{ vendor_id: '8086' }, { driver: 'i40e' }], undefined],
    [
      'a driver before an entry that would',
      [{ driver: 'i40e', exclude: true }, { vendor_id: '8086' }],
      unknown('driver'),
    ],
    ['neither', [{ vendor_id: '8086' }], undefined],
    ['nothing that fits', [{ vendor_id: '10de' }], 'removed: no device_spec entry matches 8086:1572 at 0000:41:00.0'],
  ])('is uncertain when the agent did not tell how it was and an entry asks for %s', (_what, entries, expected) => {
    expect(fates(preview(entries, [BOUND, SERVER]))[NIC.address]).toBe(expected);
  });

  it('makes its VFs uncertain for an entry by interface, not for one by driver', () => {
    expect(fates(preview([{ devname: 'enp65s0' }], [BOUND, SERVER], [VF]))[VF.address]).toBe(unknown('devname'));
    expect(fates(preview([{ driver: 'iavf' }], [BOUND, SERVER], [VF]))[VF.address]).toBeUndefined();
  });

  it('is no riddle when nobody holds it: who bound it to vfio-pci was not Berth', () => {
    expect(fates(preview([{ driver: 'i40e' }], [BOUND]))[NIC.address]).toMatch(/^removed/);
    expect(fates(preview([{ driver: 'vfio-pci' }], [BOUND]))).toEqual({});
  });
});

it('says of each device what the agent would say after the change (any whitelists, any devices)', () => {
  const scans = fc.uniqueArray(anyDevice, { maxLength: 8, selector: (device) => device.address });
  const lists = fc.array(anyEntry, { maxLength: 5 });
  fc.assert(
    fc.property(scans, lists, lists, (devices, now, then) => {
      const host = hostContext(devices);
      const [specsNow, specsThen] = [parse(...now), parse(...then)];
      const scan = devices.map((device) => scanned([{ ...device, ...offerDevice(specsNow, device, host) }]));
      const found = fates(previewDeviceSpecs(specsThen, scan, { readOnly: false }));
      for (const { device } of scan) {
        const after = offerDevice(specsThen, device, host).offer;
        const fate = found[device.address]?.split(':')[0];
        if (device.offer && !after) expect(fate).toBe('removed');
        else if (!device.offer && after) expect(fate).toBe('added');
        else
          expect(fate ?? 'same').toBe(
            JSON.stringify(device.offer?.tags) === JSON.stringify(after?.tags) ? 'same' : 'changed',
          );
      }
    }),
    { numRuns: 500 },
  );
});
