import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BerthError } from '../errors.js';
import { parseAddress } from './address.js';
import { parseAliasesAs, parseAliasRequestAs, resolveNumaPolicyAs } from './dialect-readers.js';
import { DIALECTS, type Dialect } from './dialect.js';
import { parseDeviceSpecs } from './device-spec/device-spec-reader.js';

const KEYS = [
  ...['vendor_id', 'product_id', 'address', 'devname', 'class', 'tags', 'traits', 'name', 'device_type', 'selector'],
  ...['exclude', 'physical_network', 'numa_policy', 'utility', 'group', 'domain', 'bus', 'slot', 'function'],
  ...['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', 'length', ''],
];
const TEXTS = [
  ...[
    '*',
    '10de',
    '0x',
    '-1',
    '0000:81:00.0',
    '((((',
    '(a+)+$',
    '[',
    '\\',
    'a{1000}{1000}',
    '(?=a)',
    '\u0000',
    '\ud800',
  ],
  ...['true', 'device', 'device.x', 'device.tags["a"].matches("(a+)+$")', '{A|', '!', ',,', ':', 'gpu:1', 'gpu:9e9'],
];

/** What JSON can say, with the words of the grammars in it. */
const hostile = fc.letrec<{ value: unknown; object: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, depthSize: 'small' },
    fc.constantFrom<unknown>(...TEXTS, null, true, false, 0, -1, 1e308, 65_536, 0.5),
    fc.string(),
    fc.array(tie('value'), { maxLength: 4 }),
    tie('object'),
  ),
  object: fc
    .array(fc.tuple(fc.oneof(fc.constantFrom(...KEYS), fc.string()), tie('value')), { maxLength: 6 })
    // as JSON.parse does it: `__proto__` is a key like any other
    .map(
      (entries) =>
        JSON.parse(
          `{${entries.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join()}}`,
        ) as unknown,
    ),
}));

/** Runs to its end or refuses with one of our errors, and leaves what all objects have alone. */
function survives(act: () => unknown): void {
  try {
    act();
  } catch (error) {
    expect(error).toBeInstanceOf(BerthError);
    expect((error as Error).message.length).toBeLessThan(100_000);
  }
  expect(Object.keys(Object.prototype)).toEqual([]);
  expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
}

const READERS: readonly [string, (dialect: Dialect, value: unknown) => unknown][] = [
  ['a whitelist', (dialect, value) => parseDeviceSpecs(value, 'x', { freeTags: ['rack', '__proto__'], dialect })],
  ['a list of entries', (dialect, value) => parseDeviceSpecs([value, {}], 'x', { freeTags: [], dialect })],
  ['an alias', (dialect, value) => parseAliasesAs(dialect, [{ value, where: 'x' }])],
  [
    'aliases of one name',
    (dialect, value) =>
      parseAliasesAs(
        dialect,
        [value, value].map((one) => ({ value: one, where: 'x' })),
      ),
  ],
  ['a request', (dialect, value) => parseAliasRequestAs(dialect, String(JSON.stringify(value)))],
  [
    'a policy',
    (dialect, value) => resolveNumaPolicyAs(dialect, { flavor: JSON.stringify(value), image: null, alias: null }),
  ],
  ['an address', (_, value) => parseAddress(String(JSON.stringify(value)))],
];

describe.each(DIALECTS)('in dialect %s, whatever JSON says', (dialect) => {
  it.each(READERS)('%s is read or refused, and no more', (_, read) => {
    fc.assert(
      fc.property(hostile.value, (value) => survives(() => read(dialect, value))),
      { numRuns: 1_000 },
    );
  });
});

describe('what costs much with other readers', () => {
  const list = (length: number, make: (index: number) => unknown): unknown[] =>
    Array.from({ length }, (_, at) => make(at));

  it.each<[string, unknown]>([
    ['regexes that backtrack for ever elsewhere', { address: { bus: '(a+)+$', slot: '(a|a)*b', function: '(.*)*x' } }],
    ['a regex that grows when it is compiled', { address: { bus: 'a{1000}{1000}' } }],
    ['nested groups', { address: { bus: `${'('.repeat(90)}a${')'.repeat(90)}` } }],
    ['a regex that is too long', { address: { bus: 'a'.repeat(1_000_000) } }],
    ['an address of colons', { address: ':'.repeat(1_000_000) }],
    ['an id of zeros', { vendor_id: '0'.repeat(1_000_000) }],
    ['a hundred thousand keys', Object.fromEntries(list(100_000, (at) => [`key${at}`, 1]) as [string, number][])],
    ['a hundred thousand entries', list(100_000, () => ({}))],
    ['a hundred thousand traits', { traits: list(100_000, (at) => `T${at}`) }],
    ['a text of commas for traits', { traits: ','.repeat(1_000_000) }],
  ])('%s', (_, value) => {
    for (const dialect of DIALECTS) {
      survives(() => parseDeviceSpecs(value, 'x', { freeTags: [], dialect }));
      survives(() => parseAliasesAs(dialect, [{ value, where: 'x' }]));
    }
  });

  it.each<[string, string]>([
    ['a million items', 'gpu:1,'.repeat(1_000_000)],
    ['a million colons', ':'.repeat(1_000_000)],
    ['a million blanks', ' '.repeat(1_000_000)],
    ['a count of a million digits', `gpu:${'9'.repeat(1_000_000)}`],
  ])('a request of %s', (_, text) => {
    for (const dialect of DIALECTS) survives(() => parseAliasRequestAs(dialect, text));
  });
});
