import { describe, expect, it } from 'vitest';
import { meetsExtraSpec } from './extra-spec-operators.js';

/** What Nova 26.2 (Apache-2.0) answers to `match(value, requirement)` of `extra_specs_ops.py`, asked of an installed one. */
const NOVAS_ANSWERS: readonly [found: string, yes: readonly string[], no: readonly string[]][] = [
  ['', [''], ['1', 's== 1', '<in> ']],
  [
    '1',
    ['1', '= 1', '== 1', '== 1.0', '!= 2', '>= 1', '<= 1', 's== 1', '= 0 junk'],
    ['2', '', '= 2', '!= 1', '>= 3', '<= 0', '1 ', '=1'],
  ],
  ['2', ['= 1', 's>= 10', 's> 1', 's<= 2', '<or> 1 <or> 2'], ['>= 10', 's< 10', '<or> 3 <or> 4']],
  ['123', ['>= 2', '== 123', '<in> 12', '<all-in> 1 3'], ['s>= 2', '<in> 13', '<all-in> 1 4']],
  ['1.5', ['= 1.25', '== 1.50', '<= 1.5e0'], ['= 2']],
  ['-1', ['<= 0', '= -1', '!= 0'], ['>= 0']],
  [
    'true',
    ['true', 's== true', 's!= false', '<or> true', '<or> false <or> true', '<in> tru'],
    ['True', 's!= true', '<or> false true', '<in>', 's==', '<or> a <or>'],
  ],
  ['a b', ['a b', 's!= a', '<in> b'], ['a  b', 's== a b']],
  [
    'x86_64',
    ['<in> x86', 's== x86_64', '<all-in> x 64', '<or> i686 <or> x86_64', '<or> i686 and x86_64', 's> x86'],
    ['<or> i686 <or> ppc', 's< x86'],
  ],
  ['11', ['= 1 11', '== 11 12', '<or> 11 12', '<or> 12 <or> 11 <or> 13'], []],
  ['ssd', ['ssd', 's== ssd', '<in> s'], ['hdd', 's== hdd', '=ssd', '!ssd']],
];

describe('an extra spec', () => {
  it.each(NOVAS_ANSWERS)('of "%s" is met as in Nova', (found, yes, no) => {
    for (const requirement of yes)
      expect([requirement, meetsExtraSpec(found, requirement)]).toEqual([requirement, true]);
    for (const requirement of no)
      expect([requirement, meetsExtraSpec(found, requirement)]).toEqual([requirement, false]);
  });

  it.each(['== ssd', '>= ssd', '!= 4', '= 0x10', '<or>', '<all-in>'])(
    '"%s" is a no where Nova breaks off',
    (requirement) => {
      expect(meetsExtraSpec('ssd', requirement)).toBe(false);
    },
  );

  it.each([
    ['<in> avx', false],
    ['<in> avx2', true],
    ['<all-in> avx2 aes', true],
    ['<all-in> avx2 avx', false],
    ['aes', true],
    ['s== aes', true],
    ['<or> avx512f <or> aes', true],
    ['<or> avx512f <or> sse', false],
    ['<in>', false],
  ])('%s of a list looks at whole members', (requirement, met) => {
    expect(meetsExtraSpec(['aes', 'avx2'], requirement)).toBe(met);
  });
});
