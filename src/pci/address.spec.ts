import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareAddresses, formatAddress, normalizeAddress, parseAddress } from './address.js';

describe('addresses', () => {
  it.each([
    ['0000:81:00.0', '0000:81:00.0'],
    ['81:00.0', '0000:81:00.0'],
    ['0:A:1F.7', '0000:0a:1f.7'],
    ['10000:01:00.0', '10000:01:00.0'],
    [' 0000:81:00.0 ', '0000:81:00.0'],
  ])('reads "%s" as %s', (text, expected) => {
    expect(normalizeAddress(text)).toBe(expected);
  });

  it.each([
    '',
    '0000:81:00',
    '0000:81:20.0',
    '0000:81:00.8',
    'gggg:81:00.0',
    '123456789:00:00.0',
    '0000:81:00.0.1',
    '81',
    '-1:00:00.0',
  ])('refuses "%s"', (text) => {
    expect(() => parseAddress(text)).toThrowError(expect.objectContaining({ code: 'address.invalid' }));
  });

  it.each([
    ['81', '"81" is not a PCI address like 0000:81:00.0'],
    ['0000:81:20.0', '"0000:81:20.0": slot 20 is above 1f'],
    ['x'.repeat(60), `"${'x'.repeat(60)}" is not`],
    ['x'.repeat(61), `"${'x'.repeat(60)}…" is not`],
  ])('says what is wrong with "%s", in a line of bounded length', (text, message) => {
    expect(() => parseAddress(text)).toThrow(message);
  });

  it('orders by domain, bus, slot and function; a longer domain is a greater one', () => {
    const sorted = ['0000:09:00.0', '0000:81:00.0', '0000:81:00.1', '0000:81:01.0', 'ffff:00:00.0', '10000:01:00.0'];
    expect([...sorted].reverse().sort(compareAddresses)).toEqual(sorted);
    expect(compareAddresses('0000:81:00.0', '0000:81:00.0')).toBe(0);
  });

  it('parse and format are inverse, and the order is that of the numbers', () => {
    const parts = fc.record({
      domain: fc.integer({ min: 0, max: 0xffff_ffff }),
      bus: fc.integer({ min: 0, max: 0xff }),
      slot: fc.integer({ min: 0, max: 0x1f }),
      function: fc.integer({ min: 0, max: 7 }),
    });
    const numbers = (a: ReturnType<typeof parseAddress>): number[] => [a.domain, a.bus, a.slot, a.function];
    fc.assert(
      fc.property(parts, parts, (a, b) => {
        expect(parseAddress(formatAddress(a))).toEqual(a);
        const index = numbers(a).findIndex((value, place) => value !== numbers(b)[place]);
        const expected = index < 0 ? 0 : Math.sign((numbers(a)[index] ?? 0) - (numbers(b)[index] ?? 0));
        expect(Math.sign(compareAddresses(formatAddress(a), formatAddress(b)))).toBe(expected);
      }),
    );
  });
});
