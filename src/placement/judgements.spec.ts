import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { aHost, aRequest, POLICY, wants } from '../../test/support/snapshots.js';
import { applyPlacement } from './apply-placement.js';
import { promisePuts, putHost } from './host-list.js';
import { place } from './place.js';
import type { HostScore } from './decision.js';
import type { HostSnapshot, PlacementPolicy } from './snapshot.js';
import { Ranking } from './weighers/ranking.js';

const REQUESTS = [
  aRequest([]),
  aRequest([wants('gpu', 1, '10de:1bb0')]),
  aRequest([wants('gpu', 2, '10de:1bb0')]),
  aRequest([], { vcpus: 40 }),
];

const gpuHost = (name: string, gpus: number): HostSnapshot =>
  aHost(
    name,
    Array.from({ length: gpus }, (_unused, slot) => ({ address: `0000:8${slot}:00.0` })),
  );

/** What happens to a list of hosts between decisions. */
const events = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ ask: fc.nat(REQUESTS.length - 1), tried: fc.boolean() }) },
    fc.record({ goesDown: fc.nat(9) }),
    fc.record({ arrives: fc.nat(3) }),
    fc.record({ leaves: fc.nat(9) }),
  ),
  { maxLength: 25 },
);

describe('judgements', () => {
  it('a list that changes is judged as one that nobody has seen before', () => {
    fc.assert(
      fc.property(events, fc.boolean(), (all, promises) => {
        const hosts = [gpuHost('a', 2), gpuHost('b', 0), gpuHost('c', 4)];
        if (promises) promisePuts(hosts);
        for (const [step, event] of all.entries()) {
          if ('goesDown' in event) {
            const at = event.goesDown % Math.max(1, hosts.length);
            if (hosts[at]) putHost(hosts, at, { ...hosts[at], status: 'down' });
          } else if ('arrives' in event) {
            hosts.push(gpuHost(`h${String(step).padStart(3, '0')}`, event.arrives));
            if (promises) promisePuts(hosts);
          } else if ('leaves' in event) {
            hosts.splice(event.leaves % Math.max(1, hosts.length), 1);
            if (promises) promisePuts(hosts);
          } else {
            const request = { ...(REQUESTS[event.ask] ?? aRequest([])), serverName: `server-${step}` };
            const excluded = event.tried ? [{ hostId: hosts[0]?.id ?? '', reason: 'EBUSY' }] : [];
            const decision = place({ hosts, policy: POLICY }, request, excluded);
            expect(decision).toEqual(place({ hosts: [...hosts], policy: POLICY }, request, excluded));
            expect(decision).not.toMatchObject({ hostId: excluded[0]?.hostId ?? 'nobody' });
            if (decision.outcome === 'rejected') continue;
            const at = hosts.findIndex((host) => host.id === decision.hostId);
            const owner = { serverId: `server-${step}`, serverName: `server-${step}` };
            putHost(hosts, at, applyPlacement(hosts[at] as HostSnapshot, decision, request, owner));
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  it('reasons of a host are in its own words, also when a host like it was asked before', () => {
    const together = { kind: 'same', attribute: 'numa_node', requests: [0], weight: null } as const;
    const near = aRequest([wants('gpu', 2, '10de:1bb0')], { constraints: [together] });
    const apart = (name: string): HostSnapshot =>
      aHost(name, [
        { address: '0000:81:00.0', numaNode: 0 },
        { address: '0000:82:00.0', numaNode: 1 },
      ]);
    const hosts = [apart('a'), apart('b')];
    place({ hosts, policy: POLICY }, near, []);
    hosts[0] = { ...apart('a'), status: 'down' };
    const decision = place({ hosts, policy: POLICY }, near, []);
    expect(decision).toEqual(place({ hosts: [...hosts], policy: POLICY }, near, []));
    const named = decision.rejections.flatMap(({ reasons }) => reasons.flatMap(({ names = [] }) => names));
    expect(named.map(({ host }) => host)).toEqual(['b']);
  });

  it('a host that failed one server is asked again for another of the same kind', () => {
    const hosts = [gpuHost('a', 1)];
    const request = REQUESTS[1] ?? aRequest([]);
    expect(place({ hosts, policy: POLICY }, request, [{ hostId: 'id-a', reason: 'EBUSY' }]).outcome).toBe('rejected');
    expect(place({ hosts, policy: POLICY }, request, []).outcome).toBe('placed');
  });
});

describe('tieSeed', () => {
  const sizes = fc.array(fc.nat(3), { minLength: 1, maxLength: 12 });

  it('orders hosts of equal totals otherwise, and no others', () => {
    fc.assert(
      fc.property(sizes, fc.nat(REQUESTS.length - 1), fc.nat(1000), (gpus, ask, tieSeed) => {
        const hosts = gpus.map((count, at) => gpuHost(`h${String(at).padStart(2, '0')}`, count));
        const scoresWith = (policy: PlacementPolicy): readonly HostScore[] => {
          const decision = place({ hosts, policy }, REQUESTS[ask] ?? aRequest([]), []);
          return decision.outcome === 'placed' ? decision.scores : [];
        };
        const [plain, turned] = [scoresWith(POLICY), scoresWith({ ...POLICY, tieSeed })];
        expect(turned.map(({ total }) => total)).toEqual(plain.map(({ total }) => total));
        expect(scoresWith({ ...POLICY, tieSeed: 0 })).toEqual(plain);
        expect(scoresWith({ ...POLICY, tieSeed: tieSeed + hosts.length })).toEqual(turned);
        const turn = ({ host }: HostScore): number =>
          (Number(host.slice(1)) + hosts.length - (tieSeed % hosts.length)) % hosts.length;
        const sorted = [...turned].sort((a, b) => b.total - a.total || turn(a) - turn(b));
        expect(turned).toEqual(sorted);
        // fewer than are kept: none is cut off
        if (turned.length < 10) expect(sortedNames(turned)).toEqual(sortedNames(plain));
      }),
    );
  });

  it('has two schedulers with one view want two hosts', () => {
    const hosts = ['a', 'b', 'c'].map((name) => gpuHost(name, 2));
    const chosen = [0, 1, 2].map((tieSeed) => place({ hosts, policy: { ...POLICY, tieSeed } }, aRequest([]), []));
    expect(chosen.map((decision) => decision.outcome === 'placed' && decision.hostName)).toEqual(['a', 'b', 'c']);
  });

  const sortedNames = (scores: readonly HostScore[]): string[] => scores.map(({ host }) => host).sort();
});

describe('Ranking', () => {
  const change = fc.record({
    at: fc.nat(39),
    values: fc.option(fc.tuple(fc.integer({ min: -2, max: 2 }), fc.integer({ min: 0, max: 1 }))),
    own: fc.boolean(),
  });

  it('is what normalising, adding up and sorting say, whatever changed before', () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 150 }), fc.nat(40), fc.nat(100), (changes, length, tieSeed) => {
        const columns = [1, -0.5].map((multiplier, at) => ({ name: `w${at}`, multiplier }));
        const ranking = new Ranking(columns, length, tieSeed);
        const state = new Map<number, { values: readonly number[]; multipliers: readonly number[] }>();
        for (const { at, values, own } of changes.filter((one) => one.at < length)) {
          const multipliers = own ? [2, -0.5] : [1, -0.5];
          if (values) state.set(at, { values, multipliers });
          else state.delete(at);
          if (values) ranking.set(at, values, multipliers);
          else ranking.drop(at);
          if (at % 3 === 0) ranking.ranked().next();
        }
        const fresh = new Ranking(columns, length, tieSeed);
        for (const [at, { values, multipliers }] of state) fresh.set(at, values, multipliers);
        const totals = totalsOf([...state]);
        const turnOf = (index: number): number => (index - (tieSeed % length) + length) % length;
        const order = [...ranking.ranked()];
        expect(order).toEqual([...fresh.ranked()]);
        expect([...order].sort((a, b) => a - b)).toEqual([...state.keys()].sort((a, b) => a - b));
        for (const [at, index] of order.entries()) {
          const { total } = ranking.scoreOf(index, 'h');
          expect(total).toBe(fresh.scoreOf(index, 'h').total);
          expect(total).toBeCloseTo(totals.get(index) ?? NaN, 9);
          const before = order[at - 1];
          if (before === undefined) continue;
          const ahead = ranking.scoreOf(before, 'h').total - total;
          expect(ahead > 0 || (ahead === 0 && turnOf(before) < turnOf(index))).toBe(true);
        }
      }),
    );
  });

  function totalsOf(
    state: readonly (readonly [number, { values: readonly number[]; multipliers: readonly number[] }])[],
  ): Map<number, number> {
    const part = (at: number, values: readonly number[]): number => {
      const all = state.map(([, host]) => host.values[at] as number);
      const [low, high] = [Math.min(...all), Math.max(...all)];
      return high === low ? 0 : ((values[at] as number) - low) / (high - low);
    };
    return new Map(
      state.map(([index, { values, multipliers }]) => [
        index,
        multipliers.reduce((sum, multiplier, at) => sum + multiplier * part(at, values), 0),
      ]),
    );
  }
});
