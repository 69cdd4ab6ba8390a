import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Leaders } from './leaders.js';

/** Few values and many places: most are equal to others, and more take part than are kept. */
const VALUE = fc.oneof({ weight: 4, arbitrary: fc.integer({ min: 0, max: 3 }) }, fc.constant(NaN));
const CHANGE = fc.record({ at: fc.nat(99), value: VALUE, asks: fc.boolean() });

describe('Leaders', () => {
  it('are the first of all in order, whatever changed before', () => {
    fc.assert(
      fc.property(
        fc.array(VALUE, { minLength: 1, maxLength: 100 }),
        fc.array(CHANGE, { maxLength: 200 }),
        fc.integer({ min: 1, max: 12 }),
        fc.nat(99),
        (start, changes, count, seed) => {
          const values = Float64Array.from(start);
          const first = seed % values.length;
          const leaders = new Leaders(values, turnsOf(values.length, first));
          for (const { at, value, asks } of changes) {
            if (at >= values.length) continue;
            values[at] = value;
            leaders.touch(at);
            if (asks)
              expect(leaders.first(count, values.length).slice(0, count)).toEqual(
                sorted(values, first).slice(0, count),
              );
          }
          expect(leaders.first(count, values.length).slice(0, count)).toEqual(sorted(values, first).slice(0, count));
        },
      ),
    );
  });

  it('are looked for anew when all have changed', () => {
    const values = Float64Array.from({ length: 50 }, (_unused, index) => index);
    const leaders = new Leaders(values, turnsOf(values.length, 0));
    expect(leaders.first(2, values.length).slice(0, 2)).toEqual([49, 48]);
    values.reverse();
    leaders.forget();
    expect(leaders.first(2, values.length).slice(0, 2)).toEqual([0, 1]);
  });
});

/** Round from the first one on. */
function turnsOf(length: number, first: number): Int32Array {
  return Int32Array.from({ length }, (_unused, index) => (index - first + length) % length);
}

/** A stable sort of the indexes, from the first one on and round. */
function sorted(values: Float64Array, first: number): number[] {
  const all = [...values.keys()];
  const turned = [...all.slice(first), ...all.slice(0, first)].filter((index) => !Number.isNaN(values[index]));
  return turned.sort((a, b) => (values[b] as number) - (values[a] as number));
}
