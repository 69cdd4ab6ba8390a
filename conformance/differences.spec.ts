import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import { describe, expect, it } from 'vitest';
import { readExtraSpecs } from '../src/api/flavors/extra-specs.js';
import { BerthError } from '../src/errors.js';
import { parseAliasesAs, parseAliasRequestAs } from '../src/pci/dialect-readers.js';
import { DIALECTS, type Dialect } from '../src/pci/dialect.js';
import { checkOnHost, hostContext, offerDevice } from '../src/pci/device-spec/device-spec.js';
import { parseDeviceSpecs } from '../src/pci/device-spec/device-spec-reader.js';
import { transition, type DeviceEvent, type DeviceState, type DeviceStatus } from '../src/pci/device-state.js';
import type { PciDevice } from '../src/pci/device.js';
import { portSpec } from '../src/pci/alias/port.js';
import { place } from '../src/placement/place.js';
import type { DeviceRequest, PlacementRequest } from '../src/placement/request.js';
import { aHost, aRequest, POLICY, wants, type DeviceSketch } from '../test/support/snapshots.js';

const PF = '0000:05:00.0';
const GPU: PciDevice = {
  address: '0000:8a:00.0',
  ...{ vendorId: '10de', productId: '1bb0', classCode: '030000', subsystemVendorId: null, subsystemProductId: null },
  ...{ revision: null, deviceType: 'type-PCI', parentAddress: null, numaNode: 0, driver: null, serialNumber: null },
  ...{ iommuGroup: 1, sriov: null, netdevs: [], pciePath: [], acsRedirect: null, link: null, resetMethods: [] },
};
const NIC: PciDevice = {
  ...GPU,
  ...{ address: PF, vendorId: '8086', productId: '10fb', deviceType: 'type-PF', classCode: '020000' },
  ...{ sriov: { totalVfs: 8, numVfs: 1 }, netdevs: ['eth0'], serialNumber: 'MT1' },
};
const VF: PciDevice = {
  ...NIC,
  ...{ address: '0000:05:10.0', productId: '10ed', deviceType: 'type-VF', parentAddress: PF, sriov: null, netdevs: [] },
};
const HOST = hostContext([GPU, NIC, VF]);

/** What a whitelist of one entry makes of a device: its tags, `no`, or `refused`. */
function whitelist(dialect: Dialect, entry: unknown, device: PciDevice, freeTags: readonly string[] = []): unknown {
  return orRefused(() => {
    const specs = parseDeviceSpecs([entry], 'list', { freeTags, dialect });
    checkOnHost(specs, HOST);
    return offerDevice(specs, device, HOST).offer?.tags ?? 'no';
  });
}

function aliases(dialect: Dialect, ...values: unknown[]): unknown {
  const entries = values.map((value) => ({ value, where: 'line', requireDeviceType: false }));
  return orRefused(() => parseAliasesAs(dialect, entries).map(({ name, specs }) => `${name}: ${specs.length}`));
}

function request(dialect: Dialect, text: string): unknown {
  return orRefused(() => parseAliasRequestAs(dialect, text).map(({ alias, count }) => `${alias}:${count}`));
}

/** The addresses that a server gets on a host, or `rejected`. */
function placed(
  dialect: Dialect,
  devices: readonly DeviceSketch[],
  requests: readonly DeviceRequest[],
  more: Partial<PlacementRequest> = {},
): unknown {
  const snapshot = { hosts: [aHost('h', devices)], policy: { ...POLICY, compat: dialect } };
  const decision = place(snapshot, aRequest(requests, more), []);
  return decision.outcome === 'placed' ? decision.devices.map(({ address }) => address) : 'rejected';
}

function orRefused(act: () => unknown): unknown {
  try {
    return act();
  } catch (error) {
    if (error instanceof BerthError) return 'refused';
    throw error;
  }
}

const SIBLING = '0000:05:10.0';
const LAST = '0000:05:10.2';

/** A PF and two VFs in these statuses; what is in use belongs to server s. What becomes of one of them, or `refused`. */
function family(
  dialect: Dialect,
  statuses: readonly [DeviceStatus, DeviceStatus, DeviceStatus],
  event: DeviceEvent,
  address: string,
  shown: string,
): unknown {
  const devices = [PF, SIBLING, LAST].map((at, index): [string, DeviceState] => {
    const status = statuses[index] ?? 'available';
    const ownerId = status === 'claimed' || status === 'allocated' ? 's' : null;
    const isPf = at === PF;
    return [
      at,
      { address: at, status, ownerId, deviceType: isPf ? 'type-PF' : 'type-VF', parentAddress: isPf ? null : PF },
    ];
  });
  const before = new Map(devices);
  const owner = event === 'remove' ? null : 's';
  return orRefused(() => {
    const after = transition(before, event, address, owner, dialect);
    return (after.find((state) => state.address === shown) ?? before.get(shown))?.status;
  });
}

const AT = (address: string, more: Partial<DeviceSketch> = {}): DeviceSketch => ({ address, ...more });
const CELL = { guestCells: [{ vcpus: 1, memoryMb: 512 }] };
const FAMILY: readonly DeviceSketch[] = [
  AT(PF, { ids: '8086:10fb', deviceType: 'type-PF' }),
  AT('0000:05:10.0', { ids: '8086:10ed', deviceType: 'type-VF', parentAddress: PF }),
];

type Row = [id: string, what: string, ask: (dialect: Dialect) => unknown, strict: unknown, nova: unknown];

const IDS = { vendor_id: '10de', product_id: '1bb0' };
const ALIAS = { name: 'gpu', ...IDS, device_type: 'type-PCI' };
const ON_PF = { address: PF, product_id: '10ed', remote_managed: true };
const gpu = (count: number, more: Parameters<typeof wants>[3] = {}): DeviceRequest =>
  wants('gpu', count, '10de:1bb0', more);

/** Each difference under the id that docs/compatibility.md tells it by: what strict answers, and what nova answers. */
const DIFFERENCES: readonly Row[] = [
  ['W1', 'a key that is not known', (d) => whitelist(d, { vender_id: '8086' }, GPU), 'refused', { vender_id: '8086' }],
  ['W2', 'a tag of your own', (d) => whitelist(d, { ...IDS, rack: 'a' }, GPU, ['rack']), { rack: 'a' }, { rack: 'a' }],
  ['W2', 'not declared', (d) => whitelist(d, { ...IDS, rack: 'a' }, GPU), 'refused', { rack: 'a' }],
  ['W3', 'a regex that matches the beginning', (d) => whitelist(d, { address: { bus: '8.?.?' } }, GPU), {}, {}],
  ['W3', 'and no more', (d) => whitelist(d, { address: { bus: '8|9' } }, GPU), 'no', {}],
  ['W4', 'a regex in capitals', (d) => whitelist(d, { address: { bus: '[8]A' } }, GPU), {}, 'no'],
  ['W5', 'another key in an address', (d) => whitelist(d, { address: { buss: 'ff' } }, GPU), 'refused', {}],
  ['W6', 'an id with a sign', (d) => whitelist(d, { vendor_id: '+10de' }, GPU), 'refused', {}],
  ['W6', 'an id with an underscore', (d) => whitelist(d, { vendor_id: '10_de' }, GPU), 'refused', {}],
  ['W6', 'an id in blanks', (d) => whitelist(d, { vendor_id: ' 10de ' }, GPU), 'refused', {}],
  ['W7', 'an empty devname', (d) => whitelist(d, { devname: '' }, GPU), 'refused', {}],
  ['W7', 'an empty devname beside an address', (d) => whitelist(d, { address: '*', devname: '' }, GPU), 'refused', {}],
  ['W8', 'a 32-bit domain', (d) => whitelist(d, IDS, { ...GPU, address: '10000:01:00.0' }), {}, 'no'],
  ['W9', 'remote_managed by PF address', (d) => whitelist(d, ON_PF, VF), managed('true'), 'refused'],
  ['W10', 'remote_managed and a device without VFs', (d) => whitelist(d, { ...IDS, remote_managed: true }, { ...GPU, serialNumber: 'S' }), 'no', managed('True')], // prettier-ignore
  ['W11', 'a word that is neither yes nor no', (d) => whitelist(d, { remote_managed: 'banana' }, GPU), 'refused', managed('banana')], // prettier-ignore
  ['W12', 'yes, on and true', (d) => whitelist(d, { ...IDS, trusted: 'yes' }, GPU), { trusted: 'true' }, { trusted: 'yes' }], // prettier-ignore
  ['W12', 'true without quotes', (d) => whitelist(d, { ...IDS, trusted: true }, GPU), { trusted: 'true' }, { trusted: 'True' }], // prettier-ignore
  ['W13', 'exclude', (d) => whitelist(d, { ...IDS, exclude: true }, GPU), 'no', { exclude: 'True' }],
  ['W13', 'a key to match by', (d) => whitelist(d, { class: '02' }, GPU), 'no', { class: '02' }],
  ['W14', 'traits and resource class', (d) => whitelist(d, { ...IDS, traits: 'A', resource_class: 'B' }, GPU), {}, { traits: 'A', resource_class: 'B' }], // prettier-ignore
  ['W15', 'one_time_use of a VF', (d) => whitelist(d, { address: PF, one_time_use: true }, VF), 'no', { one_time_use: 'True' }], // prettier-ignore

  ['A1', 'an alias without ids', (d) => aliases(d, { name: 'any' }), 'refused', ['any: 1']],
  ['A2', 'lines of one name without device type', (d) => aliases(d, { name: 'gpu', ...IDS }, { name: 'gpu', ...IDS }), ['gpu: 2'], 'refused'], // prettier-ignore
  ['A3', 'an id with a line feed', (d) => aliases(d, { ...ALIAS, vendor_id: '10de\n' }), 'refused', ['gpu: 1']],
  ['A4', 'a name that nobody can ask for', (d) => aliases(d, { ...ALIAS, name: 'a:b' }), 'refused', ['a:b: 1']],
  ['A4', 'a name of blanks', (d) => aliases(d, { ...ALIAS, name: '  ' }), 'refused', [': 1']],
  ['A5', 'traits', (d) => aliases(d, { ...ALIAS, traits: ['A'] }), ['gpu: 1'], 'refused'],
  ['A6', 'capability_type', capability, ['0000:81:00.0'], 'rejected'],

  ['R1', 'a count of 0', (d) => request(d, 'gpu:0'), 'refused', ['gpu:0']],
  ['R1', 'a count below 0', (d) => request(d, 'gpu:-1'), 'refused', ['gpu:0']],
  ['R2', 'a count with a sign', (d) => request(d, 'gpu:+1'), 'refused', ['gpu:1']],
  ['R2', 'a count with an underscore', (d) => request(d, 'gpu:1_0'), 'refused', ['gpu:10']],
  ['R3', 'an empty policy of the flavor', flavorPolicy, 'refused', 'legacy'],
  ['R4', 'an untagged VF for a port on an overlay network', overlay, 'rejected', ['0000:05:10.0']],

  ['C1', 'which of equal devices', (d) => placed(d, [AT('0000:81:00.0'), AT('0000:82:00.0')], [gpu(1)]), ['0000:81:00.0'], ['0000:82:00.0']], // prettier-ignore
  ['C2', 'required without guest NUMA', (d) => placed(d, TWO_NODES, [gpu(2, { numaPolicy: 'required' })]), 'rejected', ['0000:81:00.0', '0000:82:00.0']], // prettier-ignore
  ['C3', 'a policy for each device', (d) => placed(d, NEAR_AND_UNKNOWN, [gpu(2)], CELL), ['0000:81:00.0', '0000:83:00.0'], ['0000:82:00.0', '0000:81:00.0']], // prettier-ignore
  ['C4', 'types before affinity', typesBeforeAffinity, ['0000:83:00.0', '0000:84:00.0'], 'rejected'],
  ['C5', 'requests in an unlucky order', unluckyOrder, ['0000:82:00.0', '0000:81:00.0'], 'rejected'],

  ['S1', 'a PF that was removed, when its last VF is freed', (d) => family(d, ['removed', 'available', 'claimed'], 'free', LAST, PF), 'removed', 'available'], // prettier-ignore
  ['S2', 'a PF whose other VF was removed, when the last is freed', (d) => family(d, ['unclaimable', 'removed', 'claimed'], 'free', LAST, PF), 'available', 'unclaimable'], // prettier-ignore
  ['S3', 'a PF one of whose VFs was removed', (d) => family(d, ['available', 'removed', 'available'], 'claim', PF, PF), 'claimed', 'refused'], // prettier-ignore
  ['S4', 'a PF of which one VF stays allocated, when a claim is given back', (d) => family(d, ['unavailable', 'claimed', 'claimed'], 'free', LAST, PF), 'unclaimable', 'unavailable'], // prettier-ignore
];

function managed(text: string): object {
  return { remote_managed: text };
}

function flavorPolicy(dialect: Dialect): unknown {
  const empty = { 'hw:pci_numa_affinity_policy': '' };
  return orRefused(() => readExtraSpecs(empty, { vcpus: 1, ramMb: 512 }, dialect).numaPolicy ?? 'legacy');
}

function capability(dialect: Dialect): unknown {
  const entry = { value: { ...ALIAS, capability_type: 'pci' }, where: 'line' };
  const [alias] = parseAliasesAs(dialect, [entry]);
  const asked = { alias: 'gpu', count: 1, specs: alias?.specs ?? [], numaPolicy: 'legacy' as const };
  return placed(dialect, [AT('0000:81:00.0')], [asked]);
}

function overlay(dialect: Dialect): unknown {
  const spec = portSpec({ vnicType: 'direct', physicalNetwork: null, trusted: null }, dialect);
  return placed(dialect, FAMILY, [{ alias: null, count: 1, specs: [spec], numaPolicy: 'legacy' }]);
}

const TWO_NODES = [AT('0000:81:00.0', { numaNode: 0 }), AT('0000:82:00.0', { numaNode: 1 })];
/** One device is near, two do not say where they are. */
const NEAR_AND_UNKNOWN = [
  AT('0000:81:00.0', { numaNode: null }),
  AT('0000:82:00.0', { numaNode: null }),
  AT('0000:83:00.0', { numaNode: 0 }),
];

/** Two PFs are near and could do, were they not PFs; two plain devices are far. */
function typesBeforeAffinity(dialect: Dialect): unknown {
  const near = { numaNode: 0, deviceType: 'type-PF' } as const;
  const devices = [
    ...[AT('0000:81:00.0', near), AT('0000:82:00.0', near)],
    ...[AT('0000:83:00.0', { numaNode: 1 }), AT('0000:84:00.0', { numaNode: 1 })],
  ];
  const wish = gpu(2, { deviceType: null, numaPolicy: 'preferred' });
  const oneCell = { numaCells: [{ id: 0, cpus: 8, memoryMb: 4096, socket: 0 }] };
  const snapshot = { hosts: [aHost('h', devices, oneCell)], policy: { ...POLICY, compat: dialect } };
  const decision = place(snapshot, aRequest([wish], CELL), []);
  return decision.outcome === 'placed' ? decision.devices.map(({ address }) => address) : 'rejected';
}

/** The first request can have either device, the second only the one that the first is given. */
function unluckyOrder(dialect: Dialect): unknown {
  const devices = [AT('0000:81:00.0', { ids: '10de:1db6' }), AT('0000:82:00.0', { ids: '10de:1bb0' })];
  const either = wants('any', 1, '10de:1bb0');
  const specs = [...either.specs, ...wants('any', 1, '10de:1db6').specs];
  return placed(dialect, devices, [{ ...either, specs }, wants('v100', 1, '10de:1db6')]);
}

describe('differences between strict and nova', () => {
  it.each(DIFFERENCES)('%s %s', (_id, _what, ask, strict, nova) => {
    expect(ask('strict')).toEqual(strict);
    expect(ask('nova')).toEqual(nova);
  });

  it('are differences', () => {
    const alike = DIFFERENCES.filter(([id]) =>
      DIFFERENCES.filter(([other]) => other === id).every(([, , ask]) => isDeepStrictEqual(ask('strict'), ask('nova'))),
    );
    expect(alike).toEqual([]);
  });

  it('do not concern PFs: who does not ask for one is never given one', () => {
    const untyped = wants('nic', 1, '8086:10fb', { deviceType: null });
    for (const dialect of DIALECTS) expect(placed(dialect, FAMILY, [untyped])).toBe('rejected');
  });

  it('are all told in docs/compatibility.md, and no others', () => {
    const text = readFileSync(fileURLToPath(new URL('../docs/compatibility.md', import.meta.url)), 'utf8');
    const told = [...text.matchAll(/^\| ([A-Z]\d+) +\|/gm)].map(([, id]) => id);
    expect(told).toEqual([...new Set(DIFFERENCES.map(([id]) => id))]);
  });
});
