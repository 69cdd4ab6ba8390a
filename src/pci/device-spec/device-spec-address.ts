import { RE2JS } from 're2js';
import { ADDRESS_LIMITS } from '../address.js';
import type { Address, AddressParts } from '../address.js';
import { clip, FieldProblem, isObject, kindOf, unknownKey } from './device-spec-fields.js';

type ComponentName = keyof AddressParts;

/**
 * What one component of an address has to be: canonical digits (`exact`), a whole-text match of a regex in either case, or,
 * in the nova dialect, a regex that matches from the start (`prefix`).
 */
export type ComponentPattern =
  | { readonly kind: 'any' }
  | { readonly kind: 'exact'; readonly digits: string }
  | { readonly kind: 'regex' | 'prefix'; readonly source: string };

type RegexPattern = ComponentPattern & { readonly kind: 'regex' | 'prefix' };

/** Which addresses a device_spec entry means. */
export type AddressPattern = Readonly<Record<ComponentName, ComponentPattern>>;

const COMPONENTS: readonly ComponentName[] = ['domain', 'bus', 'slot', 'function'];
const WIDTHS: Readonly<Record<ComponentName, number>> = { domain: 4, bus: 2, slot: 2, function: 1 };
const TEXT_LENGTH_MAX = 64;
const REGEX_LENGTH_MAX = 200;
const ANY: ComponentPattern = { kind: 'any' };

/**
 * Reads the `address` of an entry: a text `[[[domain]:]bus]:][slot][.[function]]` whose parts are hex, `*` or empty, or an
 * object with a regex for each part (rules: Nova's `nova/pci/devspec.py`; regexes match whole parts here, in either case).
 *
 * @throws FieldProblem
 */
export function readAddressPattern(value: unknown): AddressPattern {
  if (typeof value === 'string') return readAddressText(value);
  if (isObject(value)) return readAddressObject(value);
  throw new FieldProblem(`has to be a text like "0000:81:00.0" or an object of regexes, not ${kindOf(value)}`);
}

/** The one address that the pattern means, if it means one: such an entry covers the VFs of its PF as well. */
export function singleAddress(pattern: AddressPattern): Address | null {
  const digits: string[] = [];
  for (const name of COMPONENTS) {
    const component = pattern[name];
    if (component.kind !== 'exact') return null;
    digits.push(component.digits);
  }
  const [domain, bus, slot, fn] = digits;
  return `${domain}:${bus}:${slot}.${fn}`;
}

/** Whether the pattern means this canonical address. */
export function addressMatches(pattern: AddressPattern, address: Address): boolean {
  return digitsMatch(pattern, {
    domain: address.slice(0, -8),
    bus: address.slice(-7, -5),
    slot: address.slice(-4, -2),
    function: address.slice(-1),
  });
}

/** The digits of an address, part by part. */
export type AddressDigits = Readonly<Record<ComponentName, string>>;

export function digitsMatch(pattern: AddressPattern, digits: AddressDigits): boolean {
  return (
    componentMatches(pattern.function, digits.function) &&
    componentMatches(pattern.slot, digits.slot) &&
    componentMatches(pattern.bus, digits.bus) &&
    componentMatches(pattern.domain, digits.domain)
  );
}

function readAddressText(text: string): AddressPattern {
  if (text.length > TEXT_LENGTH_MAX)
    throw new FieldProblem(`has ${text.length} characters; at most ${TEXT_LENGTH_MAX}`);
  const dot = text.indexOf('.');
  const left = dot < 0 ? text : text.slice(0, dot);
  const fields = left.split(':');
  if (fields.length > 3) {
    throw new FieldProblem(`"${text}" has too many parts; write domain:bus:slot.function, like "0000:81:00.0"`);
  }
  const [domain, bus, slot] = [...Array<string>(3 - fields.length).fill('*'), ...fields] as [string, string, string];
  const fn = dot < 0 ? '' : text.slice(dot + 1);
  return {
    domain: readTextComponent('domain', domain, text),
    bus: readTextComponent('bus', bus, text),
    slot: readTextComponent('slot', slot, text),
    function: readTextComponent('function', fn, text),
  };
}

function readTextComponent(name: ComponentName, field: string, text: string): ComponentPattern {
  const digits = field.trim();
  if (digits === '' || digits === '*') return ANY;
  if (!/^[0-9a-f]{1,8}$/i.test(digits)) {
    throw new FieldProblem(`the ${name} "${digits}" of "${text}" is not hex; "*" is for a whole part only`);
  }
  const value = Number.parseInt(digits, 16);
  const limit = ADDRESS_LIMITS[name];
  if (value > limit) {
    throw new FieldProblem(`the ${name} "${digits}" of "${text}" is above its maximum ${limit.toString(16)}`);
  }
  return { kind: 'exact', digits: canonicalDigits(name, value) };
}

function readAddressObject(value: Record<string, unknown>): AddressPattern {
  const pattern: Record<ComponentName, ComponentPattern> = { domain: ANY, bus: ANY, slot: ANY, function: ANY };
  for (const [key, source] of Object.entries(value)) {
    const name = COMPONENTS.find((component) => component === key);
    if (name === undefined) throw new FieldProblem(unknownKey(key, COMPONENTS), [key]);
    pattern[name] = readRegex(name, source);
  }
  return pattern;
}

function readRegex(name: ComponentName, source: unknown): ComponentPattern {
  if (typeof source !== 'string') {
    throw new FieldProblem(`has to be a regex in quotes, like "[2-7]", not ${kindOf(source)}`, [name]);
  }
  if (source.length > REGEX_LENGTH_MAX) {
    throw new FieldProblem(`the regex has ${source.length} characters; at most ${REGEX_LENGTH_MAX}`, [name]);
  }
  if (source === '') throw new FieldProblem('the regex is empty and matches nothing; for any value write ".*"', [name]);
  if (source === '.*') return ANY;
  if (/^[0-9a-f]+$/i.test(source)) return readPlainDigits(name, source.toLowerCase());
  try {
    compileRegex({ kind: 'regex', source });
  } catch (error) {
    const reason = (error as Error).message.replace(/^error parsing regexp: /, '');
    throw new FieldProblem(`"${clip(source)}" is not a regex (${reason}); for any value write ".*"`, [name]);
  }
  return { kind: 'regex', source };
}

/** Plain digits of another width would never match a whole part: Nova, which anchors at the start only, reads them as a prefix. */
function readPlainDigits(name: ComponentName, digits: string): ComponentPattern {
  const width = WIDTHS[name];
  const fits = name === 'domain' ? digits.length >= width && digits.length <= 8 : digits.length === width;
  if (!fits) {
    throw new FieldProblem(
      `"${clip(digits)}" matches no ${name}, which has ${width} digits; write them all, or "${clip(digits)}.*" for a prefix`,
      [name],
    );
  }
  return { kind: 'exact', digits };
}

function componentMatches(component: ComponentPattern, digits: string): boolean {
  switch (component.kind) {
    case 'any':
      return true;
    case 'exact':
      return component.digits === digits;
    case 'regex':
    case 'prefix':
      return regexMatches(component, digits);
  }
}

/** Whether `wide` matches all digits that `narrow` matches; of two different regexes that is not asked. */
export function componentCovers(wide: ComponentPattern, narrow: ComponentPattern): boolean {
  if (wide.kind === 'any') return true;
  if (narrow.kind === 'any') return false;
  if (narrow.kind === 'exact') return componentMatches(wide, narrow.digits);
  return wide.kind === narrow.kind && wide.source === narrow.source;
}

const ANSWERS_MAX = 1024;
const ANSWERS = new WeakMap<ComponentPattern, Map<string, boolean>>();

/** A host has few buses, slots and functions: each regex is asked once about each of them. */
function regexMatches(component: RegexPattern, digits: string): boolean {
  const answers = ANSWERS.get(component) ?? new Map<string, boolean>();
  const known = answers.get(digits);
  if (known !== undefined) return known;
  const program = compiled(component);
  const answer = component.kind === 'regex' ? program.matches(digits) : program.matcher(digits).lookingAt();
  if (answers.size < ANSWERS_MAX) ANSWERS.set(component, answers.set(digits, answer));
  return answer;
}

const COMPILED = new WeakMap<ComponentPattern, RE2JS>();

/** A pattern is data and may be frozen or copied; its program is kept beside it. */
function compiled(component: RegexPattern): RE2JS {
  const known = COMPILED.get(component);
  if (known) return known;
  const program = compileRegex(component);
  COMPILED.set(component, program);
  return program;
}

/** @throws RE2JS's error when it is not a regex; in linear time whatever it is */
export function compileRegex({ kind, source }: RegexPattern): RE2JS {
  return kind === 'prefix' ? RE2JS.compile(source) : RE2JS.compile(source, RE2JS.CASE_INSENSITIVE);
}

function canonicalDigits(name: ComponentName, value: number): string {
  return value.toString(16).padStart(WIDTHS[name], '0');
}
