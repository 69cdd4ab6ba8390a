import { describe, expect, it } from 'vitest';
import { parseOsloConfig } from './oslo-config.js';

describe('a file in the form of oslo.config', () => {
  it('has sections, repeated options, continuation lines, either sign, and line numbers', () => {
    const text = [
      'early = 1',
      '[pci]',
      '; a comment',
      'alias = {"name": "a",',
      '   "x": "#no comment $here"}  ',
      'alias={"a=b": "c:d"}\r',
      'time: 12:30',
      '',
      '[empty]',
      '[DEFAULT]',
      'nothing =',
      `quoted = "in quotes"`,
      `single = 'x'`,
    ].join('\n');
    expect(parseOsloConfig(text)).toEqual({
      problems: [],
      options: [
        { section: 'DEFAULT', key: 'early', value: '1', line: 1 },
        { section: 'pci', key: 'alias', value: '{"name": "a",\n"x": "#no comment $here"}', line: 4 },
        { section: 'pci', key: 'alias', value: '{"a=b": "c:d"}', line: 6 },
        { section: 'pci', key: 'time', value: '12:30', line: 7 },
        { section: 'DEFAULT', key: 'nothing', value: '', line: 11 },
        { section: 'DEFAULT', key: 'quoted', value: 'in quotes', line: 12 },
        { section: 'DEFAULT', key: 'single', value: 'x', line: 13 },
      ],
    });
  });

  it('may have the closing bracket of a value at the start of a line', () => {
    const text = 'alias = {\n  "name": "a"\n}\nspecs =\n  [{"a": 1},\n{"b": 2}\n]\nnext = 1';
    const { options, problems } = parseOsloConfig(text.replace('\n{"b": 2}', '\n  {"b": 2}'));
    expect(problems).toEqual([]);
    expect(options.map(({ value, line }) => [value, line])).toEqual([
      ['{\n"name": "a"\n}', 1],
      ['\n[{"a": 1},\n{"b": 2}\n]', 4],
      ['1', 8],
    ]);
  });

  it.each([
    ['a = 1\n}', 2, 'neither a section nor "key = value"'],
    ['a = {\n\n}', 3, 'neither a section nor "key = value"'],
    ['# c\n]', 2, 'neither a section nor "key = value"'],
    [' indented', 1, 'an indented line that continues nothing'],
    ['a = 1\n# comment\n  more', 3, 'an indented line that continues nothing'],
    ['a = 1\n\n  more', 3, 'an indented line that continues nothing'],
    ['[pci', 1, 'a section has to look like [pci]'],
    ['[]', 1, 'a section has to look like [pci]'],
    ['[pci] # note', 1, 'a section has to look like [pci]'],
    ['just words', 1, 'neither a section nor "key = value"'],
    ['= 1', 1, 'there is no key before "="'],
  ])('%j is refused', (text, line, expected) => {
    const { problems } = parseOsloConfig(text);
    expect(problems).toHaveLength(1);
    expect(problems[0]?.line).toBe(line);
    expect(problems[0]?.text).toContain(expected);
  });
});
