import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseAliasRequest } from './alias-request.js';

describe('alias requests', () => {
  it.each([
    ['a:1', [['a', 1]]],
    [
      ' a : 2 , b b: 1',
      [
        ['a', 2],
        ['b b', 1],
      ],
    ],
    ['a:01', [['a', 1]]],
    [
      'a:1,a:2',
      [
        ['a', 1],
        ['a', 2],
      ],
    ],
    ['a:256', [['a', 256]]],
  ])('%j', (text, expected) => {
    expect(parseAliasRequest(text).map(({ alias, count }) => [alias, count])).toEqual(expected);
  });

  it.each([
    ['', 'the text is empty; write name:count'],
    [' ', 'the text is empty'],
    ['a', '"a": write name:count, like "gpu:1"'],
    ['a:', '"a:": the count has to be a whole number'],
    ['a:x', '"a:x": the count has to be a whole number'],
    ['a:1.5', '"a:1.5": the count has to be a whole number'],
    ['a:1:2', '"a:1:2": write name:count'],
    ['a:1,', 'item 2, there is nothing; remove the comma too many'],
    ['a:1,,b:1', 'item 2, there is nothing'],
    ['gpu:0', '"gpu:0": the count must be 1 or more'],
    ['b:1,gpu:-1', 'item 2, "gpu:-1": the count must be 1 or more'],
    ['a:257', '"a:257": the count must be 256 or less'],
    ['a:99999999999999999999', 'the count must be 256 or less'],
    [':1', '":1": the alias name before ":" is missing'],
    ['a:+1', '"a:+1": the count has to be a whole number'],
    ['a:0x1', 'the count has to be a whole number'],
    [Array.from({ length: 33 }, () => 'a:1').join(','), '33 items; at most 32'],
    [`${'a'.repeat(256)}:1`, 'the name is longer than 255 characters'],
    ['a'.repeat(20_000), 'the text has 20000 characters'],
  ])('%j is refused', (text, expected) => {
    expect(() => parseAliasRequest(text)).toThrow(expected);
    expect(() => parseAliasRequest(text)).toThrow(expect.objectContaining({ code: 'request.invalid' }) as Error);
  });

  it('read back what they write', () => {
    const item = fc.tuple(fc.stringMatching(/^[a-z0-9 _-]{0,20}[a-z0-9]$/), fc.integer({ min: 1, max: 256 }));
    fc.assert(
      fc.property(fc.array(item, { minLength: 1, maxLength: 32 }), (items) => {
        const read = parseAliasRequest(items.map(([name, count]) => `${name}:${count}`).join(','));
        expect(read).toEqual(items.map(([name, count]) => ({ alias: name.trim(), count })));
      }),
    );
  });
});
