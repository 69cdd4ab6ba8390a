import { BerthError } from '../errors.js';
import type { Address } from './address.js';
import { addressMatches, readAddressPattern, singleAddress } from './device-spec-address.js';
import type { AddressPattern } from './device-spec-address.js';
import * as fields from './device-spec-fields.js';
import type { Path, Where } from './device-spec-fields.js';
import { indexOf, probeOf } from './device-spec-index.js';
import type { Dialect } from './dialect.js';
import { isBridge, isVirtualFunction } from './device.js';
import type { Offer, PciDevice, Tags } from './device.js';
import {
  checkNovaDeviceSpec,
  matchNovaDeviceSpec,
  NO_NOVA_HOST,
  novaHost,
  parseNovaDeviceSpec,
} from './nova-device-spec.js';
import type { NovaDeviceSpec, NovaHost, ScannedForNova } from './nova-device-spec.js';
import { novaText } from './nova-values.js';

/** One entry of the whitelist. What is null does not matter. */
export interface DeviceSpec {
  /** Where a person finds it: `config/agent.yaml:12`. */
  readonly where: string;
  readonly vendorId: string | null;
  readonly productId: string | null;
  readonly address: AddressPattern | null;
  /** Name of a network interface; of a PF, it stands for the VFs too. */
  readonly devname: string | null;
  /** Two to six hex digits that the class code begins with. */
  readonly classPrefix: string | null;
  readonly subsystemVendorId: string | null;
  readonly subsystemProductId: string | null;
  readonly driver: string | null;
  /** Of the card; its VFs have it, too. */
  readonly serial: string | null;
  readonly iommuGroup: number | null;
  readonly numaNode: number | null;
  /** What it matches is not offered, whatever later entries say. */
  readonly exclude: boolean;
  readonly tags: Tags;
  readonly resourceClass: string | null;
  readonly traits: readonly string[];
  /** The entry as Nova reads it, in the nova dialect: then this alone decides what matches. */
  readonly nova: NovaDeviceSpec | null;
}

/** What matching has to know of the host beside the device itself. */
export interface HostContext {
  /** Interface name → address of its device, resolved once for a scan. */
  readonly devnames: ReadonlyMap<string, Address>;
  /** For entries in the nova dialect; left out: a host without network interfaces and PFs. */
  readonly nova?: NovaHost;
}

export interface DeviceSpecOptions {
  /** Names of tags that are allowed beside the known keys. */
  readonly freeTags: readonly string[];
  /** `strict` when left out. In the nova dialect every key is a tag. */
  readonly dialect?: Dialect;
}

export const DEVICE_SPECS_MAX = 10_000;
const TAGS_MAX = 64;

type Draft = { -readonly [Key in keyof Omit<DeviceSpec, 'where' | 'tags'>]: DeviceSpec[Key] } & {
  readonly tags: Map<string, string | null>;
};
type KeyReader = (draft: Draft, value: unknown) => void;

/** Every key of an entry and what it does to the entry (rules: nova.md 1.2). */
const KEYS: ReadonlyMap<string, KeyReader> = new Map<string, KeyReader>([
  ['vendor_id', (draft, value) => (draft.vendorId = fields.readHexId(value))],
  ['product_id', (draft, value) => (draft.productId = fields.readHexId(value))],
  ['address', (draft, value) => (draft.address = readAddressPattern(value))],
  ['devname', (draft, value) => (draft.devname = fields.readText(value))],
  ['class', (draft, value) => (draft.classPrefix = readClassPrefix(value))],
  ['subsystem_vendor_id', (draft, value) => (draft.subsystemVendorId = fields.readHexId(value))],
  ['subsystem_product_id', (draft, value) => (draft.subsystemProductId = fields.readHexId(value))],
  ['driver', (draft, value) => (draft.driver = fields.readText(value))],
  ['serial', (draft, value) => (draft.serial = fields.readText(value).trim())],
  ['iommu_group', (draft, value) => (draft.iommuGroup = fields.readCount(value))],
  ['numa_node', (draft, value) => (draft.numaNode = fields.readCount(value))],
  ['exclude', (draft, value) => (draft.exclude = fields.readBoolean(value))],
  ['resource_class', (draft, value) => (draft.resourceClass = fields.readResourceClass(value))],
  ['traits', (draft, value) => (draft.traits = fields.readTraits(value))],
  [
    'physical_network',
    (draft, value) => draft.tags.set('physical_network', value === null ? null : fields.readText(value)),
  ],
  ...['trusted', 'remote_managed', 'managed', 'live_migratable', 'one_time_use'].map((name): [string, KeyReader] => [
    name,
    (draft, value) => draft.tags.set(name, String(fields.readBoolean(value))),
  ]),
]);

/** Names that the configuration must not use for free tags: keys of entries, and what pools are keyed by. */
export const RESERVED_TAGS: ReadonlySet<string> = new Set([
  ...KEYS.keys(),
  ...['dev_type', 'count', 'devices', 'parent_ifname', 'rp_uuid'],
  ...['__proto__', 'constructor', 'prototype'],
]);

/**
 * Reads a whitelist value: an entry, or a list of entries. All problems are reported together.
 *
 * @param where  the place for messages; as a function, called with the way to the faulty part
 * @throws BerthError `device_spec.invalid`; `details.problems` has one text for each problem: place, key, fix
 */
export function parseDeviceSpecs(value: unknown, where: Where, options: DeviceSpecOptions): DeviceSpec[] {
  const problems: string[] = [];
  const report = (path: Path, text: string): void => {
    problems.push(`${fields.placeOf(where, path)}: ${text}`);
  };
  const specs: DeviceSpec[] = [];
  for (const [path, entry] of entriesOf(value, report)) {
    const read = options.dialect === 'nova' ? parseNovaEntry : parseEntry;
    const spec = read(entry, path, fields.placeOf(where, path), options, report);
    if (spec) specs.push(spec);
  }
  if (problems.length > 0) throw new BerthError('device_spec.invalid', problems.join('\n'), { details: { problems } });
  return specs;
}

/** Whether the entry means the device. */
export function matchDeviceSpec(spec: DeviceSpec, device: PciDevice, host: HostContext): boolean {
  if (spec.nova) return matchNovaDeviceSpec(spec.nova, device, host.nova ?? NO_NOVA_HOST);
  return (
    (spec.vendorId === null || spec.vendorId === device.vendorId) &&
    (spec.productId === null || spec.productId === device.productId) &&
    (spec.classPrefix === null || device.classCode.startsWith(spec.classPrefix)) &&
    (spec.subsystemVendorId === null || spec.subsystemVendorId === device.subsystemVendorId) &&
    (spec.subsystemProductId === null || spec.subsystemProductId === device.subsystemProductId) &&
    (spec.driver === null || spec.driver === device.driver) &&
    (spec.serial === null || spec.serial === device.serialNumber) &&
    (spec.iommuGroup === null || spec.iommuGroup === device.iommuGroup) &&
    (spec.numaNode === null || spec.numaNode === device.numaNode) &&
    placeMatches(spec, device, host) &&
    (spec.tags['remote_managed'] !== 'true' || isOfRemoteManagedCard(device))
  );
}

/** What the whitelist makes of a device: the first entry that matches decides. Exactly one of the two is null. */
export function offerDevice(
  specs: readonly DeviceSpec[],
  device: PciDevice,
  host: HostContext,
): { readonly offer: Offer; readonly notOffered: null } | { readonly offer: null; readonly notOffered: string } {
  if (isBridge(device)) return { offer: null, notOffered: 'bridges are never handed out' };
  let entry: number;
  try {
    entry = firstMatch(specs, device, host);
  } catch (error) {
    // only in the nova dialect: a domain of more than four digits, which Nova passes over
    if (!(error instanceof BerthError)) throw error;
    return { offer: null, notOffered: `Nova cannot read ${device.address}: ${error.message}` };
  }
  const spec = specs[entry];
  if (!spec) {
    const ids = `${device.vendorId}:${device.productId}`;
    return { offer: null, notOffered: `no device_spec entry matches ${ids} at ${device.address}` };
  }
  if (spec.exclude) return { offer: null, notOffered: `excluded by entry ${entry + 1} (${spec.where})` };
  if (!spec.nova && spec.tags['one_time_use'] === 'true' && isVirtualFunction(device)) {
    const notOffered = `entry ${entry + 1} (${spec.where}) says one_time_use, which a ${device.deviceType} cannot have`;
    return { offer: null, notOffered };
  }
  return {
    offer: { entry, tags: spec.tags, resourceClass: spec.resourceClass, traits: spec.traits },
    notOffered: null,
  };
}

function firstMatch(specs: readonly DeviceSpec[], device: PciDevice, host: HostContext): number {
  return indexOf(specs).first(probeOf(device, host.devnames), (spec) => matchDeviceSpec(spec, device, host));
}

/**
 * What Nova checks of entries on the host before it starts; entries of the strict dialect pass.
 *
 * @throws BerthError `device_spec.invalid`
 */
export function checkOnHost(specs: readonly DeviceSpec[], host: HostContext): void {
  for (const { nova } of specs) if (nova) checkNovaDeviceSpec(nova, host.nova ?? NO_NOVA_HOST);
}

/**
 * The context of a scan: whose interface has which name.
 *
 * @param remembered  names resolved by earlier scans: a device bound to vfio-pci has lost its interface, not its entry
 */
export function hostContext(
  devices: readonly ScannedForNova[],
  remembered: ReadonlyMap<string, Address> = new Map(),
): HostContext {
  const devnames = new Map(remembered);
  for (const device of devices) for (const name of device.netdevs) devnames.set(name, device.address);
  return { devnames, nova: novaHost(devices, devnames) };
}

function* entriesOf(value: unknown, report: (path: Path, text: string) => void): Generator<[Path, unknown]> {
  if (!Array.isArray(value)) return yield [[], value];
  if (value.length > DEVICE_SPECS_MAX) {
    return report([], `device_spec: ${value.length} entries; at most ${DEVICE_SPECS_MAX}`);
  }
  for (const [index, entry] of value.entries()) yield [[index], entry];
}

function parseEntry(
  entry: unknown,
  path: Path,
  where: string,
  options: DeviceSpecOptions,
  report: (path: Path, text: string) => void,
): DeviceSpec | null {
  if (!fields.isObject(entry)) {
    report(path, `device_spec: an entry has to be an object like {"vendor_id": "8086"}, not ${fields.kindOf(entry)}`);
    return null;
  }
  const draft = emptyDraft();
  let sound = true;
  for (const [key, read] of readersOf(entry, options)) {
    try {
      read(draft, entry[key]);
    } catch (error) {
      if (!(error instanceof fields.FieldProblem)) throw error;
      sound = false;
      const way = [key, ...error.path];
      report([...path, ...way], `${fields.clip(way.join('.'))}: ${error.message}`);
    }
  }
  const contradiction = contradictionOf(entry, draft);
  if (contradiction !== null) report(path, contradiction);
  return sound && contradiction === null ? finished(draft, where, Object.fromEntries(draft.tags)) : null;
}

function parseNovaEntry(
  entry: unknown,
  path: Path,
  where: string,
  _options: DeviceSpecOptions,
  report: (path: Path, text: string) => void,
): DeviceSpec | null {
  try {
    const nova = parseNovaDeviceSpec(entry);
    assertTagsFit(nova);
    const { vendorId, productId, address, devname } = nova;
    const tags = Object.entries(nova.tags).map(
      ([key, value]) => [key, value === null ? null : novaText(value)] as const,
    );
    const draft = { ...emptyDraft(), vendorId, productId, address, devname, nova };
    return finished(draft, where, Object.fromEntries(tags));
  } catch (error) {
    if (!(error instanceof BerthError)) throw error;
    const exception = error.details['exception'];
    report(path, typeof exception === 'string' ? `${error.message} (${exception})` : error.message);
    return null;
  }
}

/** Tags travel in messages, which have limits that Nova has not. */
function assertTagsFit({ tags }: NovaDeviceSpec): void {
  const names = Object.keys(tags);
  if (names.length > TAGS_MAX) {
    throw new BerthError('device_spec.invalid', `${names.length} tags in one entry; at most ${TAGS_MAX}`);
  }
  const long = names.find((name) => Math.max(name.length, novaText(tags[name]).length) > fields.TEXT_LENGTH_MAX);
  if (long === undefined) return;
  const message = `${fields.clip(long)}: name and value of a tag have at most ${fields.TEXT_LENGTH_MAX} characters`;
  throw new BerthError('device_spec.invalid', message);
}

/** Written out: entries of one shape are compared many times faster than copies of objects that grew field by field. */
function finished(draft: Omit<DeviceSpec, 'where' | 'tags'>, where: string, tags: Tags): DeviceSpec {
  return {
    where,
    vendorId: draft.vendorId,
    productId: draft.productId,
    address: draft.address,
    devname: draft.devname,
    classPrefix: draft.classPrefix,
    subsystemVendorId: draft.subsystemVendorId,
    subsystemProductId: draft.subsystemProductId,
    driver: draft.driver,
    serial: draft.serial,
    iommuGroup: draft.iommuGroup,
    numaNode: draft.numaNode,
    exclude: draft.exclude,
    tags,
    resourceClass: draft.resourceClass,
    traits: draft.traits,
    nova: draft.nova,
  };
}

function emptyDraft(): Draft {
  return {
    vendorId: null,
    productId: null,
    address: null,
    devname: null,
    classPrefix: null,
    subsystemVendorId: null,
    subsystemProductId: null,
    driver: null,
    serial: null,
    iommuGroup: null,
    numaNode: null,
    exclude: false,
    tags: new Map(),
    resourceClass: null,
    traits: [],
    nova: null,
  };
}

function readersOf(entry: Record<string, unknown>, options: DeviceSpecOptions): [string, KeyReader][] {
  const readers: [string, KeyReader][] = [];
  // More keys than there can be tags would all be unknown: the first ones tell enough.
  for (const key of Object.keys(entry).slice(0, KEYS.size + TAGS_MAX + 1)) {
    readers.push([key, KEYS.get(key) ?? freeTagReader(key, options.freeTags)]);
  }
  return readers;
}

function freeTagReader(key: string, freeTags: readonly string[]): KeyReader {
  if (!freeTags.includes(key) || RESERVED_TAGS.has(key)) {
    return () => {
      const hint = fields.unknownKey(key, [...KEYS.keys(), ...freeTags]);
      throw new fields.FieldProblem(`${hint} (a tag of your own has to be declared in pci.free_tags)`);
    };
  }
  return (draft, value) => draft.tags.set(key, readFreeTag(value));
}

function readFreeTag(value: unknown): string | null {
  if (value === null || typeof value === 'boolean') return value === null ? null : String(value);
  return fields.readText(value);
}

function contradictionOf(entry: Record<string, unknown>, draft: Draft): string | null {
  if (Object.hasOwn(entry, 'address') && Object.hasOwn(entry, 'devname')) {
    return 'devname: an entry has either an address or a devname; remove one of them';
  }
  if (draft.tags.size > TAGS_MAX) return `device_spec: ${draft.tags.size} tags in one entry; at most ${TAGS_MAX}`;
  if (draft.exclude && (draft.tags.size > 0 || draft.resourceClass !== null || draft.traits.length > 0)) {
    return 'exclude: what is excluded has no tags, resource_class or traits; remove them, or the exclude';
  }
  return null;
}

function readClassPrefix(value: unknown): string {
  const text = fields.readText(value);
  const digits = /^(?:0x)?((?:[0-9a-f]{2}){1,3})$/i.exec(text)?.[1];
  if (digits === undefined)
    throw new fields.FieldProblem(`"${fields.clip(text)}" is not 2, 4 or 6 hex digits, like "0300"`);
  return digits.toLowerCase();
}

function placeMatches(spec: DeviceSpec, device: PciDevice, host: HostContext): boolean {
  if (spec.devname !== null) return coveredBy(host.devnames.get(spec.devname) ?? null, device);
  if (spec.address === null) return true;
  return addressMatches(spec.address, device.address) || coveredBy(singleAddress(spec.address), device);
}

/** One address stands for its device and, when that is a PF, for the VFs (rule: nova.md 1.5). */
function coveredBy(address: Address | null, device: PciDevice): boolean {
  return address !== null && (device.address === address || device.parentAddress === address);
}

/** A VF of a card that tells a serial number, by which the card's own controller is found (rule: nova.md 1.7, 1.8). */
function isOfRemoteManagedCard(device: PciDevice): boolean {
  return isVirtualFunction(device) && device.serialNumber !== null && device.serialNumber.trim() !== '';
}
