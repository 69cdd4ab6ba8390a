import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { aHost, aRequest, POLICY, wants } from '../../test/support/snapshots.js';
import { applyPlacement, withoutServer } from './apply-placement.js';
import type { Placement } from './decision.js';
import { place } from './place.js';
import { mixOf } from './request-mix.js';
import type { DeviceRequest, PlacementRequest } from './request.js';
import type { HostSnapshot, PlacementPolicy } from './snapshot.js';

const GPU = '10de:1bb0';
const GPUS = [{ address: '0000:10:00.0' }, { address: '0000:11:00.0' }];

function share(thousandths: number): DeviceRequest {
  return { ...wants('gpu', 1, GPU), share: thousandths };
}

function decided(host: HostSnapshot, request: PlacementRequest, policy = POLICY): Placement {
  const decision = place({ hosts: [host], policy }, request, []);
  if (decision.outcome === 'rejected') throw new Error(decision.message);
  return decision;
}

function given(host: HostSnapshot, serverId: string, ...devices: DeviceRequest[]): HostSnapshot {
  const request = aRequest(devices);
  return applyPlacement(host, decided(host, request), request, { serverId, serverName: serverId });
}

function used(host: HostSnapshot): (number | undefined)[] {
  return host.devices.map(({ sharesUsed }) => sharesUsed);
}

describe('shares of a device', () => {
  const empty = aHost('h', GPUS);

  it('come from the device with the least left that is enough', () => {
    const two = given(given(empty, 'a', share(600)), 'b', share(500));
    expect(used(two)).toEqual([600, 500]);
    expect(used(given(two, 'c', share(450)))).toEqual([600, 950]);
    expect(used(given(two, 'c', share(400)))).toEqual([1000, 500]);
    expect(decided(two, aRequest([share(400)])).devices).toEqual([
      { deviceId: 'h/0000:10:00.0', address: '0000:10:00.0', alias: 'gpu', requestIndex: 0, share: 400 },
    ]);
  });

  it('come from the device that typical requests lose least by, where the policy looks at them', () => {
    const two = given(given(empty, 'a', share(600)), 'b', share(500));
    const mix = mixOf([{ vcpus: 1, devices: [share(400)] }]);
    const policy: PlacementPolicy = { ...POLICY, mix, placementPolicies: { default: 'fragmentation', aliases: {} } };
    // best fit would take of the first, and what was of use there would be none any more
    expect(decided(two, aRequest([share(100)]), policy).devices[0]?.address).toBe('0000:11:00.0');
    expect(decided(two, aRequest([share(100)])).devices[0]?.address).toBe('0000:10:00.0');
  });

  it('keep a device from being had whole, and a whole one from being shared', () => {
    const one = given(empty, 'a', share(1));
    expect(place({ hosts: [one], policy: POLICY }, aRequest([wants('gpu', 2, GPU)]), []).outcome).toBe('rejected');
    const taken = given(one, 'b', wants('gpu', 1, GPU));
    expect(used(taken)).toEqual([1, undefined]);
    expect(place({ hosts: [taken], policy: POLICY }, aRequest([share(999)]), []).outcome).toBe('placed');
    expect(place({ hosts: [given(taken, 'c', share(1))], policy: POLICY }, aRequest([share(999)]), []).outcome).toBe(
      'rejected',
    );
  });

  it('leave the whole devices that the server wants as well', () => {
    const both = decided(empty, aRequest([share(500), wants('gpu', 1, GPU)]));
    expect(both.devices.map(({ requestIndex, share: part }) => [requestIndex, part])).toEqual([
      [1, undefined],
      [0, 500],
    ]);
    expect(new Set(both.devices.map(({ address }) => address)).size).toBe(2);
    const three = aRequest([share(500), wants('gpu', 2, GPU)]);
    expect(place({ hosts: [empty], policy: POLICY }, three, []).outcome).toBe('rejected');
  });

  it('say what is left when it is not enough', () => {
    const full = given(given(empty, 'a', share(600)), 'b', share(500));
    const decision = place({ hosts: [full], policy: POLICY }, aRequest([share(501)]), []);
    expect(decision.outcome === 'rejected' && decision.rejections[0]?.reasons).toEqual([
      {
        code: 'device.share_too_large',
        message: '501 thousandths of a device of alias gpu wanted, no device has more than 500 left',
        details: { alias: 'gpu', share: 501, matching: 2, most: 500 },
      },
    ]);
    const other = { ...wants('fpga', 1, '10ee:5000'), share: 10 };
    expect(place({ hosts: [full], policy: POLICY }, aRequest([other]), [])).toMatchObject({
      rejections: [{ reasons: [{ code: 'device.none_matching' }] }],
    });
  });

  it('never add up to more than the device, and come back when servers go', () => {
    const step = fc.record({ thousandths: fc.integer({ min: 1, max: 999 }), leaves: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        let host = empty;
        const there = new Map<string, number>();
        for (const [at, { thousandths, leaves }] of steps.entries()) {
          const [oldest] = there.keys();
          if (leaves && oldest !== undefined) {
            host = withoutServer(host, oldest);
            there.delete(oldest);
          } else {
            const request = aRequest([share(thousandths)]);
            const decision = place({ hosts: [host], policy: POLICY }, request, []);
            const most = Math.max(...host.devices.map(({ sharesUsed = 0 }) => 1000 - sharesUsed));
            expect(decision.outcome === 'placed').toBe(thousandths <= most);
            if (decision.outcome === 'rejected') continue;
            host = applyPlacement(host, decision, request, { serverId: `s${at}`, serverName: `s${at}` });
            there.set(`s${at}`, thousandths);
          }
          const sum = host.devices.reduce((total, { sharesUsed = 0 }) => total + sharesUsed, 0);
          expect(sum).toBe([...there.values()].reduce((total, part) => total + part, 0));
          expect(host.devices.every(({ sharesUsed = 0 }) => sharesUsed >= 0 && sharesUsed <= 1000)).toBe(true);
        }
        for (const id of there.keys()) host = withoutServer(host, id);
        expect(host.devices).toEqual(empty.devices);
      }),
    );
  });
});
