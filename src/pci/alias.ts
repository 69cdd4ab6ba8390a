import { BerthError } from '../errors.js';
import * as fields from './device-spec-fields.js';
import type { Where } from './device-spec-fields.js';
import type { DeviceType, Tags } from './device.js';
import { suggestion } from './suggest.js';

export const NUMA_POLICIES = ['required', 'preferred', 'legacy', 'socket'] as const;
export type NumaPolicy = (typeof NUMA_POLICIES)[number];

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

export const ALIAS_GROUPS = ['slot', 'card'] as const;
export type AliasGroup = (typeof ALIAS_GROUPS)[number];

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

/** `gpu:2` of a flavor or an ad-hoc request. */
export interface AliasRequest {
  readonly alias: string;
  readonly count: number;
}

/** What an alias looks at in a device. */
export interface AliasCandidate {
  readonly vendorId: string;
  readonly productId: string;
  readonly deviceType: DeviceType;
  readonly tags: Tags;
  readonly resourceClass: string | null;
  readonly traits: readonly string[];
}

export const ALIAS_ENTRIES_MAX = 10_000;
export const REQUEST_ITEMS_MAX = 32;
export const REQUEST_COUNT_MAX = 256;
const REQUEST_LENGTH_MAX = 16_384;
const NAME_LENGTH_MAX = 255;
const ALIAS_DEVICE_TYPES: readonly DeviceType[] = ['type-PCI', 'type-PF', 'type-VF'];

type Draft = { -readonly [Key in keyof AliasSpec]: AliasSpec[Key] } & { name: string; numaPolicy: NumaPolicy };

/** An entry that has been read, with its place for messages about others of its name. */
interface ReadEntry {
  readonly name: string;
  readonly numaPolicy: NumaPolicy;
  readonly spec: AliasSpec;
  readonly where: string;
}

/** Every key of an alias and what it does to it; there are no others (rules: nova.md 2.1). */
const KEYS: ReadonlyMap<string, (draft: Draft, value: unknown) => void> = new Map<
  string,
  (draft: Draft, value: unknown) => void
>([
  ['name', (draft, value) => (draft.name = readName(value))],
  ['vendor_id', (draft, value) => (draft.vendorId = readId(value))],
  ['product_id', (draft, value) => (draft.productId = readId(value))],
  ['device_type', (draft, value) => (draft.deviceType = readDeviceType(value))],
  ['numa_policy', (draft, value) => (draft.numaPolicy = readNumaPolicy(value))],
  ['resource_class', (draft, value) => (draft.resourceClass = fields.readResourceClass(value))],
  ['traits', (draft, value) => (draft.traits = fields.readTraits(value))],
  ['live_migratable', (draft, value) => (draft.liveMigratable = fields.readBoolean(value))],
  ['capability_type', (_, value) => readCapabilityType(value)],
]);

/**
 * Reads alias entries; those of one name are alternatives of one alias (rule: nova.md 2.2). All problems of all entries
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

/**
 * Reads `gpu:2,nic:1`, the value of `pci_passthrough:alias` and of ad-hoc requests (rules: nova.md 3.1; counts from 1 on).
 * One alias named twice makes two requests.
 *
 * @throws BerthError `request.invalid`
 */
export function parseAliasRequest(text: string): AliasRequest[] {
  if (text.length > REQUEST_LENGTH_MAX) {
    throw invalidRequest(`the text has ${text.length} characters; at most ${REQUEST_LENGTH_MAX}`);
  }
  if (text.trim() === '') throw invalidRequest('the text is empty; write name:count, like "gpu:1"');
  const items = text.split(',');
  if (items.length > REQUEST_ITEMS_MAX) {
    throw invalidRequest(`${items.length} items; at most ${REQUEST_ITEMS_MAX} in one request`);
  }
  return items.map((item, index) => parseRequestItem(item, items.length > 1 ? `item ${index + 1}, ` : ''));
}

/** Whether any of the specs takes the device. */
export function aliasMatches(specs: readonly AliasSpec[], device: AliasCandidate): boolean {
  return specs.some((spec) => deviceSatisfies(spec, device));
}

/**
 * Whether the spec takes the device. vDPA and remote-managed devices and PFs are given only to who asks for them
 * (rules: nova.md 2.3, 2.4). `liveMigratable: false` wants a device that says no.
 */
export function deviceSatisfies(spec: AliasSpec, device: AliasCandidate): boolean {
  return (
    (spec.vendorId === null || spec.vendorId === device.vendorId) &&
    (spec.productId === null || spec.productId === device.productId) &&
    takesType(spec.deviceType, device.deviceType) &&
    (device.tags['remote_managed'] !== 'true' || spec.tags['remote_managed'] === 'true') &&
    (spec.resourceClass === null ||
      spec.resourceClass === (device.resourceClass ?? fields.defaultResourceClass(device))) &&
    spec.traits.every((trait) => device.traits.includes(trait)) &&
    !spec.forbiddenTraits.some((trait) => device.traits.includes(trait)) &&
    spec.anyTraits.every((some) => some.some((trait) => device.traits.includes(trait))) &&
    Object.entries(spec.tags).every(([name, value]) => tagOf(device, name) === value) &&
    !spec.withoutTags.some((name) => Object.hasOwn(device.tags, name)) &&
    (spec.liveMigratable === null || device.tags['live_migratable'] === String(spec.liveMigratable))
  );
}

/**
 * The policy of a request: flavor or image, then alias, then legacy. An empty text counts as not given (rule: nova.md 2.5).
 *
 * @throws BerthError `numa_policy.invalid`, `numa_policy.conflict`
 */
export function resolveNumaPolicy(given: {
  readonly flavor: string | null;
  readonly image: string | null;
  readonly alias: NumaPolicy | null;
}): NumaPolicy {
  const image = policyNamed('image property hw_pci_numa_affinity_policy', given.image);
  const flavor = policyNamed('extra spec hw:pci_numa_affinity_policy', given.flavor);
  if (image !== null && flavor !== null && image !== flavor) {
    throw new BerthError(
      'numa_policy.conflict',
      `the flavor says hw:pci_numa_affinity_policy "${flavor}", the image says "${image}"; make them agree`,
    );
  }
  return flavor ?? image ?? given.alias ?? 'legacy';
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

function missingFrom(value: Record<string, unknown>, draft: Draft, requireDeviceType: boolean): string[] {
  const missing: string[] = [];
  if (!Object.hasOwn(value, 'name')) missing.push('name: is missing; give the alias a name');
  if (requireDeviceType && draft.deviceType === null) missing.push(`device_type: ${SAY_DEVICE_TYPE}`);
  if (
    draft.vendorId === null &&
    draft.productId === null &&
    draft.resourceClass === null &&
    draft.traits.length === 0
  ) {
    missing.push('would take any device; give vendor_id and product_id, a resource_class or traits');
  }
  return missing;
}

function conflictsOf(first: ReadEntry, second: ReadEntry): string[] {
  const differing = (key: string, a: string, b: string): string[] =>
    a === b
      ? []
      : [`${second.where}: alias ${first.name}: ${key}: is ${b} here and ${a} at ${first.where}; make them agree`];
  return [
    ...differing('numa_policy', first.numaPolicy, second.numaPolicy),
    ...differing('device_type', first.spec.deviceType ?? 'left out', second.spec.deviceType ?? 'left out'),
  ];
}

function readName(value: unknown): string {
  const name = fields.readText(value).trim();
  if (name.length > NAME_LENGTH_MAX) throw new fields.FieldProblem(`is longer than ${NAME_LENGTH_MAX} characters`);
  if (/[,:]/.test(name)) {
    throw new fields.FieldProblem(
      `"${fields.clip(name)}" has "," or ":" in it and could never be requested; rename it`,
    );
  }
  return name;
}

function readId(value: unknown): string {
  if (typeof value === 'number') throw fields.numberInsteadOfId(value);
  if (typeof value === 'string' && /^[0-9a-f]{4}$/i.test(value)) return value.toLowerCase();
  const shown = typeof value === 'string' ? `"${fields.clip(value)}"` : fields.kindOf(value);
  throw new fields.FieldProblem(`${shown} is not exactly 4 hex digits in quotes, like "10de"`);
}

const SAY_DEVICE_TYPE = 'say type-PCI, type-PF or type-VF';

function readDeviceType(value: unknown): DeviceType {
  const known = ALIAS_DEVICE_TYPES.find((type) => type === value);
  if (known) return known;
  const text = typeof value === 'string' ? value : '';
  if (text === 'vdpa') throw new fields.FieldProblem(`vdpa devices are for ports only; ${SAY_DEVICE_TYPE}`);
  // Zun says PCI, PF and VF.
  const hint = suggestion(text, ALIAS_DEVICE_TYPES) || suggestion(`type-${text}`, ALIAS_DEVICE_TYPES);
  const shown = typeof value === 'string' ? `"${fields.clip(text)}"` : fields.kindOf(value);
  throw new fields.FieldProblem(`${SAY_DEVICE_TYPE}, not ${shown}${hint}`);
}

function readNumaPolicy(value: unknown): NumaPolicy {
  const known = NUMA_POLICIES.find((policy) => policy === value);
  if (known) return known;
  const shown = typeof value === 'string' ? `"${fields.clip(value)}"` : fields.kindOf(value);
  const hint = typeof value === 'string' ? suggestion(value, NUMA_POLICIES) : '';
  throw new fields.FieldProblem(`say ${NUMA_POLICIES.join(', ')}, not ${shown}${hint}`);
}

/** Nova's old no-op. */
function readCapabilityType(value: unknown): void {
  if (value !== 'pci') throw new fields.FieldProblem('can only be "pci", and says nothing; leave it out');
}

function parseRequestItem(item: string, position: string): AliasRequest {
  const shown = `${position}"${fields.clip(item.trim())}"`;
  const [name, digits, ...more] = item.split(':').map((part) => part.trim());
  if (item.trim() === '') throw invalidRequest(`${position}there is nothing; remove the comma too many`);
  if (name === undefined || digits === undefined || more.length > 0) {
    throw invalidRequest(`${shown}: write name:count, like "gpu:1"`);
  }
  if (name === '') throw invalidRequest(`${shown}: the alias name before ":" is missing`);
  if (name.length > NAME_LENGTH_MAX)
    throw invalidRequest(`${shown}: the name is longer than ${NAME_LENGTH_MAX} characters`);
  if (!/^-?\d+$/.test(digits)) throw invalidRequest(`${shown}: the count has to be a whole number`);
  if (Number(digits) < 1) throw invalidRequest(`${shown}: the count must be 1 or more`);
  if (Number(digits) > REQUEST_COUNT_MAX)
    throw invalidRequest(`${shown}: the count must be ${REQUEST_COUNT_MAX} or less`);
  return { alias: name, count: Number(digits) };
}

function invalidRequest(message: string): BerthError {
  return new BerthError('request.invalid', `pci_passthrough:alias: ${message}`);
}

function takesType(wanted: DeviceType | null, type: DeviceType): boolean {
  if (wanted === null) return type === 'type-PCI' || type === 'type-VF';
  return wanted === type;
}

/** `remote_managed` is false where nothing is said; undefined: there is no such tag. */
function tagOf(device: AliasCandidate, name: string): string | null | undefined {
  if (Object.hasOwn(device.tags, name)) return device.tags[name];
  return name === 'remote_managed' && device.deviceType !== 'type-PCI' ? 'false' : undefined;
}

function policyNamed(source: string, text: string | null): NumaPolicy | null {
  if (text === null || text === '') return null;
  const known = NUMA_POLICIES.find((policy) => policy === text);
  if (known) return known;
  throw new BerthError(
    'numa_policy.invalid',
    `${source}: say ${NUMA_POLICIES.join(', ')}, not "${fields.clip(text)}"${suggestion(text, NUMA_POLICIES)}`,
  );
}
