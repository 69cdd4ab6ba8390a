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
    expect(didYouMean('bus', [...Array<string>(1000).fill('zzzzzzz'), 'bus'])).toBeNull();
  });

  it('is worded for a message, or says nothing', () => {
    expect(suggestion('vender_id', KEYS)).toBe('; did you mean "vendor_id"?');
    expect(suggestion('colour', KEYS)).toBe('');
  });
});
