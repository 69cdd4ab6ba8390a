import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import type { Case } from './case.js';
import { agrees } from './compare.js';
import { readCases } from './read-cases.js';
import { runCases } from './run-cases.js';

const VECTORS = fileURLToPath(new URL('vectors', import.meta.url));
const CASES = [...readCases([VECTORS])];
const AREAS = ['alias', 'devspec', 'devstate', 'filter', 'stats', 'tracker', 'whitelist'];

describe('the nova dialect', () => {
  it.each(AREAS)('answers as Nova did: %s', (area) => {
    const result = runCases(CASES.filter((one) => one.area === area)).get(area);
    expect(result?.differences).toEqual([]);
    expect(result?.passed).toBe(result?.total);
    expect(result?.total).toBeGreaterThan(40);
  });

  it('meets every oddity that Nova has', () => {
    const quirks = new Set(CASES.flatMap((one) => one.quirks));
    expect([...quirks].sort()).toEqual([
      ...['available-device-in-no-pool', 'count-below-one', 'crash', 'failed-consume-lost-devices'],
      ...['fit-cache-wrong-answer', 'forgotten-device-in-a-pool', 'null-tag-merged', 'preferred-refused-for-affinity'],
      ...['remote-managed-unprintable-address', 'removed-device-came-back', 'removed-device-kept-by-save'],
      ...['supported-but-not-consumed', 'untyped-alias-repeated'],
    ]);
  });
});

describe('comparing', () => {
  const one = (expected: unknown, area = 'stats'): Case => ({ id: 'x', area, input: {}, expected, quirks: [] });

  it.each<[string, unknown, unknown, boolean]>([
    ['the same in another order of keys', { a: 1, b: [1, { c: null }] }, { b: [1, { c: null }], a: 1 }, true],
    ['another number', { a: 1 }, { a: 2 }, false],
    ['another order of a list', [1, 2], [2, 1], false],
    ['a list that is longer', [1], [1, 2], false],
    ['a field too many', { a: 1 }, { a: 1, b: 2 }, false],
    ['a field too few', { a: 1, b: null }, { a: 1 }, false],
    ['null for an object', { a: {} }, { a: null }, false],
    ['true for "true"', { a: 'true' }, { a: true }, false],
    ['how Nova read it does not count', { a: 1, parsed: { x: 1 } }, { a: 1 }, true],
    ['an error by its name', { error: 'X', kind: 'nova' }, { error: 'X', kind: 'nova' }, true],
    ['an error of another name', { error: 'X', kind: 'nova' }, { error: 'Y', kind: 'nova' }, false],
    [
      'a refusal where Nova breaks off',
      { error: 'KeyError', kind: 'crash' },
      { error: 'our.own', kind: 'crash' },
      true,
    ],
    ['an answer where Nova breaks off', { error: 'KeyError', kind: 'crash' }, { a: 1 }, false],
    ['a refusal at another stage', stage('crash', 'parse'), stage('crash', 'match'), false],
    ['an error on purpose where Nova breaks off', stage('crash', 'parse'), stage('nova', 'parse'), false],
  ])('%s', (_, expected, answer, same) => {
    expect(agrees(one(expected), answer)).toBe(same);
  });

  it('finds any change of any answer', () => {
    const blind = CASES.filter((given) => {
      const altered = { ...given, expected: alter(given.expected) };
      return runCases([altered]).get(given.area)?.passed === 1;
    });
    expect(blind.map(({ id }) => id)).toEqual([]);
  });
});

function stage(kind: string, name: string): unknown {
  return { error: 'X', kind, stage: name };
}

/** Changes the first thing that counts; what Nova broke off at becomes an answer. */
function alter(value: unknown): unknown {
  if (Array.isArray(value)) return value.length > 0 ? [alter(value[0]), ...value.slice(1)] : ['more'];
  if (typeof value === 'boolean') return !value;
  if (typeof value !== 'object' || value === null) return `${String(value)}x`;
  const entries = Object.entries(value);
  if (entries.some(([key, kind]) => key === 'kind' && kind === 'crash')) return { support: true };
  const [first, ...rest] = entries.filter(([key]) => !['parsed', 'fit', 'NUMATopologyFilter', 'kind'].includes(key));
  if (!first) return { more: 1 };
  return Object.fromEntries([[first[0], alter(first[1])], ...rest]);
}

describe('reading vectors', () => {
  const folder = mkdtempSync(join(tmpdir(), 'berth-vectors-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  it.each([
    ['{"id": "a"', /file\.jsonl:1: not JSON/],
    ['\n{"id": "a"}', /file\.jsonl:2: a case has id, area, input and expected/],
  ])('refuses %j with its place', (text, message) => {
    writeFileSync(join(folder, 'file.jsonl'), text);
    expect(() => [...readCases([folder])]).toThrow(message);
  });

  it('refuses a folder without files, and a folder that is not there', () => {
    const empty = mkdtempSync(join(folder, 'empty-'));
    expect(() => [...readCases([empty])]).toThrow('has no *.jsonl file');
    expect(() => [...readCases([join(folder, 'none')])]).toThrow('cannot be read');
  });

  it('takes a file for itself', () => {
    expect([...readCases([join(VECTORS, 'named.jsonl')])].length).toBeGreaterThan(100);
  });

  it('counts an area that it does not know as a difference', () => {
    const other = { id: 'x', area: 'other', input: {}, expected: 1, quirks: [] };
    expect(runCases([other]).get('other')).toMatchObject({ total: 1, passed: 0 });
  });
});
