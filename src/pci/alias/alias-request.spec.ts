import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { aliasesNamedIn, parseAliasRequest } from './alias-request.js';

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
    expect(parseAliasRequest(text)).toEqual(expected.map(([alias, count]) => ({ alias, count })));
  });

  it.each([
    ['a:1..4', { alias: 'a', count: 1, countMax: 4 }],
    [' a : 2 .. 256 ', { alias: 'a', count: 2, countMax: 256 }],
    ['a:01..04', { alias: 'a', count: 1, countMax: 4 }],
    ['a:1..1', { alias: 'a', count: 1 }],
    ['a..b:3', { alias: 'a..b', count: 3 }],
  ])('%j, a range', (text, expected) => {
    expect(parseAliasRequest(text)).toStrictEqual([expected]);
  });

  it('have ranges beside counts', () => {
    const both = [{ alias: 'a', count: 1, countMax: 2 }, { alias: 'b', count: 1 }]; // prettier-ignore
    expect(parseAliasRequest('a:1..2,b:1')).toStrictEqual(both);
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
    ['a:4..1', '"a:4..1": the range is empty; write "1..4"'],
    ['a:0..4', '"a:0..4": the least count of a range must be 1 or more'],
    ['a:1..257', '"a:1..257": the greatest count of a range must be 256 or less'],
    ['a:..4', '"a:..4": the least count of a range has to be a whole number'],
    ['a:1..', '"a:1..": the greatest count of a range has to be a whole number'],
    ['b:1,a:1..2..3', 'item 2, "a:1..2..3": the greatest count of a range has to be a whole number'],
    ['a:1...4', 'the greatest count of a range has to be a whole number'],
    ['a:1-4', '"a:1-4": the count has to be a whole number'],
    [Array.from({ length: 33 }, () => 'a:1').join(','), '33 items; at most 32'],
    [`${'a'.repeat(256)}:1`, 'the name is longer than 255 characters'],
    ['a'.repeat(20_000), 'the text has 20000 characters'],
  ])('%j is refused', (text, expected) => {
    expect(() => parseAliasRequest(text)).toThrow(expected);
    expect(() => parseAliasRequest(text)).toThrow(expect.objectContaining({ code: 'request.invalid' }) as Error);
  });

  it.each([
    ['a:1, b b :2..4,a:3', ['a', 'b b', 'a']],
    ['a:-1,b', ['a', 'b']],
  ])('%j names aliases', (text, names) => {
    expect(aliasesNamedIn(text)).toEqual(names);
  });

  it('are taken up to the limits', () => {
    expect(parseAliasRequest(Array.from({ length: 32 }, () => 'a:1').join(','))).toHaveLength(32);
    expect(parseAliasRequest(`${'a'.repeat(255)}:1`)).toHaveLength(1);
    expect(parseAliasRequest(`a:1${' '.repeat(16_384 - 3)}`)).toHaveLength(1);
  });

  it('name the item of several, without the white space around it', () => {
    const prefix = 'pci_passthrough:alias: ';
    expect(() => parseAliasRequest(' gpu:x ')).toThrow(`${prefix}"gpu:x": the count`);
    expect(() => parseAliasRequest('a:1, gpu:x ')).toThrow(`${prefix}item 2, "gpu:x": the count`);
    expect(() => parseAliasRequest('a:1, ')).toThrow(`${prefix}item 2, there is nothing`);
  });

  it('read back what they write', () => {
    const count = fc.integer({ min: 1, max: 256 });
    const item = fc.tuple(fc.stringMatching(/^[a-z0-9 _-]{0,20}[a-z0-9]$/), count, fc.option(count));
    fc.assert(
      fc.property(fc.array(item, { minLength: 1, maxLength: 32 }), (items) => {
        const requests = items.map(([name, a, b]) => {
          const [least, most] = [Math.min(a, b ?? a), Math.max(a, b ?? a)];
          return { alias: name.trim(), count: least, ...(most > least && { countMax: most }) };
        });
        const texts = requests.map(({ alias, count: least, countMax }, at) => {
          return `${alias}:${items[at]?.[2] === null ? least : `${least}..${countMax ?? least}`}`;
        });
        expect(parseAliasRequest(texts.join(','))).toStrictEqual(requests);
      }),
    );
  });
});
