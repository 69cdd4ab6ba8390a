import { describe, expect, it } from 'vitest';
import { BerthError } from '../../errors.js';
import type { AddressPattern, ComponentPattern } from '../device-spec/device-spec-address.js';
import { parseNovaAddress, parseNovaAddressText, parseNovaRegexes, spelledAddress } from './nova-address.js';

const any: ComponentPattern = { kind: 'any' };
const exact = (digits: string): ComponentPattern => ({ kind: 'exact', digits });
const prefix = (source: string): ComponentPattern => ({ kind: 'prefix', source });

/** Nova's name of the refusal, and the message. */
function refusal<T>(read: (value: T) => unknown, value: T): [unknown, string] {
  try {
    read(value);
  } catch (error) {
    if (error instanceof BerthError && error.code === 'device_spec.invalid') {
      return [error.details['exception'], error.message];
    }
    throw error;
  }
  throw new Error(`${JSON.stringify(value)} was read`);
}

const FORMAT = 'PciDeviceWrongAddressFormat';
const SPEC = 'PciConfigInvalidSpec';
const notAnAddress = (text: string): string =>
  `address: "${text}" is not domain:bus:slot.function, like "0000:81:00.0"`;

describe('a whole address, as Nova reads it', () => {
  it.each([
    ['0000:81:00.0', '0000 81 00 0'],
    ['0:a:0.1', '0000 0a 00 1'],
    ['FFFF:FF:1F.7', 'ffff ff 1f 7'],
    ['0x1: 2 :+3.0_4', '0001 02 03 4'],
    ['*:81:00.0', '* 81 00 0'],
  ])('%j: %s', (text, expected) => {
    const { domain, bus, slot, function: fn } = parseNovaAddress(text);
    expect([domain, bus, slot, fn].join(' ')).toBe(expected);
  });

  it.each<[unknown, string | null, string]>([
    [7, null, 'an address has to be a text, not the number 7'],
    [null, null, 'an address has to be a text, not null'],
    ['81:00.0', FORMAT, notAnAddress('81:00.0')],
    ['0:0:0:0.0', FORMAT, notAnAddress('0:0:0:0.0')],
    ['.0:1:2', FORMAT, notAnAddress('.0:1:2')],
    ['0000:81:00', SPEC, 'address: the function "" of "0000:81:00" is not hex'],
    ['0000:81:1f', SPEC, 'address: the function "" of "0000:81:1f" is not hex'],
    ['0000:81:gg.0', SPEC, 'address: the slot "gg" of "0000:81:gg.0" is not hex'],
    ['10000:81:00.0', SPEC, 'address: the domain "10000" of "10000:81:00.0" is above ffff'],
    ['0:100:00.0', SPEC, 'address: the bus "100" of "0:100:00.0" is above ff'],
    ['0:81:20.0', SPEC, 'address: the slot "20" of "0:81:20.0" is above 1f'],
    ['0:81:00.8', SPEC, 'address: the function "8" of "0:81:00.8" is above 7'],
  ])('refuses %j: %s', (text, exception, message) => {
    expect(refusal(parseNovaAddress, text)).toEqual([exception, message]);
  });
});

describe('the address of an entry, as Nova reads it', () => {
  const ANYTHING: AddressPattern = { domain: any, bus: any, slot: any, function: any };

  it.each<[string, Partial<AddressPattern>]>([
    ['', {}],
    ['*:*:*.*', {}],
    ['0:A:1f.7', { domain: exact('0000'), bus: exact('0a'), slot: exact('1f'), function: exact('7') }],
    ['81:1f', { bus: exact('81'), slot: exact('1f') }],
    ['1f.', { slot: exact('1f') }],
    ['.7', { function: exact('7') }],
    ['81::.', { domain: exact('0081') }],
    ['::', {}],
    [' 81 : * . 1 ', { bus: exact('81'), function: exact('1') }],
    ['-1', { slot: exact('-1') }],
    [`${' '.repeat(1022)}1f`, { slot: exact('1f') }],
  ])('reads %j', (text, expected) => {
    expect(parseNovaAddressText(text)).toEqual({ ...ANYTHING, ...expected });
  });

  it.each<[string, string, string]>([
    ['0:0:0:0.0', FORMAT, notAnAddress('0:0:0:0.0')],
    [`${' '.repeat(1023)}1f`, FORMAT, notAnAddress(`${' '.repeat(60)}…`)],
    ['1f. ', SPEC, 'address: the function "" of "1f. " is not hex'],
    ['0.0.0', SPEC, 'address: the function "0.0" of "0.0.0" is not hex'],
    ['8*:00.0', SPEC, 'address: the bus "8*" of "8*:00.0" is not hex'],
    ['10000:0:0.0', SPEC, 'address: the domain "10000" of "10000:0:0.0" is above ffff'],
    ['.8', SPEC, 'address: the function "8" of ".8" is above 7'],
    // the function is looked at first
    ['0:0:0:0.8', SPEC, 'address: the function "8" of "0:0:0:0.8" is above 7'],
  ])('refuses %j: %s', (text, exception, message) => {
    expect(refusal(parseNovaAddressText, text)).toEqual([exception, message]);
  });
});

describe('regexes for an address, as Nova reads them', () => {
  const ALL: AddressPattern = { domain: prefix('.*'), bus: prefix('.*'), slot: prefix('.*'), function: prefix('.*') };

  it.each<[Record<string, unknown>, Partial<AddressPattern>]>([
    [{}, {}],
    [{ colour: '(' }, {}],
    [{ bus: '' }, { bus: prefix('') }],
    [
      { domain: '0', slot: '1[0-f]' },
      { domain: prefix('0'), slot: prefix('1[0-f]') },
    ],
    [
      { bus: 'A', function: '[0-3]' },
      { bus: prefix('A'), function: prefix('[0-3]') },
    ],
    [{ bus: 'x'.repeat(1024) }, { bus: prefix('x'.repeat(1024)) }],
  ])('reads %j', (value, expected) => {
    expect(parseNovaRegexes(value)).toEqual({ ...ALL, ...expected });
  });

  it.each<[Record<string, unknown>, string | null, string]>([
    [{ bus: 7 }, null, 'address.bus: has to be a regex in quotes, not the number 7'],
    [{ slot: null }, null, 'address.slot: has to be a regex in quotes, not null'],
    [{ slot: '[' }, FORMAT, 'address.slot: "[" is not a regex'],
    [{ bus: 'x'.repeat(1025) }, FORMAT, notAnAddress(`${'x'.repeat(60)}…`)],
  ])('refuses %j: %s', (value, exception, message) => {
    expect(refusal(parseNovaRegexes, value)).toEqual([exception, message]);
  });
});

describe('the address that a pattern spells out', () => {
  it.each<[string | Record<string, string>, string | null]>([
    ['0:A:1f.7', '0000:0a:1f.7'],
    ['0:A:1f.*', null],
    ['*:A:1f.7', null],
    ['0:A:-1.7', null],
    [{ domain: '0000', bus: '0A', slot: '1f', function: '7' }, '0000:0A:1f.7'],
    [{ domain: '0000', bus: '0a.', slot: '1f', function: '7' }, null],
    [{ domain: '0000', bus: '^0a', slot: '1f', function: '7' }, null],
    [{}, null],
  ])('%j: %j', (value, expected) => {
    const pattern = typeof value === 'string' ? parseNovaAddressText(value) : parseNovaRegexes(value);
    expect(spelledAddress(pattern)).toBe(expected);
  });
});
