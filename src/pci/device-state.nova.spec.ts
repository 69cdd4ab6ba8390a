import { describe, expect, it } from 'vitest';
import { card, device, PF, refusal, run, VF1, VF2, type Card, type Step } from '../../test/support/device-card.js';
import { BerthError } from '../errors.js';
import { transition } from './device-state.js';
import type { Dialect } from './dialect.js';

describe('what Nova does otherwise', () => {
  it.each<[string, Card, Step, { strict: Card | string; nova: Card | string }]>([
    [
      'a VF that was removed under its PF comes back when that is freed',
      ['claimed of a', 'removed', 'unclaimable'],
      ['free', PF, 'a'],
      { strict: ['available', 'removed', 'available'], nova: ['available', 'available', 'available'] },
    ],
    [
      'a PF that was removed comes back with its last VF',
      ['removed', 'allocated of a', 'available'],
      ['free', VF1, 'a'],
      { strict: ['removed', 'available', 'available'], nova: ['available', 'available', 'available'] },
    ],
    [
      'a removed sibling keeps the PF blocked',
      ['unavailable', 'allocated of a', 'removed'],
      ['free', VF1, 'a'],
      { strict: ['available', 'available', 'removed'], nova: ['unavailable', 'available', 'removed'] },
    ],
    [
      'a removed VF stops a claim of its PF',
      ['available', 'removed', 'available'],
      ['claim', PF, 'a'],
      { strict: ['claimed of a', 'removed', 'unclaimable'], nova: 'device.relative_in_use' },
    ],
    [
      'a removed PF stops a claim of its VF',
      ['removed', 'available', 'available'],
      ['claim', VF1, 'a'],
      { strict: ['removed', 'claimed of a', 'available'], nova: 'device.relative_in_use' },
    ],
    [
      'a removed PF stops an allocation of its VF',
      ['removed', 'claimed of a', 'available'],
      ['allocate', VF1, 'a'],
      { strict: ['removed', 'allocated of a', 'available'], nova: 'device.relative_in_use' },
    ],
    [
      'a stuck VF stops a direct allocation of its PF',
      ['available', 'unavailable', 'available'],
      ['allocate', PF, 'a'],
      { strict: ['allocated of a', 'unavailable', 'unavailable'], nova: 'device.relative_in_use' },
    ],
    [
      'a stuck VF is weakened by a claim, not mended',
      ['unavailable', 'available', 'available'],
      ['claim', VF1, 'a'],
      { strict: ['unclaimable', 'claimed of a', 'available'], nova: ['unavailable', 'claimed of a', 'available'] },
    ],
    [
      'the last but one VF says nothing about how firmly the PF is blocked',
      ['unavailable', 'allocated of a', 'claimed of b'],
      ['free', VF1, 'a'],
      { strict: ['unclaimable', 'available', 'claimed of b'], nova: ['unavailable', 'available', 'claimed of b'] },
    ],
    [
      'a free overrules the owner of a VF that should not be in use',
      ['claimed of a', 'allocated of b', 'unclaimable'],
      ['free', PF, 'a'],
      { strict: ['unavailable', 'allocated of b', 'available'], nova: ['available', 'available of b', 'available'] },
    ],
    [
      'a free device with an owner is claimed by another',
      ['available', 'available of b', 'available'],
      ['claim', VF1, 'a'],
      { strict: 'device.invalid_owner', nova: ['unclaimable', 'claimed of a', 'available'] },
    ],
    [
      'and allocated by another',
      ['available', 'available of b', 'available'],
      ['allocate', VF1, 'a'],
      { strict: 'device.invalid_owner', nova: ['unavailable', 'allocated of a', 'available'] },
    ],
    [
      'a removal mends no relative',
      ['unclaimable', 'available', 'available'],
      ['remove', VF1],
      { strict: ['available', 'removed', 'available'], nova: ['unclaimable', 'removed', 'available'] },
    ],
  ])('%s', (_name, before, step, { strict, nova }) => {
    const answer = (dialect: Dialect): string[] | string => {
      try {
        return run(card(before), [step], dialect);
      } catch (error) {
        return error instanceof BerthError ? error.code : 'crash';
      }
    };
    expect(answer('strict')).toEqual(strict);
    expect(answer('nova')).toEqual(nova);
  });

  it.each<[string, Card, Step[], Card]>([
    [
      'the life of a PF',
      ['available', 'available', 'available'],
      [['claim', PF, 'a']],
      ['claimed of a', 'unclaimable', 'unclaimable'],
    ],
    [
      'allocated',
      ['claimed of a', 'unclaimable', 'unclaimable'],
      [['allocate', PF, 'a']],
      ['allocated of a', 'unavailable', 'unavailable'],
    ],
    [
      'freed',
      ['allocated of a', 'unavailable', 'unavailable'],
      [['free', PF, 'a']],
      ['available', 'available', 'available'],
    ],
    [
      'the life of a VF',
      ['available', 'available', 'available'],
      [
        ['claim', VF1, 'a'],
        ['claim', VF2, 'b'],
      ],
      ['unclaimable', 'claimed of a', 'claimed of b'],
    ],
    [
      'one allocated, the other still claimed',
      ['unclaimable', 'claimed of a', 'claimed of b'],
      [['allocate', VF1, 'a']],
      ['unavailable', 'allocated of a', 'claimed of b'],
    ],
    [
      'a PF that is allocated at once',
      ['available', 'available', 'available'],
      [['allocate', PF, 'a']],
      ['allocated of a', 'unavailable', 'unavailable'],
    ],
    [
      'both freed',
      ['unavailable', 'allocated of a', 'claimed of b'],
      [
        ['free', VF1, 'a'],
        ['free', VF2, 'b'],
      ],
      ['available', 'available', 'available'],
    ],
    [
      'our own events work in this dialect too',
      ['unavailable', 'allocated of a', 'available'],
      [
        ['clean', VF1, 'a'],
        ['cleaned', VF1],
      ],
      ['available', 'available', 'available'],
    ],
  ])('and what it does alike: %s', (_name, before, steps, after) => {
    expect(run(card(before), steps, 'nova')).toEqual(after);
  });

  it.each<[string, Card, Step, BerthError['code']]>([
    [
      'claim a PF whose VF is in use',
      ['available', 'allocated of b', 'available'],
      ['claim', PF, 'a'],
      'device.relative_in_use',
    ],
    [
      'claim a VF whose PF is in use',
      ['claimed of b', 'available', 'available'],
      ['claim', VF1, 'a'],
      'device.relative_in_use',
    ],
    [
      'allocate a VF whose PF is in use',
      ['claimed of b', 'available', 'available'],
      ['allocate', VF1, 'a'],
      'device.relative_in_use',
    ],
    [
      "allocate another's claim",
      ['available', 'claimed of b', 'available'],
      ['allocate', VF1, 'a'],
      'device.invalid_owner',
    ],
    [
      'allocate a claim of nobody',
      ['available', 'claimed', 'available'],
      ['allocate', VF1, 'a'],
      'device.invalid_owner',
    ],
    ["free another's device", ['available', 'claimed of b', 'available'], ['free', VF1, 'a'], 'device.invalid_owner'],
    ['remove an owned device', ['available', 'available of b', 'available'], ['remove', VF1], 'device.invalid_owner'],
    ['remove a device in use', ['available', 'claimed of b', 'available'], ['remove', VF1], 'device.invalid_status'],
  ])('and refuses alike: %s', (_name, before, step, code) => {
    expect(refusal(card(before), step, 'nova').code).toBe(code);
  });

  it('a PF waits for all its VFs, not for one of them', () => {
    const vf3 = device('0000:05:02.2', PF, 'claimed of c');
    const devices = card(['unavailable', 'allocated of a', 'available']).set(vf3.address, vf3);
    expect(run(devices, [['free', VF1, 'a']], 'nova')).toEqual(['unavailable', 'available', 'available']);
    expect(run(devices, [['free', vf3.address, 'c']], 'nova')).toEqual(['available', 'available', 'available']);
  });

  it('lists every VF of a freed PF, also one that was available already', () => {
    const freed = transition(card(['claimed of a', 'available', 'unclaimable']), 'free', PF, 'a', 'nova');
    expect(freed.map((state) => state.address)).toEqual([PF, VF1, VF2]);
  });
});
