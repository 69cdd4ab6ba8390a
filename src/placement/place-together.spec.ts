import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { aHost, aRequest, POLICY, wants } from '../../test/support/snapshots.js';
import { applyPlacement } from './apply-placement.js';
import { Fork } from './fork.js';
import { placeTogether, type Member } from './place-together.js';
import type { PlacementRequest, ServerGroupWish } from './request.js';
import type { HostSnapshot } from './snapshot.js';

const gpu = (count: number) => wants('gpu', count, '10de:1bb0');

function hostWith(name: string, gpus: number, more: Partial<HostSnapshot> = {}): HostSnapshot {
  const devices = Array.from({ length: gpus }, (_unused, index) => ({ address: `0000:0${index + 1}:00.0` }));
  return aHost(name, devices, more);
}

function members(requests: readonly PlacementRequest[]): Member[] {
  return requests.map((request, index) => ({
    owner: { serverId: `id-${index}`, serverName: `vm-${index}` },
    request: { ...request, serverName: `vm-${index}` },
    excluded: [],
  }));
}

const alike = (count: number, request: PlacementRequest): Member[] =>
  members(Array<PlacementRequest>(count).fill(request));

const together = (hosts: readonly HostSnapshot[], gang: readonly Member[], countMin: number, policy = POLICY) =>
  placeTogether({ hosts, policy }, gang, countMin);

const hostNames = (hosts: readonly HostSnapshot[], gang: readonly Member[], countMin: number, policy = POLICY) =>
  together(hosts, gang, countMin, policy).map((decision) => (decision.outcome === 'placed' ? decision.hostName : null));

describe('servers of one call', () => {
  it('all or none, with the reasons of the first that does not fit', () => {
    const decisions = together([hostWith('a', 2)], alike(3, aRequest([gpu(1)])), 3);
    expect(decisions.map(({ outcome }) => outcome)).toEqual(['rejected', 'rejected', 'rejected']);
    expect(decisions[0]).toMatchObject({
      message: expect.stringMatching(/^2 of at least 3 servers would fit, so none is placed\. No valid host: .*gpu/),
      rejections: [{ filter: 'PciPassthroughFilter', hosts: ['a'] }],
    });
  });

  it('as many as fit, when that is enough', () => {
    expect(hostNames([hostWith('a', 2)], alike(3, aRequest([gpu(1)])), 2)).toEqual(['a', 'a', null]);
  });

  it('a smaller one after one that does not fit has its own answer', () => {
    const gang = members([aRequest([gpu(2)]), aRequest([gpu(2)]), aRequest([gpu(1)])]);
    expect(hostNames([hostWith('a', 3)], gang, 1)).toEqual(['a', null, 'a']);
  });

  describe('that have to stay together', () => {
    const group: ServerGroupWish = { id: 'g', name: 'g', policy: 'affinity', maxServerPerHost: 1 };
    const policy = { ...POLICY, filters: [...POLICY.filters, 'ServerGroupAffinityFilter'] };
    const gang = alike(3, aRequest([gpu(1)], { host: { group } }));

    it('go to the host that holds all of them, though another scores better for the first', () => {
      const roomy = { capacity: { vcpus: 1000, memoryMb: 1_000_000, diskGb: 100_000 } };
      const hosts = [hostWith('a', 2, roomy), hostWith('b', 3)];
      const [alone] = hostNames(hosts, gang.slice(0, 1), 1, policy);
      expect(alone).toBe('a');
      expect(hostNames(hosts, gang, 3, policy)).toEqual(['b', 'b', 'b']);
    });

    it('are nowhere when no host holds all of them', () => {
      expect(hostNames([hostWith('a', 2), hostWith('b', 2)], gang, 3, policy)).toEqual([null, null, null]);
    });
  });
});

describe('whatever the fleet', () => {
  const fleet = fc.array(fc.integer({ min: 0, max: 4 }), { minLength: 1, maxLength: 4 });
  const gangs = fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 6 });

  it('at least the least or none; and each decision is that of the hosts as they are then', () => {
    fc.assert(
      fc.property(fleet, gangs, fc.integer({ min: 1, max: 6 }), (gpus, wishes, min) => {
        const hosts = gpus.map((count, index) => hostWith(`h${index}`, count));
        const before = JSON.stringify(hosts);
        const gang = members(wishes.map((count) => aRequest(count === 0 ? [] : [gpu(count)])));
        const countMin = Math.min(min, gang.length);
        const decisions = together(hosts, gang, countMin);
        const placed = decisions.filter(({ outcome }) => outcome === 'placed').length;
        expect(placed === 0 || placed >= countMin).toBe(true);
        expect(together(hosts, gang, countMin)).toEqual(decisions);
        expect(JSON.stringify(hosts)).toBe(before);
        if (placed === 0) return;
        const fork = new Fork({ hosts, policy: POLICY });
        for (const [index, decision] of decisions.entries()) {
          const { request, owner } = gang[index] as Member;
          const alone = fork.decide(request);
          expect(alone.outcome).toBe(decision.outcome);
          if (decision.outcome === 'rejected') continue;
          expect(alone).toEqual(decision);
          fork.put(applyPlacement(fork.get(decision.hostId) as HostSnapshot, decision, request, owner));
        }
      }),
      { numRuns: 80 },
    );
  });

  it('alike servers are turned down only where so many really do not fit', () => {
    fc.assert(
      fc.property(fleet, fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 8 }), (gpus, each, count) => {
        const hosts = gpus.map((size, index) => hostWith(`h${index}`, size));
        const room = gpus.reduce((sum, size) => sum + Math.floor(size / each), 0);
        const placed = together(hosts, alike(count, aRequest([gpu(each)])), count).every(
          ({ outcome }) => outcome === 'placed',
        );
        expect(placed).toBe(room >= count);
      }),
    );
  });
});
