import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readLocatedJson } from './located-json.js';

describe('JSON with places', () => {
  it('knows the line of every part', () => {
    const json = readLocatedJson('[\n{"a": 1},\n{\n"b": {\n"c": [1,\n2]}}]');
    if (json.problem !== null) throw new Error(json.problem);
    expect(json.value).toEqual([{ a: 1 }, { b: { c: [1, 2] } }]);
    const paths = [[], [0], [0, 'a'], [1], [1, 'b'], [1, 'b', 'c'], [1, 'b', 'c', 1], [1, 'b', 'nothing'], [7]];
    expect(paths.map((path) => json.lineOf(path))).toEqual([0, 1, 1, 2, 3, 4, 5, 3, 0]);
  });

  it.each([
    ['', 0, 'the text ends where a value should be'],
    ['{\n"a": 1,\n}', 2, 'a key in double quotes is missing between "," and "}"'],
    ['[1,\n2,]', 1, 'a value is missing between "," and "]"'],
    ["{'a': 1}", 0, 'single quotes; JSON wants double quotes'],
    ['{"a":\n \'x\'}', 1, 'single quotes'],
    ['{"a":\n8086"}', 1, 'a text in quotes that does not end'],
    ['{"a":\n x}', 1, 'x where a value should be; texts stand in double quotes'],
    ['{a: 1}', 0, 'a where a key in double quotes should be'],
    ['{"a" 1}', 0, '":" after the key is missing before 1'],
    ['{"a": 1\n "b": 2}', 1, '"," or the end is missing before "b"'],
    ['{"a": 1}\n{"b": 2}', 1, 'there is more after the value; remove it'],
    ['{"a": 1', 0, 'the text ends where "," or the end should be'],
    ['{"a": [1}', 0, '"}" does not close what is open here'],
    ['{"a": 0443}', 0, '0443 where a value should be'],
    ['{"a": True}', 0, 'True where a value should be'],
    ['{"a": "x\ny"}', 0, 'a text in quotes that does not end'],
    ['{"a":: 1}', 0, '":" where a value should be'],
    ['{"a": 1,\n"a": 2}', 1, 'the same key comes twice in one object'],
  ])('%j is refused', (text, line, expected) => {
    const json = readLocatedJson(text);
    expect(json.problem).toContain(expected);
    expect(json).toMatchObject({ line });
  });

  it('takes what JSON.parse takes, and names a fault for all the rest', () => {
    const damaged = fc
      .tuple(fc.json(), fc.nat(), fc.constantFrom('', ',', '}', '"', "'", ':', '[', '1', 'nul', '\n'))
      .map(([text, at, put]) => text.slice(0, at % (text.length + 1)) + put + text.slice((at % (text.length + 1)) + 1));
    fc.assert(
      fc.property(damaged, (text) => {
        let valid = true;
        try {
          JSON.parse(text);
        } catch {
          valid = false;
        }
        const { problem } = readLocatedJson(text);
        if (!valid) expect(problem).toMatch(/^not JSON: /);
        else if (problem !== null) expect(problem).toContain('comes twice');
      }),
      { numRuns: 2000 },
    );
  });
});
