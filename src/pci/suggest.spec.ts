import { describe, expect, it } from 'vitest';
import { didYouMean, suggestion } from './suggest.js';

const KEYS = ['vendor_id', 'product_id', 'address', 'devname'];

describe('didYouMean', () => {
  it.each([
    ['vender_id', 'vendor_id'],
    ['vednor_id', 'vendor_id'],
    ['VENDOR_ID', 'vendor_id'],
    ['adress', 'address'],
    ['addres', 'address'],
    ['product', null],
    ['', null],
    ['v', null],
    ['x'.repeat(10_000), null],
  ])('%j → %j', (word, expected) => {
    expect(didYouMean(word, KEYS)).toBe(expected);
  });

  it('wants a nearer word when it is short, and takes the earlier of two', () => {
    expect(didYouMean('bux', ['bus', 'box'])).toBe('bus');
    expect(didYouMean('abc', ['xyc', 'axy'])).toBeNull();
  });

  it('looks at a thousand candidates at most', () => {
    const others = Array<string>(1000).fill('zzzzzzz');
    expect(didYouMean('bus', [...others, 'bus'])).toBeNull();
    expect(didYouMean('bus', [...others.slice(1), 'bus'])).toBe('bus');
  });

  it('looks at words of 1 to 64 letters only', () => {
    expect(didYouMean('', ['a'])).toBeNull();
    expect(didYouMean('a', ['b'])).toBe('b');
    expect(didYouMean('x'.repeat(64), ['x'.repeat(63)])).toBe('x'.repeat(63));
    expect(didYouMean('x'.repeat(65), ['x'.repeat(64)])).toBeNull();
  });

  it.each([
    ['address', 'address', 'the word itself'],
    ['address', 'addresses', 'two letters more'],
    ['addresses', 'address', 'two letters fewer'],
    ['address', 'adrdess', 'two letters swapped'],
    ['address', 'addressing', null],
    ['addressing', 'address', null],
    ['address', 'adderss!', null],
  ])('%j is as far from %j as that: %s', (word, candidate, near) => {
    expect(didYouMean(word, [candidate])).toBe(near === null ? null : candidate);
  });

  it('is worded for a message, or says nothing', () => {
    expect(suggestion('vender_id', KEYS)).toBe('; did you mean "vendor_id"?');
    expect(suggestion('colour', KEYS)).toBe('');
  });
});
