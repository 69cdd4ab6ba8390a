import { RE2JSException } from 're2js';
import { describe, expect, it } from 'vitest';
import { compiledPattern, linearMatch, position, splitClauses } from './selector-text.js';

describe('a place in an expression', () => {
  it.each<[string, number, string]>([
    ['a && b', 0, '(character 1)'],
    ['a && b', 5, '(character 6)'],
    ['a &&\n  b', 7, '(line 2, character 3)'],
    ['a\n&& b', 0, '(line 1, character 1)'],
  ])('%j at %i is %s', (text, index, expected) => {
    expect(position(text, index)).toBe(expected);
  });
});

describe('the clauses of an expression', () => {
  it.each<[string, string[]]>([
    ['a', ['a']],
    ['a && b&&c', ['a', 'b', 'c']],
    ['a && (b && c) && d', ['a', '(b && c)', 'd']],
    ['a in [b && c] && d', ['a in [b && c]', 'd']],
    ['{a: b && c} == d && e', ['{a: b && c} == d', 'e']],
    ['x == "a && b" && c', ['x == "a && b"', 'c']],
    ["x == 'a && b' && c", ["x == 'a && b'", 'c']],
    ['x == "\\" && (" && c', ['x == "\\" && ("', 'c']],
    ["x == '\\' && (' && c", ["x == '\\' && ('", 'c']],
    ["x == '(' && c", ["x == '('", 'c']],
    ['x == "(" && c', ['x == "("', 'c']],
    ['a // and ( more\n&& b', ['a // and ( more', 'b']],
    ['a // b && c\n&& d', ['a // b && c', 'd']],
    ['(a || b) && c', ['(a || b)', 'c']],
    ['a || b', ['a || b']],
    ['a && b || c', ['a && b || c']],
    ['a ? b : c && d', ['a ? b : c && d']],
    ['a && (b ? c : d)', ['a', '(b ? c : d)']],
  ])('%j', (text, expected) => {
    expect(splitClauses(text)).toEqual(expected);
  });
});

describe('regexes', () => {
  it.each<[string, string, boolean]>([
    ['10de', 'd', true],
    ['10de', '^d', false],
    ['10de', '^1.*e$', true],
  ])('in %j is /%s/: %j', (text, pattern, expected) => {
    expect(linearMatch(text, pattern)).toBe(expected);
  });

  it('are compiled once, as long as there are not too many', () => {
    const first = compiledPattern('kept');
    expect(compiledPattern('other')).not.toBe(first);
    expect(compiledPattern('kept')).toBe(first);
    for (let index = 0; index < 1000; index++) compiledPattern(`x${index}`);
    expect(compiledPattern('kept')).not.toBe(first);
    expect(compiledPattern('kept').pattern()).toBe('kept');
  });

  it('have to be ones', () => {
    expect(() => compiledPattern('(')).toThrow(RE2JSException);
  });
});
