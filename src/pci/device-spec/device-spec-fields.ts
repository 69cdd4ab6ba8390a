import { suggestion } from '../suggest.js';

/** The way to a value inside an entry: `['address', 'bus']`, `[2, 'vendor_id']`. */
export type Path = readonly (string | number)[];

/** Where an entry stands, for people: `nova.conf:34`; as a function, the place of any part of the entry. */
export type Where = string | ((path: Path) => string);

/** A value that cannot be read. Caught where fields are read one by one, so that all problems are told at once. */
export class FieldProblem extends Error {
  readonly path: Path;

  constructor(message: string, path: Path = []) {
    super(message);
    this.path = path;
  }
}

export const TEXT_LENGTH_MAX = 255;
const TRAITS_MAX = 64;

/** The text of a place. */
export function placeOf(where: Where, path: Path): string {
  return typeof where === 'string' ? where : where(path);
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** How a value of the wrong type is called in a message. */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return 'null';
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object'
    ? 'an object'
    : typeof value === 'string'
      ? 'a text'
      : `the ${typeof value} ${clip(String(value))}`;
}

/** A value as a message shows it, whatever it is. */
export function shown(value: unknown): string {
  return typeof value === 'string' ? clip(value) : kindOf(value);
}

export function clip(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

/** A text of 1 to 255 characters without control characters. */
export function readText(value: unknown): string {
  if (typeof value === 'number') throw new FieldProblem(`a number; write "${value}" in quotes`);
  if (typeof value !== 'string') throw new FieldProblem(`has to be a text in quotes, not ${kindOf(value)}`);
  if (value.trim() === '') throw new FieldProblem('is empty; give a value, or leave the key out');
  if (value.length > TEXT_LENGTH_MAX)
    throw new FieldProblem(`has ${value.length} characters; at most ${TEXT_LENGTH_MAX}`);
  if (/\p{Cc}/u.test(value)) throw new FieldProblem('has a control character in it; remove it');
  return value;
}

/** `*` (null: any) or one to four hex digits, `0x` before them or not; four lower-case digits come out. */
export function readHexId(value: unknown): string | null {
  if (typeof value === 'number') throw numberInsteadOfId(value);
  if (typeof value !== 'string') throw new FieldProblem(`has to be a text like "8086" or "*", not ${kindOf(value)}`);
  if (value === '*') return null;
  const digits = /^(?:0x)?([0-9a-f]{1,4})$/i.exec(value)?.[1];
  if (digits === undefined) {
    throw new FieldProblem(`"${clip(value)}" is not 1 to 4 hex digits, like "8086", and not "*"`);
  }
  return digits.toLowerCase().padStart(4, '0');
}

export function numberInsteadOfId(value: number): FieldProblem {
  return new FieldProblem(`a number; write "${String(value).padStart(4, '0')}" in quotes`);
}

/** oslo's words for yes. */
export const TRUE_WORDS: readonly string[] = ['1', 't', 'true', 'on', 'y', 'yes'];
const FALSE_WORDS: readonly string[] = ['0', 'f', 'false', 'off', 'n', 'no'];

/** true and false, or one of the words that oslo takes for them. Anything else is refused. */
export function readBoolean(value: unknown): boolean {
  const word = String(isObject(value) || Array.isArray(value) ? '?' : value)
    .trim()
    .toLowerCase();
  if (TRUE_WORDS.includes(word)) return true;
  if (FALSE_WORDS.includes(word)) return false;
  const shown = typeof value === 'string' ? `"${clip(value)}"` : kindOf(value);
  throw new FieldProblem(`${shown} is neither yes nor no; write true or false`);
}

/** Classes that Placement knows by itself; every other one is `CUSTOM_…`. */
export const STANDARD_RESOURCE_CLASSES: ReadonlySet<string> = new Set([
  ...['VCPU', 'PCPU', 'MEMORY_MB', 'DISK_GB', 'PCI_DEVICE', 'SRIOV_NET_VF', 'NUMA_SOCKET', 'NUMA_CORE', 'NUMA_THREAD'],
  ...['NUMA_MEMORY_MB', 'IPV4_ADDRESS', 'VGPU', 'VGPU_DISPLAY_HEAD', 'PGPU', 'FPGA', 'MEM_ENCRYPTION_CONTEXT'],
  ...['NET_BW_EGR_KILOBIT_PER_SEC', 'NET_BW_IGR_KILOBIT_PER_SEC', 'NET_PACKET_RATE_KILOPACKET_PER_SEC'],
  ...['NET_PACKET_RATE_EGR_KILOPACKET_PER_SEC', 'NET_PACKET_RATE_IGR_KILOPACKET_PER_SEC'],
]);

/** `gold-vf` → `CUSTOM_GOLD_VF`; a class that Placement knows keeps its name (rule: Nova's `nova/compute/pci_placement_translator.py`). */
export function readResourceClass(value: unknown): string {
  const name = readText(value).trim().toUpperCase();
  return STANDARD_RESOURCE_CLASSES.has(name) ? name : customName(name);
}

/** The class of a device whose entry names none. */
export function defaultResourceClass(device: { readonly vendorId: string; readonly productId: string }): string {
  return `CUSTOM_PCI_${device.vendorId}_${device.productId}`.toUpperCase();
}

const STANDARD_TRAIT = /^(?:COMPUTE|HW|MISC|OWNER|STORAGE)_[A-Z0-9_]+$/;

/**
 * A list of trait names, or one text with commas. Names are trimmed, upper case, without doubles, in the order given; those
 * outside the name spaces of os-traits get `CUSTOM_` (rule: the same, with blanks mended).
 */
export function readTraits(value: unknown): string[] {
  const names = typeof value === 'string' ? value.split(',') : value;
  if (!Array.isArray(names)) throw new FieldProblem(`has to be a list of names, or "a,b", not ${kindOf(value)}`);
  if (names.length > TRAITS_MAX) throw new FieldProblem(`names ${names.length} traits; at most ${TRAITS_MAX}`);
  return [...new Set(names.map(readTrait))];
}

function readTrait(value: unknown): string {
  if (typeof value === 'string' && value.trim() === '') {
    throw new FieldProblem('has an empty name in it; remove the comma too many');
  }
  const name = readText(value).trim().toUpperCase();
  return STANDARD_TRAIT.test(name) ? name : customName(name);
}

function customName(name: string): string {
  const plain = name.replace(/[^A-Z0-9_]/g, '_');
  return plain.startsWith('CUSTOM_') ? plain : `CUSTOM_${plain}`;
}

/** A whole number from 0 on, also as decimal text. */
export function readCount(value: unknown): number {
  const number = typeof value === 'string' && /^\d{1,9}$/.test(value) ? Number(value) : value;
  if (Number.isSafeInteger(number) && (number as number) >= 0) return number as number;
  throw new FieldProblem(
    `has to be a whole number from 0 on, not ${typeof value === 'string' ? `"${clip(value)}"` : kindOf(value)}`,
  );
}

/** What to say of a key that does not exist. */
export function unknownKey(key: string, known: Iterable<string>): string {
  const names = [...known];
  return `unknown key${suggestion(key, names) || `; the keys are ${names.join(', ')}`}`;
}
