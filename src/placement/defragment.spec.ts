import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { aHost, aRequest, POLICY, wants } from '../../test/support/snapshots.js';
import { atOnce } from '../../test/support/steps.js';
import { anyRequest, settled, wish, type World, worlds } from '../../test/support/worlds.js';
import { applyPlacement, withoutServer } from './apply-placement.js';
import { howManyMore } from './capacity.js';
import type { Placement } from './decision.js';
import { type DefragmentOptions, type DefragmentPlan, planDefragmentation } from './defragment.js';
import { fewestMoves, type Potential } from './defragment-goal.js';
import { Fork } from './fork.js';
import { place } from './place.js';
import type { PlacementRequest } from './request.js';
import type { HostSnapshot, Snapshot } from './snapshot.js';
import { fragmentationByAlias } from './stranded.js';

const GPU = '10de:1bb0';
const gpus = (count: number, more: Partial<PlacementRequest> = {}) => aRequest([wants('gpu', count, GPU)], more);
const AT = (slot: number): string => `0000:81:0${slot}.0`;

function empty(name: string, count: number): HostSnapshot {
  return aHost(
    name,
    Array.from({ length: count }, (_, slot) => ({ address: AT(slot) })),
  );
}

/** Hosts of so many GPUs, and servers put where they are said to be. */
function put(hosts: readonly HostSnapshot[], servers: readonly [string, string, PlacementRequest][]): World {
  const fork = new Fork({ hosts, policy: POLICY });
  for (const [serverId, at, request] of servers) {
    const host = fork.hosts.find(({ name }) => name === at) as HostSnapshot;
    const decision = place({ hosts: [host], policy: POLICY }, request, []) as Placement;
    fork.put(settled(applyPlacement(host, decision, request, { serverId, serverName: `name of ${serverId}` })));
  }
  return {
    snapshot: { hosts: [...fork.hosts], policy: POLICY },
    requests: new Map(servers.map(([id, , request]) => [id, request])),
  };
}

function plan(
  world: World,
  request: PlacementRequest,
  count: number,
  more: Partial<DefragmentOptions> = {},
): DefragmentPlan {
  return atOnce(
    planDefragmentation(world.snapshot, {
      ...{ goal: { kind: 'fit', request, count }, requests: world.requests, keep: new Set() },
      ...{ trialsMax: 100_000, movesMax: 100 },
      ...more,
    }),
  );
}

const routes = ({ moves }: DefragmentPlan): string[] =>
  moves.map(({ serverId, from, to }) => `${serverId}: ${from} → ${to}`);

const HALF_FULL = put(
  [empty('a', 4), empty('b', 4)],
  [
    ['s1', 'a', gpus(2)],
    ['s2', 'b', gpus(2)],
  ],
);

describe('a plan for a request that does not fit', () => {
  it('moves one server away, with gain, cost, and the fewest moves that any plan has', () => {
    expect(plan(HALF_FULL, gpus(4), 1)).toEqual({
      outcome: 'reached',
      before: 0,
      after: 1,
      moves: [
        {
          ...{ serverId: 's1', serverName: 'name of s1', memoryMb: 512 },
          ...{ fromId: 'id-a', from: 'a', toId: 'id-b', to: 'b' },
          ...{ givesBack: [AT(0), AT(1)], takes: [AT(2), AT(3)] },
        },
      ],
      cost: { moves: 1, devices: 2, memoryMb: 512 },
      movesAtLeast: 1,
      trials: expect.any(Number) as number,
      isCutShort: false,
      staying: { not_settled: 0, kept: 0, request_unknown: 0, affinity: 0 },
    });
  });

  it('says so when there is nothing to do, and when nothing helps', () => {
    expect(plan(HALF_FULL, gpus(2), 2)).toMatchObject({
      outcome: 'nothing_to_do',
      before: 2,
      moves: [],
      movesAtLeast: 0,
    });
    expect(plan(HALF_FULL, gpus(5), 1)).toMatchObject({ outcome: 'no_gain', moves: [], movesAtLeast: null });
    expect(plan(HALF_FULL, gpus(4), 2)).toMatchObject({ outcome: 'improved', before: 0, after: 1 });
  });

  it('prefers few moves of few devices', () => {
    const world = put(
      [empty('a', 4), empty('b', 4), empty('c', 4)],
      [
        ['s1', 'a', gpus(1)],
        ['s2', 'a', gpus(1)],
        ['s3', 'b', gpus(2)],
        ['s4', 'c', gpus(1)],
        ['s5', 'c', gpus(2)],
      ],
    );
    expect(routes(plan(world, gpus(4), 1))).toEqual(['s3: b → a']);
  });

  it('clears a host of many', () => {
    const world = put(
      [empty('a', 4), empty('b', 8)],
      [...[1, 2, 3, 4].map((id): [string, string, PlacementRequest] => [`s${id}`, 'a', gpus(1)]), ['s5', 'b', gpus(4)]],
    );
    const answer = plan(world, gpus(4), 2);
    // the four can only go to where one more fits now, so nothing would be won
    expect(answer).toMatchObject({ outcome: 'no_gain', before: 1, after: 1, moves: [] });
    const rooms = put(
      [empty('a', 4), empty('b', 3), empty('c', 3)],
      [...[1, 2, 3, 4].map((id): [string, string, PlacementRequest] => [`s${id}`, 'a', gpus(1)])],
    );
    expect(plan(rooms, gpus(4), 1)).toMatchObject({
      outcome: 'reached',
      cost: { moves: 4, devices: 4 },
      movesAtLeast: 3,
    });
  });

  it('has another give way when there is no other place', () => {
    // s1 needs two of b; there s2 is in the way, which can go to c
    const world = put(
      [empty('a', 4), empty('b', 2), empty('c', 1)],
      [
        ['s1', 'a', gpus(2)],
        ['s2', 'b', gpus(1)],
      ],
    );
    expect(routes(plan(world, gpus(4), 1))).toEqual(['s2: b → c', 's1: a → b']);
  });

  it.each<[string, Partial<DefragmentOptions>, (world: World) => World, object]>([
    ['kept ones', { keep: new Set(['s1', 's2']) }, (world) => world, { kept: 2 }],
    [
      'ones on their way',
      {},
      ({ snapshot, requests }) => ({
        requests,
        snapshot: {
          ...snapshot,
          hosts: snapshot.hosts.map((host) => ({
            ...host,
            servers: host.servers.map((server) => ({ ...server, settled: false })),
          })),
        },
      }),
      { not_settled: 2 },
    ],
    [
      'ones of which it is not known what they asked for',
      { requests: new Map() },
      (world) => world,
      { request_unknown: 2 },
    ],
    [
      'ones that have to be with others',
      {
        requests: new Map([
          ['s1', gpus(2, { host: { sameHost: ['s2'] } })],
          ['s2', gpus(2)],
        ]),
      },
      (world) => world,
      { affinity: 2 },
    ],
  ])('leaves %s where they are', (_what, more, change, staying) => {
    expect(plan(change(HALF_FULL), gpus(4), 1, more)).toMatchObject({ outcome: 'no_gain', moves: [], staying });
  });

  it('brings nobody to whom it must not be near, whoever said so', () => {
    for (const unwilling of ['s1', 's2']) {
      const other = unwilling === 's1' ? 's2' : 's1';
      const requests = new Map([
        [unwilling, gpus(2, { host: { differentHost: [other] } })],
        [other, gpus(2)],
      ]);
      expect(plan(HALF_FULL, gpus(4), 1, { requests })).toMatchObject({ outcome: 'no_gain' });
    }
    const group = { id: 'g', name: 'g', policy: 'anti-affinity' as const, maxServerPerHost: 1 };
    const apart = gpus(2, { host: { group } });
    const world = put(
      [empty('a', 4), empty('b', 4)],
      [
        ['s1', 'a', apart],
        ['s2', 'b', apart],
      ],
    );
    expect(plan(world, gpus(4), 1)).toMatchObject({ outcome: 'no_gain' });
  });

  it('goes where it costs the goal nothing, although the scheduler would rather fill a host up', () => {
    const few = { capacity: { vcpus: 3, memoryMb: 131_072, diskGb: 1000 } };
    const world = put([empty('a', 2), empty('b', 2), { ...empty('c', 5), ...few }], [['s1', 'a', gpus(1)]]);
    const answer = plan(world, gpus(2, { vcpus: 4 }), 2);
    expect(answer).toMatchObject({ outcome: 'reached', before: 1, after: 2 });
    expect(routes(answer)).toEqual(['s1: a → c']);
  });

  it('takes out a step that a later one makes needless', () => {
    // s1 is the cheapest first step; then s2 and s3, which only together make room, make room for two
    const capacity = (vcpus: number) => ({ capacity: { vcpus, memoryMb: 131_072, diskGb: 1000 } });
    const hosts = [
      { ...empty('a', 4), ...capacity(8) },
      { ...empty('b', 8), ...capacity(8) },
      { ...empty('c', 6), ...capacity(3) },
      { ...empty('d', 0), ...capacity(5) },
    ];
    const world = put(hosts, [
      ['s1', 'a', gpus(1)],
      ['s2', 'b', gpus(5, { vcpus: 0 })],
      ['s3', 'b', aRequest([], { vcpus: 5 })],
    ]);
    const answer = plan(world, gpus(4, { vcpus: 4 }), 2);
    expect(answer).toMatchObject({ outcome: 'reached', before: 0, after: 2, movesAtLeast: 2 });
    expect(routes(answer)).toEqual(['s2: b → c', 's3: b → d']);
  });

  it('stops at its most trials and at its most moves, and says so', () => {
    expect(plan(HALF_FULL, gpus(4), 1, { trialsMax: 1 })).toMatchObject({
      outcome: 'no_gain',
      isCutShort: true,
      movesAtLeast: null,
    });
    const world = put(
      [empty('a', 4), empty('b', 4)],
      [
        ['s1', 'a', gpus(1)],
        ['s2', 'a', gpus(1)],
        ['s3', 'b', gpus(1)],
        ['s4', 'b', gpus(1)],
      ],
    );
    expect(plan(world, gpus(4), 1, { movesMax: 1 })).toMatchObject({
      outcome: 'no_gain',
      moves: [],
      isCutShort: false,
    });
    expect(plan(world, gpus(4), 1, { movesMax: 2 })).toMatchObject({ outcome: 'reached', movesAtLeast: 2 });
  });
});

describe('a plan for a mix', () => {
  it('makes more of the free devices usable', () => {
    const mixes = [{ alias: wants('gpu', 1, GPU), shapes: [{ request: gpus(4), weight: 1 }] }];
    const answer = plan(HALF_FULL, gpus(1), 1, { goal: { kind: 'mix', mixes } });
    expect(answer).toMatchObject({ outcome: 'reached', before: 4, after: 0, movesAtLeast: null });
    expect(routes(answer)).toEqual(['s1: a → b']);
  });
});

describe('the fewest moves that any plan has', () => {
  it.each<[string, Potential[], number, number | null]>([
    ['nothing is needed', [[1, 1, 1]], 0, 0],
    ['one host, one move', [[1, 1, 1]], 1, 1],
    ['a second move on the same host counts for two together', [[1, 2, 2]], 2, 2],
    [
      'pairs of two hosts',
      [
        [0, 1, 1],
        [0, 1, 1],
      ],
      2,
      4,
    ],
    ['three or more of a host count as three', [[0, 0, 5]], 5, 3],
    [
      'the cheaper host first',
      [
        [0, 0, 2],
        [2, 2, 2],
      ],
      2,
      1,
    ],
    ['all is not enough', [[1, 1, 1]], 2, null],
    [
      'more moves than may be',
      [
        [0, 0, 1],
        [0, 0, 1],
      ],
      2,
      null,
    ],
  ])('%s', (_what, potentials, need, fewest) => {
    expect(fewestMoves(potentials, need, 5)).toBe(fewest);
  });
});

/** Carries a plan out move by move, as an operator would: first the new place is taken, then the old one given back. */
function carriedOut({ snapshot, requests }: World, { moves }: DefragmentPlan): Snapshot {
  const fork = new Fork(snapshot);
  for (const { serverId, serverName, fromId, toId, takes, givesBack } of moves) {
    const request = requests.get(serverId) as PlacementRequest;
    const others = fork.hosts.filter(({ id }) => id !== toId).map(({ id }) => ({ hostId: id, reason: 'not there' }));
    const decision = fork.decide(request, others);
    expect(decision).toMatchObject({ outcome: 'placed', hostId: toId });
    const placement = decision as Placement;
    expect(placement.devices.map(({ address }) => address).sort()).toEqual([...takes].sort());
    const from = fork.get(fromId) as HostSnapshot;
    expect(from.devices.filter(({ owner }) => owner?.serverId === serverId).map(({ address }) => address)).toEqual(
      givesBack,
    );
    fork.put(applyPlacement(fork.get(toId) as HostSnapshot, placement, request, { serverId, serverName }));
    fork.put(withoutServer(fork.get(fromId) as HostSnapshot, serverId));
  }
  return { hosts: fork.hosts, policy: snapshot.policy };
}

/** Hosts of four GPUs and a NIC with two VFs, with small servers wherever they came to be. */
const scattered: fc.Arbitrary<World> = fc
  .array(fc.record({ host: fc.nat({ max: 3 }), gpus: fc.constantFrom(0, 1, 1, 2), vfs: fc.constantFrom(0, 0, 1) }), {
    ...{ minLength: 2, maxLength: 9 },
  })
  .map((servers) => {
    const nic = [
      { address: '0000:41:00.0', ids: '8086:1572', deviceType: 'type-PF' as const },
      ...[1, 2].map((slot) => {
        const vf = { ids: '8086:154c', deviceType: 'type-VF' as const, parentAddress: '0000:41:00.0' };
        return { address: `0000:41:0${slot}.0`, ...vf };
      }),
    ];
    const capacity = { vcpus: 6, memoryMb: 131_072, diskGb: 1000 };
    const hosts = ['a', 'b', 'c', 'd'].map((name) => {
      return aHost(name, [...nic, ...[0, 1, 2, 3].map((slot) => ({ address: AT(slot) }))], { capacity });
    });
    const fork = new Fork({ hosts, policy: POLICY });
    const requests = new Map<string, PlacementRequest>();
    for (const [index, server] of servers.entries()) {
      const devices = [wish('gpu', server.gpus), wish('vf', server.vfs)].filter(({ count }) => count > 0);
      const request = aRequest(devices, { vcpus: 1, memoryMb: 512 * (1 + (index % 3)) });
      const host = fork.hosts[server.host] as HostSnapshot;
      const decision = place({ hosts: [host], policy: POLICY }, request, []);
      if (decision.outcome === 'rejected') continue;
      const serverId = `s${index}`;
      fork.put(settled(applyPlacement(host, decision, request, { serverId, serverName: serverId })));
      requests.set(serverId, request);
    }
    return { snapshot: { hosts: [...fork.hosts], policy: POLICY }, requests };
  });

const aGoal = fc
  .record({ gpus: fc.constantFrom(2, 3, 4), vfs: fc.constantFrom(0, 0, 2), vcpus: fc.constantFrom(1, 4) })
  .map(({ gpus: count, vfs, vcpus }) =>
    aRequest([wish('gpu', count), ...(vfs > 0 ? [wish('vf', vfs)] : [])], { vcpus }),
  );

describe('any plan', () => {
  const size = { hosts: 4, cards: 4, servers: 8 };

  function isSound(world: World, request: PlacementRequest, more: number): DefragmentPlan {
    const now = atOnce(howManyMore(world.snapshot, request, 1000)).count;
    const answer = plan(world, request, now + more, { trialsMax: 1_500 });
    const then = atOnce(howManyMore(carriedOut(world, answer), request, 1000)).count;
    expect([answer.before, answer.after]).toEqual([now, then]);
    expect(then).toBeGreaterThanOrEqual(now);
    expect(answer.outcome === 'reached').toBe(then >= now + more);
    return answer;
  }

  it('can be carried out move by move, gains what it says, never less than nothing, and no bound is above it', () => {
    const reached: DefragmentPlan[] = [];
    fc.assert(
      fc.property(scattered, aGoal, fc.constantFrom(1, 2), (world, request, more) => {
        const answer = isSound(world, request, more);
        if (answer.outcome !== 'reached') return;
        reached.push(answer);
        expect(answer.movesAtLeast).toBeLessThanOrEqual(answer.moves.length);
        expect(answer.movesAtLeast).toBeGreaterThan(0);
      }),
      { numRuns: 40, seed: 7 },
    );
    // the law would be empty if there were never anything to move
    expect(reached.length).toBeGreaterThan(8);
    expect(reached.filter(({ moves }) => moves.length > 1).length).toBeGreaterThan(1);
  }, 60_000);

  it('is so with IOMMU groups, NUMA nodes, and hosts that are down, too', () => {
    fc.assert(
      fc.property(worlds(size), anyRequest, (world, request) => {
        isSound(world, request, 2);
      }),
      { numRuns: 60 },
    );
  });

  it('leaves fewer devices unusable, when it is for a mix', () => {
    fc.assert(
      fc.property(worlds(size), fc.constantFrom(1, 2, 3), (world, count) => {
        const shapes = [{ request: aRequest([wish('gpu', count)]), weight: 1 }];
        const mixes = [{ alias: wish('gpu', 1), shapes }];
        const unusable = (snapshot: Snapshot): number => {
          const [answer] = atOnce(fragmentationByAlias(snapshot, mixes));
          return (answer?.fragmentation ?? 0) * (answer?.free ?? 0);
        };
        const answer = plan(world, anyGpu, 1, { goal: { kind: 'mix', mixes } });
        expect(answer.before).toBeCloseTo(unusable(world.snapshot));
        expect(answer.after).toBeCloseTo(unusable(carriedOut(world, answer)));
        expect(answer.after).toBeLessThanOrEqual(answer.before);
      }),
      { numRuns: 60 },
    );
  });

  it('is the same each time it is asked for', () => {
    fc.assert(
      fc.property(worlds(size), anyRequest, (world, request) => {
        expect(JSON.stringify(plan(world, request, 3))).toBe(JSON.stringify(plan(world, request, 3)));
      }),
      { numRuns: 30 },
    );
  });
});

const anyGpu = gpus(1);
