import { describe, expect, it } from 'vitest';
import { isTruthy, novaBoolean, novaEquals, novaHex, novaInteger, novaStrip, novaText } from './nova-values.js';

describe('integers as Python reads them', () => {
  it.each<[string, number | null]>([
    ['8086', 0x8086],
    ['10DE', 0x10de],
    ['  71 ', 0x71],
    ['\t71\n', 0x71],
    ['\u001f71\u0085', 0x71],
    ['\ufeff71', null],
    ['+71', 0x71],
    ['-1', -1],
    ['- 1', null],
    ['--1', null],
    ['0x8086', 0x8086],
    ['0X_8086', 0x8086],
    ['-0x1', -1],
    ['0x', null],
    ['x1', null],
    ['80_86', 0x8086],
    ['80__86', null],
    ['_8086', null],
    ['8086_', null],
    ['', null],
    ['  ', null],
    ['8086.', null],
    ['80 86', null],
    ['g', null],
    ['٣٤', 0x34],
    ['１２', 0x12],
    ['๙', 9],
    ['0', 0],
  ])('%j in hex is %j', (text, value) => {
    expect(novaInteger(text, 16)).toBe(value);
  });

  it.each<[string, number | null]>([
    ['10', 10],
    ['1_0', 10],
    ['+2', 2],
    ['-3', -3],
    ['01', 1],
    ['0x2', null],
    ['a', null],
    ['1.5', null],
    ['1e3', null],
  ])('%j in decimal is %j', (text, value) => {
    expect(novaInteger(text, 10)).toBe(value);
  });
});

describe('values as Python sees them', () => {
  it.each<[number, number, string]>([
    [0x71, 4, '0071'],
    [0x8086, 4, '8086'],
    [0xa, 2, '0a'],
    [7, 1, '7'],
    [-1, 4, '-001'],
    [-1, 1, '-1'],
  ])('%j in %j digits is %j', (value, width, text) => {
    expect(novaHex(value, width)).toBe(text);
  });

  it.each<[unknown, boolean]>([
    [null, false],
    [undefined, false],
    [0, false],
    ['', false],
    [[], false],
    [{}, false],
    [false, false],
    [' ', true],
    ['0', true],
    [[0], true],
    [{ a: null }, true],
    [-1, true],
  ])('%j is true or not: %j', (value, truth) => {
    expect(isTruthy(value)).toBe(truth);
  });

  it.each<[unknown, boolean]>([
    ['True', true],
    [' yes\n', true],
    ['T', true],
    ['on', true],
    ['y', true],
    ['1', true],
    [1, true],
    [true, true],
    ['0', false],
    ['banana', false],
    ['truee', false],
    [null, false],
    [undefined, false],
    [[true], false],
    [2, false],
  ])('%j as a word is %j', (value, truth) => {
    expect(novaBoolean(value)).toBe(truth);
  });

  it.each<[unknown, string]>([
    ["it's", "it's"],
    [null, 'None'],
    [true, 'True'],
    [false, 'False'],
    [1.5, '1.5'],
    [['a', null, true], "['a', None, True]"],
    [{ a: 'x', b: [1] }, "{'a': 'x', 'b': [1]}"],
    [["it's"], '["it\'s"]'],
    [['both \' and "'], "['both \\' and \"']"],
    [['back\\slash'], "['back\\\\slash']"],
  ])('%j as text is %s', (value, text) => {
    expect(novaText(value)).toBe(text);
  });

  it.each<[unknown, unknown, boolean]>([
    ['a', 'a', true],
    ['a', 'A', false],
    [null, null, true],
    [null, 0, false],
    [true, 1, true],
    [1, true, true],
    [false, 0, true],
    [0, false, true],
    [true, 2, false],
    [true, 'true', false],
    [[1, 2], [1, 2], true],
    [[1, 2], [2, 1], false],
    [[1], [1, 2], false],
    [[], {}, false],
    [{ a: 1, b: [true] }, { b: [1], a: 1 }, true],
    [{ a: 1 }, { b: 1 }, false],
    [{ a: undefined }, {}, false],
    [{ a: 1 }, null, false],
    ['1', 1, false],
  ])('%j and %j are equal: %j', (a, b, equal) => {
    expect(novaEquals(a, b)).toBe(equal);
    expect(novaEquals(b, a)).toBe(equal);
  });

  it('strips what Python strips, at both ends alone', () => {
    expect(novaStrip('\u2003\u3000 a \u001c b \u00a0\u1680')).toBe('a \u001c b');
    expect(novaStrip('\u200b')).toBe('\u200b');
  });
});
