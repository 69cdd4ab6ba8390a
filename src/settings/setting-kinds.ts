import { isIP } from 'node:net';
import { clip, FieldProblem, isObject, kindOf, readBoolean } from '../pci/device-spec/device-spec-fields.js';
import { suggestion } from '../pci/suggest.js';

/** A value as the table has it: plain data. */
export type SettingValue =
  | string
  | number
  | boolean
  | null
  | readonly string[]
  | Readonly<Record<string, number>>
  | Readonly<Record<string, string>>;

/** How a setting is read: from YAML (any value) and from an environment variable or a flag (text). */
export interface SettingKind {
  /** @throws FieldProblem */
  readonly read: (value: unknown) => SettingValue;
  /** What `read` is given for a text of the environment. */
  readonly fromText: (text: string) => unknown;
}

export interface SettingDefinition {
  /** Section and key in YAML: `http.port`. */
  readonly key: string;
  readonly kind: SettingKind;
  readonly initial: SettingValue;
  /** Short name of the environment variable; `BERTH_<SECTION>_<KEY>` always works. */
  readonly variable: string | null;
  /** For config/berth.yaml: what it is, and its unit. */
  readonly comment: string;
}

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;

export function setting(
  key: string,
  kind: SettingKind,
  initial: SettingValue,
  comment: string,
  variable: string | null = null,
): SettingDefinition {
  return { key, kind, initial, comment, variable };
}

export function text(): SettingKind {
  return { read: readPlainText, fromText: (given) => given };
}

function readPlainText(value: unknown): string {
  if (typeof value !== 'string') throw new FieldProblem(`has to be a text, not ${kindOf(value)}`);
  if (value.trim() === '') throw new FieldProblem('is empty; give a value, or leave it out');
  if (value.length > 4096) throw new FieldProblem(`has ${value.length} characters; at most 4096`);
  if (/\p{Cc}/u.test(value)) throw new FieldProblem('has a control character in it; remove it');
  return value;
}

export function integer(min: number, max: number): SettingKind {
  return {
    read(value) {
      if (typeof value !== 'number' || !Number.isSafeInteger(value)) {
        throw new FieldProblem(`has to be a whole number without quotes, not ${shown(value)}`);
      }
      if (value < min || value > max) throw new FieldProblem(`${value} is not between ${min} and ${max}`);
      return value;
    },
    fromText: numberFrom,
  };
}

export function ratio(): SettingKind {
  return {
    read(value) {
      const number = readNumber(value);
      if (number <= 0 || number > 1000) throw new FieldProblem(`${number} is not above 0 and up to 1000`);
      return number;
    },
    fromText: numberFrom,
  };
}

export function number(min: number, max: number): SettingKind {
  return {
    read(value) {
      const given = readNumber(value);
      if (given < min || given > max) throw new FieldProblem(`${given} is not between ${min} and ${max}`);
      return given;
    },
    fromText: numberFrom,
  };
}

export function boolean(): SettingKind {
  return { read: readBoolean, fromText: (given) => given };
}

export function oneOf(words: readonly string[]): SettingKind {
  return {
    read(value) {
      const known = words.find((word) => word === value);
      if (known !== undefined) return known;
      const hint = typeof value === 'string' ? suggestion(value, words) : '';
      throw new FieldProblem(`has to be ${words.join(' or ')}, not ${shown(value)}${hint}`);
    },
    fromText: (given) => given,
  };
}

export function optional(kind: SettingKind): SettingKind {
  return { read: (value) => (value === null ? null : kind.read(value)), fromText: kind.fromText };
}

/** The value itself is never shown: it may have a password in it. */
export function url(protocols: readonly string[], example: string): SettingKind {
  return {
    read(value) {
      if (value === null) return null;
      if (typeof value !== 'string' || !URL.canParse(value)) throw new FieldProblem(`has to be a URL like ${example}`);
      const { protocol } = new URL(value);
      if (!protocols.includes(protocol)) throw new FieldProblem(`has to begin with ${protocols[0]}//, like ${example}`);
      return value;
    },
    fromText: (given) => given,
  };
}

export function names(max: number): SettingKind {
  return {
    read(value) {
      if (!Array.isArray(value)) throw new FieldProblem(`has to be a list of names, not ${shown(value)}`);
      if (value.length > max) throw new FieldProblem(`has ${value.length} names; at most ${max}`);
      return value.map(readPlainText);
    },
    fromText: (given) => given.split(',').map((name) => name.trim()),
  };
}

/** Addresses, or networks as `10.0.0.0/8`. */
export function networks(max: number): SettingKind {
  const { read, fromText } = names(max);
  return {
    read: (value) => (read(value) as readonly string[]).map(readNetwork),
    fromText: (given) => (fromText(given) as string[]).filter((name) => name !== ''),
  };
}

function readNetwork(text: string): string {
  const [address = '', bits, ...others] = text.split('/');
  const family = isIP(address);
  const isWide = bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128));
  if (family !== 0 && isWide && others.length === 0) return text;
  throw new FieldProblem(`"${clip(text)}" is no address, and no network like 10.0.0.0/8`);
}

export function multipliers(max: number): SettingKind {
  return {
    read(value) {
      if (!isObject(value)) throw new FieldProblem(`has to map weigher names to numbers, not ${shown(value)}`);
      const entries = Object.entries(value);
      if (entries.length > max) throw new FieldProblem(`has ${entries.length} names; at most ${max}`);
      return Object.fromEntries(entries.map(([name, factor]) => [readWeigherName(name), readNumber(factor)]));
    },
    fromText: (given) => Object.fromEntries(given.split(',').map(multiplierFrom)),
  };
}

/** A value for each of some names. `what`: of what they are the names, for messages. */
export function byName(kind: SettingKind, max: number, what: string): SettingKind {
  return {
    read(value) {
      if (!isObject(value)) throw new FieldProblem(`has to map ${what} to values, not ${shown(value)}`);
      const entries = Object.entries(value);
      if (entries.length > max) throw new FieldProblem(`has ${entries.length} ${what}; at most ${max}`);
      return Object.fromEntries(entries.map(([name, given]) => [readPlainText(name), valueOf(kind, name, given)]));
    },
    fromText: pairsFrom,
  };
}

/** One of the words for each of some names that are known. */
export function byKnownName(known: readonly string[], words: readonly string[]): SettingKind {
  const [name, word] = [oneOf(known), oneOf(words)];
  return {
    read(value) {
      if (!isObject(value)) {
        throw new FieldProblem(`has to map ${known.join(', ')} to ${words.join(' or ')}, not ${shown(value)}`);
      }
      const entries = Object.entries(value);
      return Object.fromEntries(entries.map(([key, given]) => [name.read(key) as string, word.read(given) as string]));
    },
    fromText: pairsFrom,
  };
}

/** An absolute path for each of some kinds of devices: `class:` with two to six hex digits, or `device:vendor:product`. */
export function programs(max: number): SettingKind {
  return {
    read(value) {
      if (!isObject(value)) throw new FieldProblem(`has to map kinds of devices to programs, not ${shown(value)}`);
      const entries = Object.entries(value);
      if (entries.length > max) throw new FieldProblem(`has ${entries.length} programs; at most ${max}`);
      return Object.fromEntries(entries.map(([kind, path]) => [readDeviceKind(kind), readProgram(path)]));
    },
    fromText: pairsFrom,
  };
}

function readDeviceKind(kind: string): string {
  if (/^(?:class:(?:[0-9a-f]{2}){1,3}|device:[0-9a-f]{4}:[0-9a-f]{4})$/.test(kind)) return kind;
  throw new FieldProblem(`"${clip(kind)}" is no kind of devices like class:0108 or device:144d:a80a`);
}

function readProgram(path: unknown): string {
  const text = readPlainText(path);
  if (text.startsWith('/')) return text;
  throw new FieldProblem(`"${clip(text)}" is no absolute path`);
}

function pairsFrom(given: string): Record<string, string> {
  return Object.fromEntries(
    given.split(',').map((item) => item.split('=').map((part) => part.trim()) as [string, string]),
  );
}

function valueOf(kind: SettingKind, name: string, given: unknown): string {
  try {
    return kind.read(given) as string;
  } catch (error) {
    if (error instanceof FieldProblem) throw new FieldProblem(`"${clip(name)}" ${error.message}`);
    throw error;
  }
}

function readWeigherName(name: string): string {
  if (/^[A-Z][A-Za-z0-9]{0,63}$/.test(name)) return name;
  throw new FieldProblem(`"${clip(name)}" is not the name of a weigher, like PCIWeigher`);
}

function multiplierFrom(item: string): [string, unknown] {
  const [name = '', factor = ''] = item.split('=');
  return [name.trim(), numberFrom(factor.trim())];
}

function readNumber(value: unknown): number {
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  throw new FieldProblem(`has to be a number without quotes, not ${shown(value)}`);
}

/** The number that the text writes, or the text itself, to be refused where it is read. */
function numberFrom(given: string): unknown {
  return /^-?\d{1,15}(?:\.\d{1,15})?$/.test(given.trim()) ? Number(given) : given;
}

function shown(value: unknown): string {
  return typeof value === 'string' ? `"${clip(value)}"` : kindOf(value);
}
