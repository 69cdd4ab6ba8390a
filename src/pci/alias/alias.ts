import { BerthError } from '../../errors.js';
import * as readers from './alias-fields.js';
import type { AliasGroup } from './alias-fields.js';
import * as fields from '../device-spec/device-spec-fields.js';
import type { Where } from '../device-spec/device-spec-fields.js';
import type { DeviceType, Tags } from '../device.js';
import { readNumaPolicy, type NumaPolicy } from './numa-policy.js';
import { readSelector } from './selector.js';

/** One line of an alias: a device has to satisfy all of it. */
export interface AliasSpec {
  readonly vendorId: string | null;
  readonly productId: string | null;
  /** null, only from nova.conf and zun.conf files: type-PCI or type-VF, as Nova has it. */
  readonly deviceType: DeviceType | null;
  readonly resourceClass: string | null;
  /** All of them are wanted. */
  readonly traits: readonly string[];
  /** None of them may be there. */
  readonly forbiddenTraits: readonly string[];
  /** Of each list one at least is wanted. */
  readonly anyTraits: readonly (readonly string[])[];
  /** null: does not matter. */
  readonly liveMigratable: boolean | null;
  /** Tags that the device has to have with these values; a tag with null has to be there and be null. */
  readonly tags: Tags;
  /** Tags that the device must not have: exclusive ones that this spec does not name. */
  readonly withoutTags: readonly string[];
  /** A CEL expression over the device's attributes that has to be true; null: none. */
  readonly selector: string | null;
  /** How good this alternative is beside the others of the alias: the highest that can be had is taken. */
  readonly utility: number;
  /** What is taken along with the device: the other functions of its slot, or of its card; null: nothing. */
  readonly group: AliasGroup | null;
}

/** The spec that takes any device: what others are made from. */
export const ANY_DEVICE: AliasSpec = {
  vendorId: null,
  productId: null,
  deviceType: null,
  resourceClass: null,
  traits: [],
  forbiddenTraits: [],
  anyTraits: [],
  liveMigratable: null,
  tags: {},
  withoutTags: [],
  selector: null,
  utility: 0,
  group: null,
};

/** A request-side name for "a device like this": any of its specs will do. */
export interface AliasDefinition {
  readonly name: string;
  readonly numaPolicy: NumaPolicy;
  readonly specs: readonly AliasSpec[];
}

/** One line that defines an alias, or a part of one. */
export interface AliasEntry {
  readonly value: unknown;
  readonly where: Where;
  /** Whether `device_type` has to be said; as the options say when left out. */
  readonly requireDeviceType?: boolean;
}

export const ALIAS_ENTRIES_MAX = 10_000;

type Draft = { -readonly [Key in keyof AliasSpec]: AliasSpec[Key] } & { name: string; numaPolicy: NumaPolicy };

/** An entry that has been read, with its place for messages about others of its name. */
interface ReadEntry {
  readonly name: string;
  readonly numaPolicy: NumaPolicy;
  readonly spec: AliasSpec;
  readonly where: string;
}

/** Every key of an alias and what it does to it; there are no others (rules: Nova's `nova/pci/request.py`). */
const KEYS: ReadonlyMap<string, (draft: Draft, value: unknown) => void> = new Map<
  string,
  (draft: Draft, value: unknown) => void
>([
  ['name', (draft, value) => (draft.name = readers.readName(value))],
  ['vendor_id', (draft, value) => (draft.vendorId = readers.readId(value))],
  ['product_id', (draft, value) => (draft.productId = readers.readId(value))],
  ['device_type', (draft, value) => (draft.deviceType = readers.readDeviceType(value))],
  ['numa_policy', (draft, value) => (draft.numaPolicy = readNumaPolicy(value))],
  ['resource_class', (draft, value) => (draft.resourceClass = fields.readResourceClass(value))],
  ['traits', (draft, value) => Object.assign(draft, readers.readTraitWishes(value))],
  ['live_migratable', (draft, value) => (draft.liveMigratable = fields.readBoolean(value))],
  ['tags', (draft, value) => addTags(draft, readers.readTags(value))],
  ['physical_network', (draft, value) => addTags(draft, { physical_network: readers.readPhysicalNetwork(value) })],
  ['selector', (draft, value) => (draft.selector = readSelector(value))],
  ['utility', (draft, value) => (draft.utility = readers.readUtility(value))],
  ['group', (draft, value) => (draft.group = readers.readGroup(value))],
  ['capability_type', (_, value) => readers.readCapabilityType(value)],
]);

/**
 * Reads alias entries; those of one name are alternatives of one alias (rule: the same). All problems of all entries
 * are reported together.
 *
 * @throws BerthError `alias.invalid`; `details.problems` has one text for each problem: place, alias, key, fix
 */
export function parseAliases(
  entries: readonly AliasEntry[],
  options: { readonly requireDeviceType: boolean } = { requireDeviceType: true },
): AliasDefinition[] {
  const problems: string[] = [];
  if (entries.length > ALIAS_ENTRIES_MAX)
    problems.push(`alias: ${entries.length} entries; at most ${ALIAS_ENTRIES_MAX}`);
  const byName = new Map<string, [ReadEntry, ...ReadEntry[]]>();
  for (const entry of entries.slice(0, ALIAS_ENTRIES_MAX)) {
    const read = readEntry(entry, entry.requireDeviceType ?? options.requireDeviceType, problems);
    if (!read) continue;
    const earlier = byName.get(read.name);
    if (earlier) earlier.push(read);
    else byName.set(read.name, [read]);
    if (earlier) problems.push(...conflictsOf(earlier[0], read));
  }
  if (problems.length > 0) throw new BerthError('alias.invalid', problems.join('\n'), { details: { problems } });
  return [...byName.values()].map((read) => ({
    name: read[0].name,
    numaPolicy: read[0].numaPolicy,
    specs: read.map(({ spec }) => spec),
  }));
}

/** The specs, each without devices that have an exclusive tag which it does not name. */
export function withExclusiveTags(specs: readonly AliasSpec[], exclusiveTags: readonly string[]): AliasSpec[] {
  return specs.map((spec) => ({
    ...spec,
    withoutTags: [
      ...new Set([...spec.withoutTags, ...exclusiveTags.filter((tag) => !Object.hasOwn(spec.tags, tag))]),
    ].sort(),
  }));
}

function readEntry(entry: AliasEntry, requireDeviceType: boolean, problems: string[]): ReadEntry | null {
  const { value, where } = entry;
  const place = fields.placeOf(where, []);
  if (!fields.isObject(value)) {
    const fix = Array.isArray(value) ? 'write one object for each line' : 'write {"name": …}';
    problems.push(`${place}: alias: has to be one object, not ${fields.kindOf(value)}; ${fix}`);
    return null;
  }
  const title = typeof value['name'] === 'string' ? `alias ${fields.clip(value['name'].trim())}` : 'alias';
  const before = problems.length;
  const draft = emptyDraft();
  // A closed schema: beyond this many keys there are only unknown ones, and the first tell enough.
  for (const key of Object.keys(value).slice(0, 2 * KEYS.size)) {
    try {
      readKey(draft, key, value[key]);
    } catch (error) {
      if (!(error instanceof fields.FieldProblem)) throw error;
      problems.push(`${fields.placeOf(where, [key])}: ${title}: ${fields.clip(key)}: ${error.message}`);
    }
  }
  if (problems.length === before) {
    problems.push(...missingFrom(value, draft, requireDeviceType).map((text) => `${place}: ${title}: ${text}`));
  }
  if (problems.length > before) return null;
  const { name, numaPolicy, ...spec } = draft;
  return { name, numaPolicy, spec, where: place };
}

function emptyDraft(): Draft {
  return { ...ANY_DEVICE, name: '', numaPolicy: 'legacy' };
}

function readKey(draft: Draft, key: string, value: unknown): void {
  const read = KEYS.get(key);
  if (!read) throw new fields.FieldProblem(fields.unknownKey(key, KEYS.keys()));
  read(draft, value);
}

/** Tags of `tags` and of its shorthand. */
function addTags(draft: Draft, tags: Tags): void {
  for (const [name, value] of Object.entries(tags)) {
    if (Object.hasOwn(draft.tags, name) && draft.tags[name] !== value) {
      throw new fields.FieldProblem(`says another ${name} than tags; leave one of the two out`);
    }
  }
  draft.tags = { ...draft.tags, ...tags };
}

function missingFrom(value: Record<string, unknown>, draft: Draft, requireDeviceType: boolean): string[] {
  const missing: string[] = [];
  if (!Object.hasOwn(value, 'name')) missing.push('name: is missing; give the alias a name');
  if (requireDeviceType && draft.deviceType === null) missing.push(`device_type: ${readers.SAY_DEVICE_TYPE}`);
  if (takesAnything(draft)) {
    missing.push('would take any device; give vendor_id and product_id, a resource_class, traits, tags or a selector');
  }
  if (draft.group !== null && draft.deviceType === 'type-VF') {
    missing.push('group: a VF has no slot or card of its own; ask for type-PCI or type-PF, or leave group out');
  }
  return missing;
}

function takesAnything({ vendorId, productId, resourceClass, traits, anyTraits, tags, selector }: Draft): boolean {
  return (
    [vendorId, productId, resourceClass, selector].every((wish) => wish === null) &&
    [traits, anyTraits, Object.keys(tags)].every((wishes) => wishes.length === 0)
  );
}

function conflictsOf(first: ReadEntry, second: ReadEntry): string[] {
  const differing = (key: string, a: string, b: string): string[] =>
    a === b
      ? []
      : [`${second.where}: alias ${first.name}: ${key}: is ${b} here and ${a} at ${first.where}; make them agree`];
  return [
    ...differing('numa_policy', first.numaPolicy, second.numaPolicy),
    ...differing('device_type', first.spec.deviceType ?? 'left out', second.spec.deviceType ?? 'left out'),
    ...differing('group', first.spec.group ?? 'left out', second.spec.group ?? 'left out'),
  ];
}
