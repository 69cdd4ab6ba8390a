import { describe, expect, it } from 'vitest';
import { BerthError } from '../errors.js';
import {
  DEVICE_STATUSES,
  isHeld,
  transition,
  type DeviceEvent,
  type DeviceState,
  type DeviceStatus,
} from './device-state.js';
import type { Dialect } from './dialect.js';

const PF = '0000:05:00.0';
const VF1 = '0000:05:02.0';
const VF2 = '0000:05:02.1';
const ALONE = '0000:06:00.0';

type Sketch = DeviceStatus | `${DeviceStatus} of ${string}`;
type Card = readonly [pf: Sketch, vf1: Sketch, vf2: Sketch];
type Step = readonly [event: DeviceEvent, address: string, owner?: string];

function device(address: string, parentAddress: string | null, sketch: Sketch): DeviceState {
  const [status, ownerId = null] = sketch.split(' of ') as [DeviceStatus, string?];
  return { address, deviceType: parentAddress ? 'type-VF' : 'type-PF', parentAddress, status, ownerId };
}

/** The VFs come first, and in the wrong order, so that nothing relies on the order of the map. */
function card([pf, vf1, vf2]: Card = ['available', 'available', 'available']): Map<string, DeviceState> {
  const states = [device(VF2, PF, vf2), device(VF1, PF, vf1), device(PF, null, pf)];
  const alone: DeviceState = { ...device(ALONE, null, 'available'), deviceType: 'type-PCI' };
  return new Map([alone, ...states].map((state) => [state.address, state]));
}

function run(devices: Map<string, DeviceState>, steps: readonly Step[], dialect?: Dialect): string[] {
  for (const [event, address, owner] of steps) {
    for (const changed of transition(devices, event, address, owner ?? null, dialect)) {
      devices.set(changed.address, changed);
    }
  }
  return [PF, VF1, VF2].map((address) => sketchOf(devices.get(address)));
}

function sketchOf(state: DeviceState | undefined): string {
  return state?.ownerId == null ? `${state?.status}` : `${state.status} of ${state.ownerId}`;
}

function refusal(devices: Map<string, DeviceState>, [event, address, owner]: Step, dialect?: Dialect): BerthError {
  try {
    transition(devices, event, address, owner ?? null, dialect);
  } catch (error) {
    if (error instanceof BerthError) return error;
    throw error;
  }
  throw new Error(`${event} was allowed`);
}

describe('each event, on a device without relatives', () => {
  const ALL: readonly DeviceStatus[] = [...DEVICE_STATUSES, 'deleted'];

  it.each<[DeviceEvent, DeviceStatus, DeviceStatus[]]>([
    ['claim', 'claimed', ['available']],
    ['allocate', 'allocated', ['available', 'claimed']],
    ['free', 'available', ['claimed', 'allocated']],
    ['remove', 'removed', ['available', 'unclaimable', 'unavailable']],
    ['return', 'available', ['removed']],
    ['delete', 'deleted', ['removed']],
    ['reserve', 'reserved', ['available']],
    ['unreserve', 'available', ['reserved']],
    ['clean', 'cleaning', ['claimed', 'allocated']],
    ['cleaned', 'available', ['cleaning']],
    ['fail', 'failed', ['available', 'unclaimable', 'unavailable', 'reserved', 'cleaning']],
    ['quarantine', 'quarantined', ['available', 'unclaimable', 'unavailable', 'reserved', 'cleaning', 'failed']],
    ['repair', 'available', ['failed', 'quarantined']],
  ])('%s makes it %s from %j only', (event, to, from) => {
    for (const status of ALL) {
      const inUse = status === 'claimed' || status === 'allocated';
      const devices = new Map([[ALONE, device(ALONE, null, inUse ? `${status} of a` : status)]]);
      const owner = ['claim', 'allocate', 'free', 'clean'].includes(event) ? 'a' : null;
      const apply = (): DeviceState[] => transition(devices, event, ALONE, owner);
      if (from.includes(status)) {
        const owned = to === 'claimed' || to === 'allocated' ? 'a' : null;
        expect(apply(), status).toEqual([{ ...device(ALONE, null, to), ownerId: owned }]);
      } else {
        expect(apply, status).toThrow(
          `Device ${ALONE} is ${status}; to ${event} it, it has to be ${from.join(' or ')}`,
        );
      }
    }
  });

  it('knows which statuses outlast a device that is not reported', () => {
    expect(ALL.filter(isHeld)).toEqual(['reserved', 'cleaning', 'failed', 'quarantined']);
    expect(isHeld(undefined)).toBe(false);
  });
});

describe('relatives', () => {
  const FRESH: Card = ['available', 'available', 'available'];

  it.each<[string, Card, Step[], Card]>([
    [
      'a claimed VF makes its PF unclaimable',
      FRESH,
      [['claim', VF1, 'a']],
      ['unclaimable', 'claimed of a', 'available'],
    ],
    [
      'an allocated VF makes it unavailable',
      ['unclaimable', 'claimed of a', 'available'],
      [['allocate', VF1, 'a']],
      ['unavailable', 'allocated of a', 'available'],
    ],
    [
      'a claim beside an allocation does not weaken it',
      ['unavailable', 'allocated of a', 'available'],
      [['claim', VF2, 'b']],
      ['unavailable', 'allocated of a', 'claimed of b'],
    ],
    [
      'the PF stays taken while one VF is',
      ['unavailable', 'allocated of a', 'allocated of b'],
      [['free', VF1, 'a']],
      ['unavailable', 'available', 'allocated of b'],
    ],
    [
      'and says how firmly',
      ['unavailable', 'allocated of a', 'claimed of b'],
      [['free', VF1, 'a']],
      ['unclaimable', 'available', 'claimed of b'],
    ],
    ['and is free after the last', ['unavailable', 'available', 'allocated of b'], [['free', VF2]], FRESH],
    ['a claimed PF takes its VFs along', FRESH, [['claim', PF, 'a']], ['claimed of a', 'unclaimable', 'unclaimable']],
    [
      'more firmly when it is allocated',
      ['claimed of a', 'unclaimable', 'unclaimable'],
      [['allocate', PF, 'a']],
      ['allocated of a', 'unavailable', 'unavailable'],
    ],
    ['and gives them back', ['allocated of a', 'unavailable', 'unavailable'], [['free', PF, 'a']], FRESH],
    [
      'a removed VF neither blocks its PF nor comes back with it',
      ['available', 'removed', 'available'],
      [
        ['claim', PF, 'a'],
        ['allocate', PF, 'a'],
        ['free', PF, 'a'],
      ],
      ['available', 'removed', 'available'],
    ],
    [
      'a removed PF does not come back with its last VF',
      ['removed', 'allocated of a', 'available'],
      [
        ['claim', VF2, 'b'],
        ['free', VF1, 'a'],
        ['free', VF2, 'b'],
      ],
      ['removed', 'available', 'available'],
    ],
    [
      'a VF that returns while its PF is allocated is unavailable',
      ['allocated of a', 'removed', 'unavailable'],
      [['return', VF1]],
      ['allocated of a', 'unavailable', 'unavailable'],
    ],
    [
      'and unclaimable while it is claimed',
      ['claimed of a', 'removed', 'unclaimable'],
      [['return', VF1]],
      ['claimed of a', 'unclaimable', 'unclaimable'],
    ],
    [
      'a deleted VF is none',
      ['available', 'deleted', 'available'],
      [['claim', PF, 'a']],
      ['claimed of a', 'deleted', 'unclaimable'],
    ],
    ['a reserved VF blocks its PF', FRESH, [['reserve', VF1]], ['unclaimable', 'reserved', 'available']],
    ['until it is given back', ['unclaimable', 'reserved', 'available'], [['unreserve', VF1]], FRESH],
    ['a reserved PF blocks its VFs', FRESH, [['reserve', PF]], ['reserved', 'unclaimable', 'unclaimable']],
    [
      'a PF that fails under a VF in use lets it be, and blocks the others',
      ['unavailable', 'allocated of a', 'available'],
      [['fail', PF]],
      ['failed', 'allocated of a', 'unclaimable'],
    ],
    [
      'a VF freed under a failed PF is not available',
      ['failed', 'allocated of a', 'unclaimable'],
      [['free', VF1, 'a']],
      ['failed', 'unclaimable', 'unclaimable'],
    ],
    [
      'a PF repaired under a VF in use is as blocked as before',
      ['failed', 'allocated of a', 'unclaimable'],
      [['repair', PF]],
      ['unavailable', 'allocated of a', 'available'],
    ],
    [
      'a VF that fails after its PF was claimed does not stop the allocation',
      ['claimed of a', 'unclaimable', 'unclaimable'],
      [
        ['fail', VF1],
        ['allocate', PF, 'a'],
      ],
      ['allocated of a', 'failed', 'unavailable'],
    ],
    [
      'nor does a PF that fails after its VF was claimed',
      ['unclaimable', 'claimed of a', 'available'],
      [
        ['fail', PF],
        ['allocate', VF1, 'a'],
      ],
      ['failed', 'allocated of a', 'unclaimable'],
    ],
    [
      'a PF that is cleaned keeps its VFs blocked',
      ['allocated of a', 'unavailable', 'unavailable'],
      [['clean', PF, 'a']],
      ['cleaning', 'unclaimable', 'unclaimable'],
    ],
    ['until it is clean', ['cleaning', 'unclaimable', 'unclaimable'], [['cleaned', PF]], FRESH],
    [
      'a clean-up that fails ends in quarantine',
      ['cleaning', 'unclaimable', 'unclaimable'],
      [['quarantine', PF]],
      ['quarantined', 'unclaimable', 'unclaimable'],
    ],
    ['which repair lifts', ['quarantined', 'unclaimable', 'unclaimable'], [['repair', PF]], FRESH],
    [
      'one of two held VFs is enough to block the PF',
      ['unclaimable', 'quarantined', 'failed'],
      [['repair', VF1]],
      ['unclaimable', 'available', 'failed'],
    ],
    [
      'a relative that is stuck is mended by the next event',
      ['available', 'unavailable', 'available'],
      [['claim', PF, 'a']],
      ['claimed of a', 'unclaimable', 'unclaimable'],
    ],
  ])('%s', (_name, before, steps, after) => {
    expect(run(card(before), steps)).toEqual(after);
  });

  it('tells what changed and nothing else: the device first, then relatives in address order', () => {
    const changed = (before: Card, [event, address, owner]: Step): string[] =>
      transition(card(before), event, address, owner ?? null).map((state) => `${state.address} ${sketchOf(state)}`);
    expect(changed(FRESH, ['claim', PF, 'a'])).toEqual([
      `${PF} claimed of a`,
      `${VF1} unclaimable`,
      `${VF2} unclaimable`,
    ]);
    expect(changed(['unclaimable', 'claimed of a', 'available'], ['claim', VF2, 'b'])).toEqual([`${VF2} claimed of b`]);
  });

  it('leaves other cards alone', () => {
    const devices = card();
    run(devices, [
      ['claim', PF, 'a'],
      ['claim', ALONE, 'b'],
      ['free', PF, 'a'],
    ]);
    expect(sketchOf(devices.get(ALONE))).toBe('claimed of b');
  });

  it('does without a PF that the host has not', () => {
    const vf = device(VF1, PF, 'available');
    expect(transition(new Map([[VF1, vf]]), 'claim', VF1, 'a')).toEqual([{ ...vf, status: 'claimed', ownerId: 'a' }]);
  });
});

describe('refusals', () => {
  it.each<[string, Card, Step, Partial<BerthError>]>([
    [
      'claim a claimed device',
      ['unclaimable', 'claimed of a', 'available'],
      ['claim', VF1, 'b'],
      {
        code: 'device.invalid_status',
        details: { address: VF1, status: 'claimed', event: 'claim' },
      },
    ],
    [
      "allocate another's claim",
      ['unclaimable', 'claimed of a', 'available'],
      ['allocate', VF1, 'b'],
      {
        code: 'device.invalid_owner',
        message: `Device ${VF1} belongs to server a`,
        details: { address: VF1, owner_id: 'a' },
      },
    ],
    [
      "free another's device",
      ['unclaimable', 'claimed of a', 'available'],
      ['free', VF1, 'b'],
      { code: 'device.invalid_owner' },
    ],
    [
      "clean another's device",
      ['unclaimable', 'claimed of a', 'available'],
      ['clean', VF1, 'b'],
      { code: 'device.invalid_owner' },
    ],
    [
      'free a device in use that is nobody’s, for somebody',
      ['unclaimable', 'claimed', 'available'],
      ['free', VF1, 'b'],
      { code: 'device.invalid_owner', message: `Device ${VF1} belongs to nobody` },
    ],
    [
      'claim a free device that has an owner',
      ['available', 'available of a', 'available'],
      ['claim', VF1, 'a'],
      { code: 'device.invalid_owner' },
    ],
    [
      'remove a free device that has an owner',
      ['available', 'available of a', 'available'],
      ['remove', VF1],
      { code: 'device.invalid_owner' },
    ],
    [
      'claim for nobody',
      ['available', 'available', 'available'],
      ['claim', VF1],
      {
        code: 'device.invalid_owner',
        message: `To claim ${VF1}, name the server`,
        details: { address: VF1, owner_id: null },
      },
    ],
    [
      'allocate for nobody',
      ['unclaimable', 'claimed of a', 'available'],
      ['allocate', VF1],
      { code: 'device.invalid_owner', message: `To allocate ${VF1}, name the server` },
    ],
    [
      'claim what is not there',
      ['available', 'available', 'available'],
      ['claim', '0000:99:00.0', 'a'],
      { code: 'device.unknown', message: 'No device at 0000:99:00.0' },
    ],
    // rows that disagree: the relatives are asked as well, whatever the device's own status says
    [
      'claim a PF whose VF is in use',
      ['available', 'available', 'allocated of b'],
      ['claim', PF, 'a'],
      {
        code: 'device.relative_in_use',
        message: `Cannot claim ${PF}: its VF ${VF2} is allocated`,
        details: { address: PF, relative: VF2, kin: 'VF', owner_id: 'b' },
      },
    ],
    [
      'claim a VF whose PF is in use',
      ['claimed of b', 'available', 'available'],
      ['claim', VF1, 'a'],
      {
        code: 'device.relative_in_use',
        message: `Cannot claim ${VF1}: its PF ${PF} is claimed`,
        details: { address: VF1, relative: PF, kin: 'PF', owner_id: 'b' },
      },
    ],
    [
      'allocate a PF whose VF is in use',
      ['claimed of a', 'claimed of b', 'available'],
      ['allocate', PF, 'a'],
      { code: 'device.relative_in_use' },
    ],
    [
      'allocate a VF whose PF is in use',
      ['allocated of b', 'claimed of a', 'available'],
      ['allocate', VF1, 'a'],
      { code: 'device.relative_in_use' },
    ],
    ...(['reserved', 'cleaning', 'failed', 'quarantined'] as const).flatMap(
      (held): [string, Card, Step, Partial<BerthError>][] => [
        [
          `claim a PF whose VF is ${held}`,
          ['available', held, 'available'],
          ['claim', PF, 'a'],
          { code: 'device.relative_in_use' },
        ],
        [
          `claim a VF whose PF is ${held}`,
          [held, 'available', 'available'],
          ['claim', VF1, 'a'],
          { code: 'device.relative_in_use' },
        ],
      ],
    ),
  ])('%s', (_name, before, step, expected) => {
    const devices = card(before);
    expect(refusal(devices, step)).toMatchObject(expected);
    expect([...devices]).toEqual([...card(before)]);
  });

  it('free and clean ask for no owner when none is named', () => {
    const before: Card = ['unclaimable', 'claimed of a', 'available'];
    expect(run(card(before), [['free', VF1]])).toEqual(['available', 'available', 'available']);
    expect(run(card(before), [['clean', VF1]])).toEqual(['unclaimable', 'cleaning', 'available']);
  });
});

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
