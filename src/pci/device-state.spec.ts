import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BerthError } from '../errors.js';
import { transition, type DeviceEvent, type DeviceState } from './device-state.js';

const PF = '0000:05:00.0';
const VFS = ['0000:05:02.0', '0000:05:02.1'];

function card(): Map<string, DeviceState> {
  const device = (address: string, parentAddress: string | null): DeviceState => ({
    address,
    deviceType: parentAddress ? 'type-VF' : 'type-PF',
    parentAddress,
    status: 'available',
    ownerId: null,
  });
  return new Map([device(PF, null), ...VFS.map((vf) => device(vf, PF))].map((state) => [state.address, state]));
}

type Step = readonly [DeviceEvent, string, string | null];

function run(steps: readonly Step[], devices = card()): string[] {
  for (const [event, address, owner] of steps) {
    for (const changed of transition(devices, event, address, owner)) devices.set(changed.address, changed);
  }
  return [...devices.values()].map((device) => device.status);
}

function codeOf(steps: readonly Step[]): string {
  try {
    run(steps);
    return 'allowed';
  } catch (error) {
    return error instanceof BerthError ? error.code : 'crash';
  }
}

const [VF1, VF2] = VFS as [string, string];

describe('device states', () => {
  it.each<[string, Step[], string[]]>([
    ['a claimed VF makes its PF unclaimable', [['claim', VF1, 'a']], ['unclaimable', 'claimed', 'available']],
    [
      'an allocated VF makes it unavailable',
      [
        ['claim', VF1, 'a'],
        ['allocate', VF1, 'a'],
      ],
      ['unavailable', 'allocated', 'available'],
    ],
    [
      'a claim beside an allocation does not weaken it',
      [
        ['allocate', VF1, 'a'],
        ['claim', VF2, 'b'],
      ],
      ['unavailable', 'allocated', 'claimed'],
    ],
    [
      'the PF stays taken until the last VF is freed',
      [
        ['allocate', VF1, 'a'],
        ['allocate', VF2, 'b'],
        ['free', VF1, 'a'],
      ],
      ['unavailable', 'available', 'allocated'],
    ],
    [
      'and is free then',
      [
        ['allocate', VF1, 'a'],
        ['allocate', VF2, 'b'],
        ['free', VF1, 'a'],
        ['free', VF2, null],
      ],
      ['available', 'available', 'available'],
    ],
    ['a claimed PF takes its VFs along', [['claim', PF, 'a']], ['claimed', 'unclaimable', 'unclaimable']],
    [
      'and gives them back',
      [
        ['claim', PF, 'a'],
        ['allocate', PF, 'a'],
        ['free', PF, 'a'],
      ],
      ['available', 'available', 'available'],
    ],
    [
      'a removed VF is not made available by its PF',
      [
        ['remove', VF1, null],
        ['claim', PF, 'a'],
        ['free', PF, 'a'],
      ],
      ['available', 'removed', 'available'],
    ],
    [
      'a VF that returns while its PF is out is unavailable',
      [
        ['remove', VF1, null],
        ['allocate', PF, 'a'],
        ['return', VF1, null],
      ],
      ['allocated', 'unavailable', 'unavailable'],
    ],
  ])('%s', (_name, steps, expected) => {
    expect(run(steps)).toEqual(expected);
  });

  it.each<[string, Step[], string]>([
    [
      'claim a claimed device',
      [
        ['claim', VF1, 'a'],
        ['claim', VF1, 'b'],
      ],
      'device.invalid_status',
    ],
    [
      "allocate another's claim",
      [
        ['claim', VF1, 'a'],
        ['allocate', VF1, 'b'],
      ],
      'device.invalid_owner',
    ],
    [
      "free another's device",
      [
        ['claim', VF1, 'a'],
        ['free', VF1, 'b'],
      ],
      'device.invalid_owner',
    ],
    ['free a free device', [['free', VF1, null]], 'device.invalid_status'],
    [
      'claim a PF whose VF is out',
      [
        ['claim', VF1, 'a'],
        ['claim', PF, 'b'],
      ],
      'device.invalid_status',
    ],
    [
      'remove a device in use',
      [
        ['claim', VF1, 'a'],
        ['remove', VF1, null],
      ],
      'device.invalid_status',
    ],
    ['claim what is not there', [['claim', '0000:99:00.0', 'a']], 'device.unknown'],
  ])('refuses to %s', (_name, steps, code) => {
    expect(codeOf(steps)).toBe(code);
  });

  it('no sequence of events puts a PF in use together with its VF, or an owner on a free device', () => {
    const step = fc.tuple(
      fc.constantFrom<DeviceEvent>('claim', 'allocate', 'free', 'remove', 'return'),
      fc.constantFrom(PF, VF1, VF2),
      fc.constantFrom('a', 'b', null),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const devices = card();
        for (const next of steps) {
          const before = JSON.stringify([...devices]);
          try {
            run([next[1] && next[0] === 'claim' && next[2] === null ? ['claim', next[1], 'a'] : next], devices);
          } catch (error) {
            expect(error).toBeInstanceOf(BerthError);
            expect(JSON.stringify([...devices])).toBe(before);
          }
          const inUse = (address: string): boolean => /claimed|allocated/.test(statusOf(devices, address));
          expect(inUse(PF) && VFS.some(inUse)).toBe(false);
          for (const device of devices.values()) {
            if (!inUse(device.address)) expect(device.ownerId).toBeNull();
          }
        }
      }),
      { numRuns: 500 },
    );
  });
});

function statusOf(devices: ReadonlyMap<string, DeviceState>, address: string): string {
  const status = devices.get(address)?.status ?? '';
  return status.startsWith('un') ? 'blocked' : status;
}
