import { describe, expect, it } from 'vitest';
import { isBase64, metadataProblem, plainIpv6, tagProblem, tagsProblem } from './server-fields.js';

describe('fields of servers', () => {
  it.each([
    ['', true],
    ['IyEvYmluL3No', true],
    ['IyEv\nYmlu\r\nL3No\n', true],
    ['QQ==', true],
    ['QQ=', false],
    ['QQ', false],
    ['not base64!', false],
    [7, false],
    [null, false],
  ])('%j in base64: %s', (text, good) => expect(isBase64(text)).toBe(good));

  it.each([
    ['0000:0000:0000:0000:0000:babe:220.12.22.2', '::babe:dc0c:1602'],
    ['2001:2001::3', '2001:2001::3'],
    ['FE80::0:1', 'fe80::1'],
  ])('%s is written %s', (given, plain) => expect(plainIpv6(given)).toBe(plain));

  it.each([
    [{}, true],
    [{ 'a key-1_2.3:4': '' }, true],
    [{ a: 'x'.repeat(255) }, true],
    [{ a: 'x'.repeat(256) }, false],
    [{ ['k'.repeat(256)]: '' }, false],
    [{ '': 'x' }, false],
    [{ 'a/b': 'x' }, false],
    [{ a: 1 }, false],
    [{ a: 'nul\0' }, false],
    [['a'], false],
    [null, false],
  ])('metadata %j: %s', (metadata, good) => expect(metadataProblem(metadata) === null).toBe(good));

  it.each([
    ['a', true],
    ['mit Wörtern', true],
    ['', false],
    ['a,b', false],
    ['a/b', false],
    ['x'.repeat(61), false],
    [1, false],
  ])('tag %j: %s', (tag, good) => {
    expect(tagProblem(tag) === null).toBe(good);
    expect(tagsProblem(['fine', tag]) === null).toBe(good);
  });
});
