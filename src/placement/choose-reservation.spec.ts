import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { aHost, aRequest, POLICY, wants } from '../../test/support/snapshots.js';
import { chooseReservation, type Choice } from './choose-reservation.js';
import { withReservations } from './reserved-devices.js';
import type { DeviceReservation, HostSnapshot } from './snapshot.js';

const GPU = '10de:1bb0';
const mark = (id: string): DeviceReservation => {
  return { id, name: id, projectId: 'default', until: '2026-03-01T12:00:00.000Z', isOpen: true };
};
const gpus = (name: string, count: number): HostSnapshot =>
  aHost(
    name,
    Array.from({ length: count }, (_unused, at) => ({ address: `0000:8${at}:00.0` })),
  );
const wish = (devices: number, count = 1) => ({ request: aRequest([wants('gpu', devices, GPU)]), count });
const idsOf = (choice: Choice): string[] => choice.flatMap(({ devices }) => devices.map(({ deviceId }) => deviceId));

describe('devices for a reservation', () => {
  it('are the same in all windows where they can be', () => {
    const taken = [new Map(), new Map([['a/0000:80:00.0', mark('other')]])];
    const chosen = chooseReservation({ hosts: [gpus('a', 2)], policy: POLICY }, wish(1), taken);
    expect(chosen.outcome === 'chosen' && chosen.choices.map(idsOf)).toEqual([['a/0000:81:00.0'], ['a/0000:81:00.0']]);
  });

  it('are what was chosen before where that is free, else others', () => {
    const [first, second] = ['a/0000:80:00.0', 'a/0000:81:00.0'].map((id) => new Map([[id, mark('other')]])) as [
      Map<string, DeviceReservation>,
      Map<string, DeviceReservation>,
    ];
    const chosen = chooseReservation({ hosts: [gpus('a', 2)], policy: POLICY }, wish(1), [first, second, first]);
    expect(chosen.outcome === 'chosen' && chosen.choices.map(idsOf)).toEqual([
      ['a/0000:81:00.0'],
      ['a/0000:80:00.0'],
      ['a/0000:81:00.0'],
    ]);
  });

  it('leave out what is in use, but not what is kept at another time', () => {
    const owner = { serverId: 's', serverName: 'vm' };
    const host = aHost('a', [
      { address: '0000:80:00.0', status: 'allocated', owner },
      { address: '0000:81:00.0', reservation: mark('now') },
    ]);
    const chosen = chooseReservation({ hosts: [host], policy: POLICY }, wish(1), [new Map()]);
    expect(chosen.outcome === 'chosen' && chosen.choices.map(idsOf)).toEqual([['a/0000:81:00.0']]);
  });

  it('are there for all servers, or for none: the answer says which window, for how many, and why', () => {
    const taken = [new Map(), new Map([['a/0000:80:00.0', mark('other')]])];
    const chosen = chooseReservation({ hosts: [gpus('a', 3)], policy: POLICY }, wish(1, 3), taken);
    expect(chosen).toMatchObject({ outcome: 'refused', window: 1, fitting: 2 });
    expect(chosen.outcome === 'refused' && chosen.rejection.message).toContain(
      '1 reserved until 2026-03-01T12:00:00.000Z',
    );
  });

  it('are never shared by two reservations at one time', () => {
    const asked = fc.record({
      devices: fc.integer({ min: 1, max: 2 }),
      count: fc.integer({ min: 1, max: 2 }),
      from: fc.nat(6),
      length: fc.integer({ min: 1, max: 4 }),
    });
    fc.assert(
      fc.property(fc.array(asked, { minLength: 2, maxLength: 8 }), (all) => {
        const snapshot = { hosts: [gpus('a', 3), gpus('b', 2)], policy: POLICY };
        const kept: { from: number; to: number; ids: string[] }[] = [];
        for (const { devices, count, from, length } of all) {
          const to = from + length;
          const overlapping = kept.filter((other) => other.from < to && from < other.to);
          const taken = new Map(overlapping.flatMap(({ ids }) => ids.map((id) => [id, mark('other')] as const)));
          const chosen = chooseReservation(snapshot, wish(devices, count), [taken]);
          const ids = chosen.outcome === 'chosen' ? chosen.choices.flatMap(idsOf) : [];
          expect(new Set(ids).size).toBe(ids.length);
          expect(ids.some((id) => taken.has(id))).toBe(false);
          const freeOn = ([host, there]: [string, number]): number =>
            there - [...taken.keys()].filter((id) => id.startsWith(`${host}/`)).length;
          const room = [...Object.entries({ a: 3, b: 2 })].reduce(
            (sum, host) => sum + Math.floor(freeOn(host) / devices),
            0,
          );
          expect(chosen.outcome).toBe(room < count ? 'refused' : 'chosen');
          if (chosen.outcome === 'chosen') expect(ids).toHaveLength(devices * count);
          kept.push({ from, to, ids });
        }
      }),
    );
  });
});

describe('marks', () => {
  it('are on the VFs of a reserved PF, and on the PF of a reserved VF, as of relatives', () => {
    const host = aHost('a', [
      { address: '0000:05:00.0', deviceType: 'type-PF' },
      { address: '0000:05:10.0', deviceType: 'type-VF', parentAddress: '0000:05:00.0' },
      { address: '0000:05:10.2', deviceType: 'type-VF', parentAddress: '0000:05:00.0' },
    ]);
    const marks = (id: string) =>
      withReservations(host, new Map([[id, mark('r')]])).devices.map(({ reservation }) =>
        reservation ? (reservation.isRelative ? 'relative' : 'own') : 'free',
      );
    expect(marks('a/0000:05:00.0')).toEqual(['own', 'relative', 'relative']);
    expect(marks('a/0000:05:10.2')).toEqual(['relative', 'free', 'own']);
    expect(withReservations(host, new Map([['elsewhere', mark('r')]]))).toBe(host);
  });
});
