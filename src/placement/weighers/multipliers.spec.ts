import { describe, expect, it } from 'vitest';
import { anAggregate } from '../../../test/support/filter-cases.js';
import { multiplierOf } from './multipliers.js';
import { WEIGHERS } from './weighers.js';

const RAM = { name: 'RAMWeigher', defaultMultiplier: 1, metadataKey: 'ram_weight_multiplier' };
const says = (...values: string[]) =>
  values.map((value, at) => anAggregate({ ram_weight_multiplier: value }, `a${at}`));

describe('the multiplier of a weigher for a host', () => {
  it.each([
    ['its default', [], {}, 1],
    ['as the settings say', [], { RAMWeigher: 3 }, 3],
    ['0 of the settings', [], { RAMWeigher: 0 }, 0],
    ['as its aggregate says', says('2.5'), { RAMWeigher: 3 }, 2.5],
    ['with blanks', says(' -2.5 '), {}, -2.5],
    ['as Python writes numbers', says('.5e1'), {}, 5],
    ['the least of several', says('2', '-1', '10'), {}, -1],
    ['no list: that is no number', says('1,2'), { RAMWeigher: 3 }, 3],
    ['no number among numbers', says('2', 'high'), { RAMWeigher: 3 }, 3],
    ['nothing', says(''), {}, 1],
    ['of an aggregate that says something else', [anAggregate({ cpu_weight_multiplier: '9' })], {}, 1],
  ])('is %s', (_what, aggregates, weigherMultipliers, multiplier) => {
    expect(multiplierOf({ aggregates }, RAM, { weigherMultipliers })).toBe(multiplier);
  });

  it('is taken away where the weigher says so, whoever says the number', () => {
    const failures = { ...RAM, subtracts: true };
    expect(multiplierOf({ aggregates: [] }, failures, { weigherMultipliers: {} })).toBe(-1);
    expect(multiplierOf({ aggregates: [] }, failures, { weigherMultipliers: { RAMWeigher: 7 } })).toBe(-7);
    expect(multiplierOf({ aggregates: says('4') }, failures, { weigherMultipliers: {} })).toBe(-4);
  });

  it("of a weigher without a key is nobody else's", () => {
    expect(
      multiplierOf({ aggregates: says('4') }, { name: 'X', defaultMultiplier: 2 }, { weigherMultipliers: {} }),
    ).toBe(2);
  });

  it.each(WEIGHERS.filter(({ metadataKey }) => metadataKey !== undefined))(
    '$name has a key of its own',
    ({ metadataKey }) => {
      expect(metadataKey).toMatch(/^[a-z_]+_multiplier$/);
      expect(WEIGHERS.filter((other) => other.metadataKey === metadataKey)).toHaveLength(1);
    },
  );
});
