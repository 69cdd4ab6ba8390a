import { describe, expect, it } from 'vitest';
import { RE2JSException } from 're2js';
import {
  addressMatches,
  compileRegex,
  componentCovers,
  digitsMatch,
  readAddressPattern,
  singleAddress,
  type AddressPattern,
  type ComponentPattern,
} from './device-spec-address.js';
import { FieldProblem } from './device-spec-fields.js';

const any: ComponentPattern = { kind: 'any' };
const exact = (digits: string): ComponentPattern => ({ kind: 'exact', digits });
const regex = (source: string): ComponentPattern => ({ kind: 'regex', source });
const prefix = (source: string): ComponentPattern => ({ kind: 'prefix', source });
const ANYTHING: AddressPattern = { domain: any, bus: any, slot: any, function: any };

function problem(value: unknown): { message: string; path: FieldProblem['path'] } {
  try {
    readAddressPattern(value);
  } catch (error) {
    if (error instanceof FieldProblem) return { message: error.message, path: error.path };
    throw error;
  }
  throw new Error(`${JSON.stringify(value)} was read`);
}

describe('an address as text', () => {
  it.each<[string, Partial<AddressPattern>]>([
    ['0000:81:1f.7', { domain: exact('0000'), bus: exact('81'), slot: exact('1f'), function: exact('7') }],
    ['0:A:1.0', { domain: exact('0000'), bus: exact('0a'), slot: exact('01'), function: exact('0') }],
    ['10000:81:1f', { domain: exact('10000'), bus: exact('81'), slot: exact('1f') }],
    ['ffffffff:ff:1f.7', { domain: exact('ffffffff'), bus: exact('ff'), slot: exact('1f'), function: exact('7') }],
    ['81:1f.*', { bus: exact('81'), slot: exact('1f') }],
    ['1f', { slot: exact('1f') }],
    ['.7', { function: exact('7') }],
    ['81:', { bus: exact('81') }],
    [' 81 : * . 1 ', { bus: exact('81'), function: exact('1') }],
    ['*:*:*.*', {}],
    ['', {}],
    [`${' '.repeat(62)}1f`, { slot: exact('1f') }],
  ])('reads "%s"', (text, expected) => {
    expect(readAddressPattern(text)).toEqual({ ...ANYTHING, ...expected });
  });

  it.each<[unknown, string]>([
    ['0:0:0:0.0', '"0:0:0:0.0" has too many parts; write domain:bus:slot.function, like "0000:81:00.0"'],
    ['8*:00.0', 'the bus "8*" of "8*:00.0" is not hex; "*" is for a whole part only'],
    ['0.0.0', 'the function "0.0" of "0.0.0" is not hex; "*" is for a whole part only'],
    ['x1.0', 'the slot "x1" of "x1.0" is not hex; "*" is for a whole part only'],
    ['1x.0', 'the slot "1x" of "1x.0" is not hex; "*" is for a whole part only'],
    ['123456789:00:00.0', 'the domain "123456789" of "123456789:00:00.0" is not hex; "*" is for a whole part only'],
    ['100:00.0', 'the bus "100" of "100:00.0" is above its maximum ff'],
    ['20.0', 'the slot "20" of "20.0" is above its maximum 1f'],
    ['.8', 'the function "8" of ".8" is above its maximum 7'],
    [`${' '.repeat(63)}1f`, 'has 65 characters; at most 64'],
    [7, 'has to be a text like "0000:81:00.0" or an object of regexes, not the number 7'],
    [null, 'has to be a text like "0000:81:00.0" or an object of regexes, not null'],
    [[], 'has to be a text like "0000:81:00.0" or an object of regexes, not a list'],
  ])('refuses %j: %s', (value, message) => {
    expect(problem(value)).toEqual({ message, path: [] });
  });
});

describe('an address as an object of regexes', () => {
  it.each<[Record<string, string>, Partial<AddressPattern>]>([
    [{}, {}],
    [{ bus: '.*' }, {}],
    [
      { bus: '8[12]', function: '[0-3]' },
      { bus: regex('8[12]'), function: regex('[0-3]') },
    ],
    [
      { bus: 'A0', function: '7' },
      { bus: exact('a0'), function: exact('7') },
    ],
    [{ domain: '0000' }, { domain: exact('0000') }],
    [{ domain: '10000000' }, { domain: exact('10000000') }],
    [{ slot: '[0-9]'.repeat(40) }, { slot: regex('[0-9]'.repeat(40)) }],
  ])('reads %j', (value, expected) => {
    expect(readAddressPattern(value)).toEqual({ ...ANYTHING, ...expected });
  });

  it.each<[Record<string, unknown>, string, string]>([
    [{ buss: '1' }, 'buss', 'unknown key; did you mean "bus"?'],
    [{ colour: '1' }, 'colour', 'unknown key; the keys are domain, bus, slot, function'],
    [{ bus: 7 }, 'bus', 'has to be a regex in quotes, like "[2-7]", not the number 7'],
    [{ bus: '' }, 'bus', 'the regex is empty and matches nothing; for any value write ".*"'],
    [{ bus: `${'[0-9]'.repeat(40)}.` }, 'bus', 'the regex has 201 characters; at most 200'],
    [{ bus: '8' }, 'bus', '"8" matches no bus, which has 2 digits; write them all, or "8.*" for a prefix'],
    [{ bus: '810' }, 'bus', '"810" matches no bus, which has 2 digits; write them all, or "810.*" for a prefix'],
    [{ slot: '1' }, 'slot', '"1" matches no slot, which has 2 digits; write them all, or "1.*" for a prefix'],
    [
      { function: '00' },
      'function',
      '"00" matches no function, which has 1 digits; write them all, or "00.*" for a prefix',
    ],
    [
      { domain: '000' },
      'domain',
      '"000" matches no domain, which has 4 digits; write them all, or "000.*" for a prefix',
    ],
    [
      { domain: '000000000' },
      'domain',
      '"000000000" matches no domain, which has 4 digits; write them all, or "000000000.*" for a prefix',
    ],
    [{ bus: '[' }, 'bus', '"[" is not a regex (missing closing ]: `[`); for any value write ".*"'],
    [
      { bus: '*' },
      'bus',
      '"*" is not a regex (missing argument to repetition operator: `*`); for any value write ".*"',
    ],
  ])('refuses %j at %s: %s', (value, key, message) => {
    expect(problem(value)).toEqual({ message, path: [key] });
  });
});

describe('matching', () => {
  it.each<[unknown, string, boolean]>([
    ['0000:81:00.0', '0000:81:00.0', true],
    ['0000:81:00.0', '0001:81:00.0', false],
    ['0000:81:00.0', '0000:82:00.0', false],
    ['0000:81:00.0', '0000:81:01.0', false],
    ['0000:81:00.0', '0000:81:00.1', false],
    ['0000:81:00.0', '10000:81:00.0', false],
    ['10000:81:00.0', '10000:81:00.0', true],
    ['81:*.*', 'ffff:81:1f.7', true],
    ['', '0000:81:00.0', true],
    [{ bus: '8[12]' }, '0000:82:00.0', true],
    [{ bus: '8[12]' }, '0000:83:00.0', false],
    [{ bus: '8|9' }, '0000:80:00.0', false],
    [{ bus: '[A-C].' }, '0000:b1:00.0', true],
    [{ domain: '.000' }, '10000:b1:00.0', false],
  ])('%j and %s: %j', (value, address, expected) => {
    const pattern = readAddressPattern(value);
    // twice: the second answer is a remembered one
    expect([addressMatches(pattern, address), addressMatches(pattern, address)]).toEqual([expected, expected]);
  });

  it('of a prefix is anchored at the start only, and minds the case', () => {
    const digits = { domain: '0000', bus: 'a1', slot: '1f', function: '0' };
    const matches = (bus: ComponentPattern): boolean => digitsMatch({ ...ANYTHING, bus }, digits);
    expect(matches(prefix('a'))).toBe(true);
    expect(matches(prefix('1'))).toBe(false);
    expect(matches(prefix('A'))).toBe(false);
    expect(matches(regex('A1'))).toBe(true);
    expect(matches(regex('a'))).toBe(false);
  });

  it('needs a regex', () => {
    expect(() => compileRegex({ kind: 'prefix', source: '(' })).toThrow(RE2JSException);
  });

  it('remembers no more answers than it may, and stays right', () => {
    const pattern = readAddressPattern({ domain: '.*[02468ace]' });
    const domains = Array.from({ length: 3000 }, (_unused, index) => (0x1000 + index).toString(16));
    for (const pass of [1, 2]) {
      const wrong = domains.filter(
        (domain, index) => addressMatches(pattern, `${domain}:00:00.0`) !== (index % 2 === 0),
      );
      expect(wrong, `pass ${pass}`).toEqual([]);
    }
  });
});

describe('the one address of a pattern', () => {
  it.each<[unknown, string | null]>([
    ['0:A:1f.7', '0000:0a:1f.7'],
    [{ domain: '0000', bus: '0a', slot: '1f', function: '7' }, '0000:0a:1f.7'],
    ['*:0a:1f.7', null],
    ['0000:*:1f.7', null],
    ['0000:0a:*.7', null],
    ['0000:0a:1f', null],
    [{ domain: '0000', bus: '0a', slot: '1f', function: '[7]' }, null],
  ])('%j: %j', (value, expected) => {
    expect(singleAddress(readAddressPattern(value))).toBe(expected);
  });
});

describe('covering', () => {
  it.each<[string, ComponentPattern, ComponentPattern, boolean]>([
    ['anything covers anything', any, any, true],
    ['anything covers digits', any, exact('81'), true],
    ['anything covers a regex', any, regex('8.'), true],
    ['digits do not cover anything', exact('81'), any, false],
    ['a regex is not taken for anything', regex('..'), any, false],
    ['digits cover themselves', exact('81'), exact('81'), true],
    ['digits do not cover others', exact('81'), exact('82'), false],
    ['a regex covers digits that it matches', regex('8.'), exact('81'), true],
    ['and no others', regex('8.'), exact('91'), false],
    ['a prefix covers digits that begin with it', prefix('8'), exact('81'), true],
    ['a regex covers itself', regex('8.'), regex('8.'), true],
    ['of two regexes nothing is known', regex('..'), regex('8.'), false],
    ['a regex is no prefix', prefix('8.'), regex('8.'), false],
    ['digits do not cover a regex', exact('81'), regex('81'), false],
  ])('%s', (_name, wide, narrow, expected) => {
    expect(componentCovers(wide, narrow)).toBe(expected);
  });
});
