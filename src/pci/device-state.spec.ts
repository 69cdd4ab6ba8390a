import { describe, expect, it } from 'vitest';
import {
  ALONE,
  card,
  device,
  PF,
  refusal,
  run,
  sketchOf,
  VF1,
  VF2,
  type Card,
  type Step,
} from '../../test/support/device-card.js';
import { BerthError } from '../errors.js';
import {
  DEVICE_STATUSES,
  isHeld,
  transition,
  type DeviceEvent,
  type DeviceState,
  type DeviceStatus,
} from './device-state.js';

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
