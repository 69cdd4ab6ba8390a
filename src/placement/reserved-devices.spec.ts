import { describe, expect, it } from 'vitest';
import { aHost, aRequest, type DeviceSketch, POLICY, wants } from '../../test/support/snapshots.js';
import { capacityByAlias } from './capacity.js';
import { freezeBuild, freezeHost, thawBuild, thawFacts, thawHost } from './frozen-snapshot.js';
import { hostLike, withSharedFacts } from './host-shape.js';
import { place } from './place.js';
import type { DeviceReservation, HostSnapshot, PlacementPolicy } from './snapshot.js';

const GPU = '10de:1bb0';
const UNTIL = '2026-03-01T12:00:00.000Z';
const kept = (more: Partial<DeviceReservation> = {}): DeviceReservation => {
  return { id: 'r-1', name: 'training', projectId: 'default', until: UNTIL, isOpen: true, ...more };
};
const sketch = (at: number, reservation?: DeviceReservation): DeviceSketch => {
  return { address: `0000:8${at}:00.0`, ...(reservation && { reservation }) };
};
const NOVA: PlacementPolicy = { ...POLICY, compat: 'nova' };

function outcome(hosts: readonly HostSnapshot[], more: object = {}, policy = POLICY, count = 1): string {
  const decision = place({ hosts, policy }, aRequest([wants('gpu', count, GPU)], more), []);
  if (decision.outcome === 'rejected') return decision.message;
  return `${decision.hostName} ${decision.devices.map(({ address }) => address).join(' ')}`;
}

describe.each([
  ['strict', POLICY],
  ['nova', NOVA],
])('reserved devices in the %s dialect', (_dialect, policy) => {
  const host = aHost('a', [sketch(0, kept()), sketch(1)]);

  it('are for nobody but who names the reservation', () => {
    expect(outcome([host], {}, policy)).toBe('a 0000:81:00.0');
    expect(outcome([host], { reservation: 'r-1' }, policy)).toBe('a 0000:80:00.0');
    expect(outcome([host], { reservation: 'r-2' }, policy)).toContain('reservation r-2 keeps no device');
    expect(outcome([host], { reservation: 'r-1', projectId: 'other' }, policy)).toContain('for this project');
  });

  it('are told of by count and time, and by name to administrators', () => {
    const decision = place({ hosts: [host], policy }, aRequest([wants('gpu', 2, GPU)]), []);
    expect(decision).toMatchObject({
      outcome: 'rejected',
      rejections: [
        {
          reasons: [
            {
              code: 'device.not_enough_free',
              message: `2 devices of alias gpu: 2 wanted, 1 free; 1 reserved until ${UNTIL}`,
              details: { classes: [{ total: 2, free: 1, kept_by_reservation: 1 }] },
              names: [{ message: `2 devices of alias gpu: 2 wanted, 1 free; 1 reserved by training until ${UNTIL}` }],
            },
          ],
        },
      ],
    });
  });

  it('have a code of their own when nothing else is the cause', () => {
    const decision = place(
      { hosts: [aHost('a', [sketch(0, kept({ isOpen: false }))])], policy },
      aRequest([wants('gpu', 1, GPU)]),
      [],
    );
    expect(decision).toMatchObject({
      rejections: [
        {
          reasons: [
            {
              code: 'device.reserved',
              message: `1 device of alias gpu, reserved until ${UNTIL}, for a window that has not begun`,
            },
          ],
        },
      ],
    });
  });

  it('are for nobody before the window begins, and never as relatives', () => {
    for (const mark of [kept({ isOpen: false }), kept({ isRelative: true })]) {
      expect(outcome([aHost('a', [sketch(0, mark)])], { reservation: 'r-1' }, policy)).toMatch(
        /^No valid host: reservation r-1/,
      );
    }
  });

  it('do not lend their reservation to others of the host', () => {
    expect(outcome([host], { reservation: 'r-1' }, policy, 2)).toMatch(/1 free; 1 not of the reservation/);
  });
});

describe('a reserved device', () => {
  const free = aHost('a', [sketch(0), sketch(1)]);
  const marked = (name: string, reservation: DeviceReservation): HostSnapshot =>
    withSharedFacts(aHost(name, [sketch(0, reservation), sketch(1)]));

  it('makes its host another than those that are built alike', () => {
    expect(hostLike(marked('b', kept()))).not.toBe(hostLike(free));
    expect(outcome([marked('b', kept()), aHost('c', [sketch(0), sketch(1)])], {}, POLICY, 2)).toBe(
      'c 0000:80:00.0 0000:81:00.0',
    );
  });

  it('keeps hosts apart whose reasons differ', () => {
    const later = '2026-04-01T12:00:00.000Z';
    const hosts = [marked('b', kept()), marked('c', kept({ until: later })), marked('d', kept({ isOpen: false }))];
    const decision = place({ hosts, policy: POLICY }, aRequest([wants('gpu', 2, GPU)]), []);
    expect(decision.rejections.map(({ hosts: names }) => names)).toEqual([['b'], ['c'], ['d']]);
  });

  it('is held in the gauges', () => {
    const steps = capacityByAlias({ hosts: [marked('b', kept())], policy: POLICY }, [wants('gpu', 1, GPU)]);
    let step = steps.next();
    while (!step.done) step = steps.next();
    expect(step.value).toMatchObject([{ there: 2, free: 1, held: 1, fits: 1 }]);
  });

  it('is frozen and thawed with its host', () => {
    const host = marked('b', kept());
    const { facts, state } = freezeHost(host);
    expect(JSON.stringify([facts, freezeBuild(host)])).not.toContain('training');
    const thawed = thawHost(
      thawFacts(
        thawBuild(JSON.parse(JSON.stringify(freezeBuild(host))) as never),
        JSON.parse(JSON.stringify(facts)) as never,
      ),
      JSON.parse(JSON.stringify(state)) as never,
    );
    expect(thawed.devices).toEqual(host.devices);
  });
});
