import { TRUE_WORDS } from '../device-spec/device-spec-fields.js';

/** Values as Nova, which is Python, reads and prints them. */

/** White space that Python's `strip` takes off; JavaScript's `trim` knows some less and one more. */
const BLANKS =
  /^[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+|[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+$/g;

export function novaStrip(text: string): string {
  return text.replace(BLANKS, '');
}

/** `int(text, base)`: blanks around it, a sign, `0x` and single `_` between digits are taken; null: no number. */
export function novaInteger(text: string, base: 10 | 16): number | null {
  if (text.length > INTEGER_LENGTH_MAX) return null;
  const plain = novaStrip(text).replace(/\p{Nd}/gu, asciiDigit);
  const form = base === 16 ? HEX : DECIMAL;
  const [, sign = '', digits] = form.exec(plain) ?? [];
  if (digits === undefined) return null;
  const value = Number.parseInt(digits.replaceAll('_', ''), base);
  return sign === '-' ? -value : value;
}

/** Python has it for decimal digits. */
const INTEGER_LENGTH_MAX = 4300;
const HEX = /^([+-]?)(?:0[xX]_?)?([0-9a-fA-F]+(?:_[0-9a-fA-F]+)*)$/;
const DECIMAL = /^([+-]?)([0-9]+(?:_[0-9]+)*)$/;

/** Decimal digits of any script come in runs of ten that begin at zero. */
function asciiDigit(digit: string): string {
  let value = 0;
  let code = digit.codePointAt(0) ?? 0;
  while (value < 9 && /\p{Nd}/u.test(String.fromCodePoint(code - 1))) {
    code--;
    value++;
  }
  return String(value);
}

/** `'%0*x'`: lower-case hex, filled with zeros, the sign counted. */
export function novaHex(value: number, width: number): string {
  const digits = Math.abs(value).toString(16);
  return value < 0 ? `-${digits.padStart(width - 1, '0')}` : digits.padStart(width, '0');
}

/** What Python counts as true. */
export function isTruthy(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (typeof value === 'object' && value !== null) return Object.keys(value).length > 0;
  return Boolean(value);
}

/** oslo's `bool_from_string`: what is not a word for true is false. */
export function novaBoolean(value: unknown): boolean {
  return TRUE_WORDS.includes(novaStrip(novaText(value)).toLowerCase());
}

/** `str(value)` of a JSON value. */
export function novaText(value: unknown): string {
  return typeof value === 'string' ? value : pythonLiteral(value);
}

function pythonLiteral(value: unknown): string {
  if (value === null || value === undefined) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (typeof value === 'string') return quoted(value);
  if (Array.isArray(value)) return `[${value.map(pythonLiteral).join(', ')}]`;
  if (typeof value !== 'object') return String(value);
  const items = Object.entries(value).map(([key, item]) => `${quoted(key)}: ${pythonLiteral(item)}`);
  return `{${items.join(', ')}}`;
}

function quoted(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  return quote + text.replaceAll('\\', '\\\\').replaceAll(quote, `\\${quote}`) + quote;
}

/** Python's `==` of JSON values: deep, true is 1 and false is 0. */
export function novaEquals(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a === 'boolean' && typeof b === 'number') return Number(a) === b;
  if (typeof a === 'number' && typeof b === 'boolean') return a === Number(b);
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && novaEquals(at(a, key), at(b, key)))
  );
}

function at(value: object, key: string): unknown {
  return (value as Record<string, unknown>)[key];
}
