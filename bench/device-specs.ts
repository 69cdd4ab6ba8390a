import { coverDeviceSpecs, unreachableEntries } from '../src/pci/device-spec/device-spec-coverage.js';
import { hostContext, offerDevice, type DeviceSpec } from '../src/pci/device-spec/device-spec.js';
import { parseDeviceSpecs } from '../src/pci/device-spec/device-spec-reader.js';
import type { PciDevice } from '../src/pci/device.js';
import { figure, say, sayTable } from './print.js';
import { median } from './statistics.js';

/** Entries × devices; each is compared with the one before it. */
const SIZES = [
  [100, 100],
  [300, 300],
  [1_000, 1_000],
  [1_000, 10_000],
] as const;
const ROUNDS = 9;
const WARM_UPS = 3;

/** Whitelists of so many entries, none of which means all devices. */
const WHITELISTS: readonly (readonly [string, (entry: number, entries: number) => object])[] = [
  ['ids', (entry) => ({ vendor_id: '10de', product_id: hex(entry, 4) })],
  ['one address each', (entry) => ({ address: addressOf(entry) })],
  ['address regexes', (entry) => ({ address: regexesOf(entry) })],
  ['class and NUMA node, by which nothing is looked up', (entry) => ({ class: '0302', numa_node: entry + 2 })],
  ['a mix of all', (entry, entries) => (WHITELISTS[entry % 4]?.[1] ?? (() => ({})))(entry, entries)],
];

/** The whitelist of a large host: what one scan spends on it. */
export function measureDeviceSpecs(): void {
  say(
    'Whitelist: each device is held against the entries until one matches (offerDevice), the whitelist freshly read.',
  );
  say(
    `Medians of ${ROUNDS} rounds. growth: time against the line before, by the growth of pairs; 1.00 is linear, less is`,
  );
  say('better. coverage: all matches of all entries. never: the search for entries that can never decide.');
  say();
  for (const [name, entryAt] of WHITELISTS) {
    say(`${name}:`);
    sayTable(['entries × devices', 'CPU ms', 'ns/pair', 'growth', 'coverage ms', 'never ms'], rowsOf(entryAt));
    say();
  }
}

function rowsOf(entryAt: (entry: number, entries: number) => object): string[][] {
  let before: { readonly ms: number; readonly pairs: number } | null = null;
  return SIZES.map(([entries, devices]) => {
    const written = Array.from({ length: entries }, (_, entry) => entryAt(entry, entries));
    const found = Array.from({ length: devices }, (_, device) => deviceAt(device));
    for (let run = 0; run < WARM_UPS; run++) measureOffers(written, found); // the first runs are the compiler's
    const ms = medianOf(() => measureOffers(written, found));
    const pairs = entries * devices;
    const growth = before ? ms / before.ms / (pairs / before.pairs) : null;
    before = { ms, pairs };
    const coverage = medianOf(() => timed(parse(written), (specs) => coverDeviceSpecs(specs, found)));
    const never = medianOf(() => timed(parse(written), unreachableEntries));
    return [
      `${entries} × ${devices}`,
      figure(ms),
      figure((ms * 1e6) / pairs),
      growth === null ? '' : figure(growth),
      figure(coverage),
      figure(never),
    ];
  });
}

function measureOffers(written: readonly object[], devices: readonly PciDevice[]): number {
  return timed(parse(written), (specs) => {
    const host = hostContext(devices);
    return devices.filter((device) => offerDevice(specs, device, host).offer !== null).length;
  });
}

/** Frozen, as the settings are; new objects, so that nothing is known of them from a round before. */
function parse(written: readonly object[]): readonly DeviceSpec[] {
  return Object.freeze(parseDeviceSpecs(written, 'bench', { freeTags: [] }));
}

function deviceAt(device: number): PciDevice {
  return {
    address: addressOf(device),
    vendorId: '10de',
    productId: hex(device, 4),
    classCode: '030200',
    subsystemVendorId: '10de',
    subsystemProductId: '1214',
    revision: 'a1',
    serialNumber: null,
    deviceType: 'type-PCI',
    parentAddress: null,
    numaNode: device % 2,
    driver: 'nvidia',
    iommuGroup: device,
    sriov: null,
    netdevs: [],
    pciePath: [],
    acsRedirect: null,
    link: null,
    resetMethods: [],
  };
}

/** 32 slots of 8 functions a bus, 256 buses a domain. */
function addressOf(device: number): string {
  const [fn, slot, bus, domain] = [device & 7, (device >> 3) & 31, (device >> 8) & 255, device >> 16];
  return `${hex(domain, 4)}:${hex(bus, 2)}:${hex(slot, 2)}.${fn}`;
}

function regexesOf(entry: number): object {
  const [domain, rest] = addressOf(entry).split(/:(.*)/) as [string, string];
  const [bus, slot, fn] = rest.split(/[:.]/) as [string, string, string];
  return { domain: `${domain}|ffff`, bus: `${bus[0]}[${bus[1]}]`, slot: `(${slot}|1f)`, function: `[${fn}]` };
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}

function medianOf(measure: () => number): number {
  return median(Array.from({ length: ROUNDS }, measure));
}

/** Milliseconds of computing: what other programs of the machine do does not count. */
function timed(specs: readonly DeviceSpec[], work: (specs: readonly DeviceSpec[]) => unknown): number {
  const start = process.cpuUsage();
  work(specs);
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1000;
}
