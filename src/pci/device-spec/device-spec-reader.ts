import { BerthError } from '../../errors.js';
import { DRIVER_NAME, HANDOVER_KEY, HANDOVERS } from '../binding-mode.js';
import { readAddressPattern, singleAddress } from './device-spec-address.js';
import * as fields from './device-spec-fields.js';
import type { Path, Where } from './device-spec-fields.js';
import { OVERRIDE_KEY, type DeviceSpec } from './device-spec.js';
import type { Tags } from '../device.js';
import type { Dialect } from '../dialect.js';
import { parseNovaDeviceSpec } from '../nova/nova-device-spec.js';
import type { NovaDeviceSpec } from '../nova/nova-device-spec.js';
import { novaText } from '../nova/nova-values.js';

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

/** Every key of an entry and what it does to the entry (rules: Nova's `nova/pci/devspec.py`). */
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
  [OVERRIDE_KEY, (draft, value) => (draft.overrideProtection = fields.readBoolean(value))],
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
  ['vfio_driver', (draft, value) => draft.tags.set('vfio_driver', readDriverName(value))],
  [HANDOVER_KEY, (draft, value) => draft.tags.set(HANDOVER_KEY, readHandover(value))],
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
    overrideProtection: draft.overrideProtection,
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
    overrideProtection: false,
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
  if (draft.exclude && draft.overrideProtection) {
    return `${OVERRIDE_KEY}: what is excluded is not offered anyway; remove one of them`;
  }
  const ofVfio = ['managed', 'vfio_driver'].find((key) => draft.tags.has(key));
  if (draft.tags.get(HANDOVER_KEY) === 'netdev' && ofVfio !== undefined) {
    return `${ofVfio}: a device with ${HANDOVER_KEY}: netdev stays with its own driver; remove one of them`;
  }
  if (draft.overrideProtection && (draft.address === null || singleAddress(draft.address) === null)) {
    return `${OVERRIDE_KEY}: is for one device only; give its whole address in the entry, like "0000:81:00.0"`;
  }
  return null;
}

function readHandover(value: unknown): string {
  const text = fields.readText(value).trim().toLowerCase();
  if (HANDOVERS.some((known) => known === text)) return text;
  throw new fields.FieldProblem(`"${fields.clip(text)}" is neither vfio nor netdev`);
}

/** The agent has it loaded and writes it into sysfs. */
function readDriverName(value: unknown): string {
  const text = fields.readText(value);
  if (DRIVER_NAME.test(text)) return text;
  throw new fields.FieldProblem(`"${fields.clip(text)}" is not the name of a driver, like "mlx5_vfio_pci"`);
}

function readClassPrefix(value: unknown): string {
  const text = fields.readText(value);
  const digits = /^(?:0x)?((?:[0-9a-f]{2}){1,3})$/i.exec(text)?.[1];
  if (digits === undefined)
    throw new fields.FieldProblem(`"${fields.clip(text)}" is not 2, 4 or 6 hex digits, like "0300"`);
  return digits.toLowerCase();
}
