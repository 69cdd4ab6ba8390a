import * as fields from '../device-spec/device-spec-fields.js';
import { RESERVED_TAGS } from '../device-spec/device-spec-reader.js';
import type { DeviceType, Tags } from '../device.js';
import { suggestion } from '../suggest.js';

/** What is taken along with a device: the other functions of its slot, or of its card. */
export const ALIAS_GROUPS = ['slot', 'card'] as const;
export type AliasGroup = (typeof ALIAS_GROUPS)[number];

export const NAME_LENGTH_MAX = 255;
const UTILITY_MAX = 1000;
const TAGS_MAX = 64;
const TRAITS_MAX = 64;
const ALIAS_DEVICE_TYPES: readonly DeviceType[] = ['type-PCI', 'type-PF', 'type-VF'];

/** Traits that a device has to have, must not have, and of which it has to have one at least. */
export interface TraitWishes {
  readonly traits: readonly string[];
  readonly forbiddenTraits: readonly string[];
  readonly anyTraits: readonly (readonly string[])[];
}

export function readName(value: unknown): string {
  const name = fields.readText(value).trim();
  if (name.length > NAME_LENGTH_MAX) throw new fields.FieldProblem(`is longer than ${NAME_LENGTH_MAX} characters`);
  if (/[,:]/.test(name)) {
    throw new fields.FieldProblem(
      `"${fields.clip(name)}" has "," or ":" in it and could never be requested; rename it`,
    );
  }
  return name;
}

export function readId(value: unknown): string {
  if (typeof value === 'number') throw fields.numberInsteadOfId(value);
  if (typeof value === 'string' && /^[0-9a-f]{4}$/i.test(value)) return value.toLowerCase();
  throw new fields.FieldProblem(`${shown(value)} is not exactly 4 hex digits in quotes, like "10de"`);
}

export const SAY_DEVICE_TYPE = 'say type-PCI, type-PF or type-VF';

export function readDeviceType(value: unknown): DeviceType {
  const known = ALIAS_DEVICE_TYPES.find((type) => type === value);
  if (known) return known;
  const text = typeof value === 'string' ? value : '';
  if (text === 'vdpa') throw new fields.FieldProblem(`vdpa devices are for ports only; ${SAY_DEVICE_TYPE}`);
  // Zun says PCI, PF and VF.
  const hint = suggestion(text, ALIAS_DEVICE_TYPES) || suggestion(`type-${text}`, ALIAS_DEVICE_TYPES);
  throw new fields.FieldProblem(`${SAY_DEVICE_TYPE}, not ${shown(value)}${hint}`);
}

/** Nova's old no-op. */
export function readCapabilityType(value: unknown): void {
  if (value !== 'pci') throw new fields.FieldProblem('can only be "pci", and says nothing; leave it out');
}

/**
 * A list, or one text with commas, of `T` (has to be there), `!T` (must not) and `{A|B}` (one of them has to).
 *
 * @throws FieldProblem
 */
export function readTraitWishes(value: unknown): TraitWishes {
  const items: unknown = typeof value === 'string' ? value.split(',') : value;
  if (!Array.isArray(items)) {
    throw new fields.FieldProblem(
      `has to be a list like ["A", "!B", "{C|D}"], or "A, !B", not ${fields.kindOf(value)}`,
    );
  }
  const traits = new Set<string>();
  const forbidden = new Set<string>();
  const any: string[][] = [];
  for (const item of items.slice(0, TRAITS_MAX + 1) as unknown[]) {
    const text = typeof item === 'string' ? item.trim() : item;
    if (typeof text !== 'string') traits.add(readTrait(text));
    else if (text.startsWith('!')) forbidden.add(readTrait(text.slice(1)));
    else if (text.startsWith('{') || text.endsWith('}')) any.push(readAnyOf(text));
    else traits.add(readTrait(text));
  }
  const wishes = { traits: [...traits], forbiddenTraits: [...forbidden], anyTraits: any };
  assertPossible(wishes);
  return wishes;
}

function readAnyOf(text: string): string[] {
  const inside = /^\{([^{}]*)\}$/.exec(text)?.[1];
  if (inside === undefined) throw new fields.FieldProblem(`"${fields.clip(text)}" is not like "{A|B}"`);
  return [...new Set(inside.split('|').map(readTrait))];
}

function readTrait(value: unknown): string {
  if (typeof value === 'string' && /[!{}|,]/.test(value)) {
    throw new fields.FieldProblem(`"${fields.clip(value)}" is not a trait's name; write T, !T or {A|B}`);
  }
  return fields.readTraits([value])[0] ?? '';
}

function assertPossible({ traits, forbiddenTraits, anyTraits }: TraitWishes): void {
  const count = traits.length + forbiddenTraits.length + anyTraits.flat().length;
  if (count > TRAITS_MAX) throw new fields.FieldProblem(`names more than ${TRAITS_MAX} traits`);
  const both = traits.find((trait) => forbiddenTraits.includes(trait));
  if (both !== undefined) throw new fields.FieldProblem(`${both} is wanted and forbidden; remove one of the two`);
  const hopeless = anyTraits.find((some) => some.every((trait) => forbiddenTraits.includes(trait)));
  if (hopeless) throw new fields.FieldProblem(`all of {${hopeless.join('|')}} are forbidden; remove one of the two`);
}

/**
 * An object of tags and the values that they have to have; null is a value too.
 *
 * @throws FieldProblem
 */
export function readTags(value: unknown): Tags {
  if (!fields.isObject(value)) {
    throw new fields.FieldProblem(`has to be an object like {"rack": "r1"}, not ${fields.kindOf(value)}`);
  }
  const names = Object.keys(value);
  if (names.length > TAGS_MAX) throw new fields.FieldProblem(`names ${names.length} tags; at most ${TAGS_MAX}`);
  return Object.fromEntries(names.map((name) => [name, readTag(name, value[name])]));
}

/** The tag `physical_network`: a text, or null for overlay networks. @throws FieldProblem */
export function readPhysicalNetwork(value: unknown): string | null {
  return value === null ? null : fields.readText(value);
}

function readTag(name: string, value: unknown): string | null {
  try {
    if (name === 'physical_network') return readPhysicalNetwork(value);
    if (name === 'trusted') return String(fields.readBoolean(value));
    assertTagName(name);
    if (value === null || typeof value === 'boolean') return value === null ? null : String(value);
    return fields.readText(value);
  } catch (error) {
    if (!(error instanceof fields.FieldProblem)) throw error;
    throw new fields.FieldProblem(`${fields.clip(name)}: ${error.message}`, [name]);
  }
}

function assertTagName(name: string): void {
  if (name === 'remote_managed') throw new fields.FieldProblem('remote-managed devices are for ports only');
  if (name === 'live_migratable') throw new fields.FieldProblem('is a key of its own; write it beside tags');
  if (RESERVED_TAGS.has(name)) throw new fields.FieldProblem('is not a tag that an alias can ask for');
  if (!/^[a-z][a-z0-9_.-]{0,63}$/i.test(name)) {
    throw new fields.FieldProblem('is not a name of letters, digits, "_", "." and "-"');
  }
}

/** A whole number from 0 to 1000. @throws FieldProblem */
export function readUtility(value: unknown): number {
  const utility = fields.readCount(value);
  if (utility > UTILITY_MAX) throw new fields.FieldProblem(`is ${utility}; at most ${UTILITY_MAX}`);
  return utility;
}

export function readGroup(value: unknown): AliasGroup {
  const known = ALIAS_GROUPS.find((group) => group === value);
  if (known) return known;
  const hint = typeof value === 'string' ? suggestion(value, ALIAS_GROUPS) : '';
  throw new fields.FieldProblem(`say slot or card, not ${shown(value)}${hint}`);
}

function shown(value: unknown): string {
  return typeof value === 'string' ? `"${fields.clip(value)}"` : fields.kindOf(value);
}
