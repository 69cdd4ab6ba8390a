import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { atOnce } from '../../test/support/steps.js';
import { aHost, aRequest, POLICY, wants, type DeviceSketch } from '../../test/support/snapshots.js';
import { NUMA_POLICIES, type NumaPolicy } from '../pci/alias/numa-policy.js';
import { withoutServer } from './apply-placement.js';
import { Fork } from './fork.js';
import type { PlacementRequest, TopologyConstraint } from './request.js';
import { type Change, type ChangeLimits, smallestChanges } from './smallest-change.js';
import type { Step } from './smallest-change-step.js';
import type { HostedServer, HostSnapshot, Snapshot } from './snapshot.js';

const GPU = '10de:1bb0';
const ALL: ChangeLimits = { trialsMax: 100_000, changesMax: 1_000, perKindMax: 1_000, about: 'all' };
const gpu = (count: number, more: Parameters<typeof wants>[3] = {}): PlacementRequest =>
  aRequest([wants('gpu', count, GPU, more)]);
const GROUPS = ['ServerGroupAffinityFilter', 'ServerGroupAntiAffinityFilter'];
const fleet = (...hosts: HostSnapshot[]): Snapshot => ({
  hosts,
  policy: { ...POLICY, filters: [...GROUPS, ...POLICY.filters] },
});

function aServer(id: string, more: Partial<HostedServer> = {}): HostedServer {
  return {
    ...{ id, name: `name of ${id}`, projectId: 'p', vcpus: 1, memoryMb: 512, diskGb: 0, numaCells: null },
    ...{ guestCells: null, cpuPolicy: 'shared', groupId: null, priority: 0, preemptible: false, settled: true },
    ...more,
  };
}

const at = (slot: number, more: Partial<DeviceSketch> = {}): DeviceSketch => ({
  address: `0000:8${slot}:00.0`,
  ...more,
});
const by = (server: string): Partial<DeviceSketch> => ({
  status: 'allocated',
  owner: { serverId: server, serverName: `name of ${server}` },
});

function sentences(snapshot: Snapshot, request: PlacementRequest, limits: Partial<ChangeLimits> = {}): string[] {
  const { changes } = atOnce(smallestChanges(snapshot, request, [], { ...ALL, ...limits }));
  return changes.map(({ steps }) => steps.map(({ sentence }) => sentence).join('; and '));
}

describe('the smallest change that makes a request fit', () => {
  it('is none where it fits', () => {
    const result = atOnce(smallestChanges(fleet(aHost('a', [at(1)])), gpu(1), [], ALL));
    expect(result).toMatchObject({ fitsOn: 'a', changes: [], complete: true });
  });

  it('is told cheapest first: fewer devices, a hold, a server, a machine', () => {
    const busy = aHost('busy', [at(1), at(2, by('big')), at(3, by('big')), at(4, by('small'))], {
      servers: [aServer('big'), aServer('small', { priority: 7 })],
    });
    const held = aHost('held', [at(1), at(2, { status: 'quarantined' })]);
    expect(sentences(fleet(busy, held), gpu(2))).toEqual([
      'ask for 1 instead of 2 of alias gpu',
      'make 0000:82:00.0 of host held available again (it is quarantined)',
      'delete server name of small or move it away from host busy (1 device, 1 vCPUs, priority 7)',
      'delete server name of big or move it away from host busy (2 devices, 1 vCPUs, priority 0)',
      'add one host like busy (64 CPUs, 4 × 10de:1bb0)',
      'add one host like held (64 CPUs, 2 × 10de:1bb0)',
    ]);
  });

  it('prefers, of servers with as many devices, the less important one', () => {
    const host = aHost('h', [at(1, by('a')), at(2, by('b'))], {
      servers: [aServer('a', { priority: 9 }), aServer('b', { priority: 1 })],
    });
    expect(sentences(fleet(host), gpu(1), { perKindMax: 1 })[0]).toContain('name of b');
  });

  it('weakens a NUMA policy no more than it has to', () => {
    const host = aHost('h', [at(1, { numaNode: 0 }), at(2, { numaNode: 1 })]);
    const sameSocket = { ...host, numaCells: host.numaCells.map((cell) => ({ ...cell, socket: 0 })) };
    const request = { ...gpu(2, { numaPolicy: 'required' }), guestCells: [{ vcpus: 1, memoryMb: 512 }] };
    expect(sentences(fleet(host), request)[0]).toBe('ask for 1 instead of 2 of alias gpu');
    expect(sentences(fleet(host), request)[1]).toBe('NUMA policy preferred instead of required for gpu:2');
    expect(sentences(fleet(sameSocket), request)[0]).toBe('NUMA policy socket instead of required for gpu:2');
  });

  it('enables a host', () => {
    const host = aHost('h', [at(1)], { enabled: false, disabledReason: 'fan' });
    expect(sentences(fleet(host), gpu(1))[0]).toBe('enable host h (disabled: fan)');
  });

  it('is a pair only where no single step does', () => {
    const host = aHost('h', [at(1, by('a')), at(2, { status: 'failed' })], { servers: [aServer('a')], enabled: false });
    expect(sentences(fleet(host), gpu(3))).toEqual([
      'ask for 2 instead of 3 of alias gpu; and add one host like h (64 CPUs, 2 × 10de:1bb0)',
    ]);
    const tried = atOnce(smallestChanges(fleet(host), gpu(1), [], { ...ALL, changesMax: 1 }));
    expect(tried.changes.map(({ steps }) => steps.map(({ kind }) => kind))).toEqual([['add_host']]);
  });

  it('finds pairs of requests alone, for a project', () => {
    const host = aHost('h', [at(1), at(2, { ids: '10ee:5000' })]);
    const both = aRequest([wants('gpu', 2, GPU), wants('fpga', 2, '10ee:5000')]);
    expect(sentences(fleet(host), both, { about: 'request' })).toEqual([
      'ask for 1 instead of 2 of alias gpu; and ask for 1 instead of 2 of alias fpga',
    ]);
    expect(sentences(fleet(host), aRequest([wants('x', 1, 'ffff:1')]), { about: 'request' })).toEqual([]);
  });

  it('looks at one host of each kind, says how many are alike, and stops when its trials are used up', () => {
    const hosts = Array.from({ length: 50 }, (_unused, index) =>
      aHost(`h${String(index).padStart(2, '0')}`, [at(1, by(`s${index}`))], { servers: [aServer(`s${index}`)] }),
    );
    const result = atOnce(smallestChanges(fleet(...hosts), gpu(1), [], ALL));
    expect(result.trials).toBe(5);
    expect(result.changes).toMatchObject([
      { equalHosts: 50, host: { name: 'h00' } },
      { steps: [{ kind: 'add_host' }] },
    ]);
    const short = atOnce(smallestChanges(fleet(...hosts), gpu(1), [], { ...ALL, trialsMax: 1 }));
    expect(short).toMatchObject({ changes: [], trials: 1, complete: false });
  });

  it('does not send a server to a host that it was tried on', () => {
    const host = aHost('h', [at(1)]);
    const result = atOnce(smallestChanges(fleet(host), gpu(1), [{ hostId: host.id, reason: 'x' }], ALL));
    expect(result.changes.map(({ steps }) => steps.map(({ kind }) => kind))).toEqual([['add_host']]);
  });
});

interface Card {
  readonly state: 'free' | 'a' | 'b' | 'reserved' | 'failed';
  readonly node: 0 | 1;
}
const cards = fc.array(
  fc.record<Card>({ state: fc.constantFrom('free', 'a', 'b', 'reserved', 'failed'), node: fc.constantFrom(0, 1) }),
  { maxLength: 4 },
);
const aFleet = fc.array(
  fc.record({ cards, enabled: fc.boolean(), member: fc.boolean(), vcpus: fc.integer({ min: 1, max: 4 }) }),
  {
    minLength: 1,
    maxLength: 3,
  },
);
const aWish = fc.record({
  count: fc.integer({ min: 1, max: 4 }),
  numaPolicy: fc.constantFrom(...NUMA_POLICIES),
  vcpus: fc.integer({ min: 1, max: 5 }),
  guest: fc.boolean(),
  group: fc.constantFrom(null, null, 'affinity' as const, 'anti-affinity' as const),
});

type HostSketch = { cards: readonly Card[]; enabled: boolean; member: boolean; vcpus: number };

function hostsOf(sketches: readonly HostSketch[]): HostSnapshot[] {
  return sketches.map(({ cards: all, enabled, member, vcpus }, index) => {
    const servers = [aServer(`${index}-a`, { groupId: member ? 'g' : null }), aServer(`${index}-b`)];
    const devices = all.map(({ state, node }, slot) => ({
      ...at(slot, { numaNode: node }),
      ...(state === 'a' || state === 'b' ? by(`${index}-${state}`) : state === 'free' ? {} : { status: state }),
    }));
    const capacity = { vcpus, memoryMb: 131_072, diskGb: 1000 };
    return aHost(`h${index}`, devices, { servers, enabled, capacity, used: { vcpus: 2, memoryMb: 0, diskGb: 0 } });
  });
}

function fits(hosts: readonly HostSnapshot[], request: PlacementRequest): boolean {
  return new Fork(fleet(...hosts)).decide(request).outcome === 'placed';
}

interface Trial {
  readonly name: string;
  /** Of one slot, the first that does is the smallest. */
  readonly slot: string;
  readonly apply: (hosts: readonly HostSnapshot[], request: PlacementRequest) => [HostSnapshot[], PlacementRequest];
}

/** Every single change there is, written down once more and without any of the short cuts. */
function allSingles(hosts: readonly HostSnapshot[], { devices: [wish] }: PlacementRequest): Trial[] {
  const asked = (name: string, slot: string, change: object): Trial => ({
    ...{ name, slot },
    apply: (all, request) => [[...all], { ...request, devices: request.devices.map((one) => ({ ...one, ...change })) }],
  });
  const done = (name: string, id: string, change: (host: HostSnapshot) => HostSnapshot): Trial => ({
    ...{ name, slot: name },
    apply: (all, request) => [all.map((host) => (host.id === id ? change(host) : host)), request],
  });
  const { count = 0, numaPolicy = 'legacy' } = wish ?? {};
  const weaker: readonly NumaPolicy[] = { required: ['socket', 'legacy', 'preferred'] as const, preferred: [] }[
    numaPolicy as 'required'
  ] ?? ['preferred'];
  return [
    ...[3, 2, 1].filter((fewer) => fewer < count).map((to) => asked(`fewer_devices ${to}`, 'count', { count: to })),
    ...weaker.map((to) => asked(`weaker_numa_policy ${to}`, 'policy', { numaPolicy: to })),
    { name: 'drop_wish g', slot: 'group', apply: (all, { host: _wishes, ...request }) => [[...all], request] },
    ...hosts.flatMap((host): Trial[] => [
      ...(host.enabled ? [] : [done(`enable_host ${host.name}`, host.id, (one) => ({ ...one, enabled: true }))]),
      ...host.servers.map(({ id }) => done(`free_server ${id}`, host.id, (one) => withoutServer(one, id))),
      ...host.devices.flatMap(({ address, status }) =>
        status === 'reserved' || status === 'failed'
          ? done(`lift_hold ${host.name} ${address}`, host.id, (one) => withAvailable(one, address))
          : [],
      ),
      {
        ...{ name: `add_host ${host.name}`, slot: `add_host ${host.name}` },
        apply: (all, request) => [[...all, brandNew(host)], request],
      },
    ]),
  ];
}

function withAvailable(host: HostSnapshot, address: string): HostSnapshot {
  const devices = host.devices.map((one) => (one.address === address ? { ...one, status: 'available' as const } : one));
  return { ...host, devices };
}

function brandNew(host: HostSnapshot): HostSnapshot {
  const devices = host.devices.map((one) => ({ ...one, status: 'available' as const, owner: null }));
  const used = { vcpus: 0, memoryMb: 0, diskGb: 0 };
  return { ...host, id: `new ${host.id}`, name: `new ${host.name}`, enabled: true, servers: [], devices, used };
}

/** The names of those that do, on the whole fleet; of one slot the first. */
function bruteForce(hosts: readonly HostSnapshot[], request: PlacementRequest): string[] {
  const doing = allSingles(hosts, request).filter(({ apply }) => fits(...apply(hosts, request)));
  return doing
    .filter(({ slot }, index) => doing.findIndex((one) => one.slot === slot) === index)
    .map(({ name }) => name);
}

function anyPairDoes(hosts: readonly HostSnapshot[], request: PlacementRequest): boolean {
  const singles = allSingles(hosts, request);
  return singles.some((a) => singles.some((b) => a.slot !== b.slot && fits(...b.apply(...a.apply(hosts, request)))));
}

function shortOf({ steps }: Change): string {
  const [step] = steps as [Step];
  const {
    to,
    value,
    server_id: server,
    host,
    address,
    like,
  } = step.details as Record<string, string | number | undefined>;
  const rest = server ?? [to, value, host, address, like].filter((part) => part !== undefined).join(' ');
  return `${step.kind} ${rest}`;
}

const kindOf = (text: string): string => text.split(' ')[0] as string;
const notAdded = (text: string): boolean => kindOf(text) !== 'add_host';

/** What tells hosts apart but for their names. */
function looksOf({ devices, enabled, capacity, servers }: HostSnapshot): string {
  const looks = devices.map(({ status, numaNode, owner }) => [status, numaNode, owner?.serverId.slice(2)]);
  return JSON.stringify([looks, enabled, capacity, servers.map(({ groupId }) => groupId)]);
}

describe('laws of the smallest change', () => {
  const cases = fc.tuple(aFleet, aWish).map(([sketches, { count, numaPolicy, vcpus, guest, group: policy }]) => {
    const guestCells = guest ? [{ vcpus, memoryMb: 512 }] : null;
    const host = policy && { host: { group: { id: 'g', name: 'g', policy, maxServerPerHost: 1 } } };
    const request: PlacementRequest = { ...gpu(count, { numaPolicy }), vcpus, guestCells, ...host };
    return { hosts: hostsOf(sketches), request };
  });

  it('every change, applied to the fleet, makes the request fit', () => {
    fc.assert(
      fc.property(cases, ({ hosts, request }) => {
        const { fitsOn, changes } = atOnce(smallestChanges(fleet(...hosts), request, [], ALL));
        expect(fitsOn !== null).toBe(fits(hosts, request));
        for (const change of changes) {
          const fork = new Fork(fleet(...hosts));
          fork.put(change.host);
          expect(fork.decide(change.request).outcome, JSON.stringify(change.steps)).toBe('placed');
        }
      }),
      { numRuns: 100 },
    );
  });

  it('finds every single change that trying all of them finds', () => {
    fc.assert(
      fc.property(cases, ({ hosts, request }) => {
        fc.pre(!fits(hosts, request));
        const { changes, complete } = atOnce(smallestChanges(fleet(...hosts), request, [], ALL));
        expect(complete).toBe(true);
        const single = changes.filter(({ steps }) => steps.length === 1).map(shortOf);
        const all = bruteForce(hosts, request);
        for (const one of single) expect(all).toContain(one);
        expect(new Set(single.map(kindOf))).toEqual(new Set(all.map(kindOf)));
        // of equal hosts one stands for all
        if (new Set(hosts.map(looksOf)).size < hosts.length) return;
        expect(single.filter(notAdded).toSorted()).toEqual(all.filter(notAdded).toSorted());
      }),
      { numRuns: 150 },
    );
  });

  it('finds a pair wherever trying all pairs finds one and no single step does', () => {
    fc.assert(
      fc.property(cases, ({ hosts, request }) => {
        fc.pre(!fits(hosts, request) && bruteForce(hosts, request).length === 0);
        const { changes } = atOnce(smallestChanges(fleet(...hosts), request, [], ALL));
        expect(changes.every(({ steps }) => steps.length === 2)).toBe(true);
        expect(changes.length > 0).toBe(anyPairDoes(hosts, request));
      }),
      { numRuns: 100 },
    );
  });
});

describe('a topology constraint that is in the way', () => {
  const board = (...ports: string[]): HostSnapshot =>
    aHost(
      'h',
      ports.map((port, slot) => at(slot, { pciePath: ['pci0000:80', port, `${port}.sw`, `${port}.${slot}`] })),
    );
  const together = (weight: number | null): PlacementRequest => ({
    ...gpu(2),
    constraints: [{ kind: 'within', level: 'PXB', requests: [0], weight }],
  });

  it('becomes a wish', () => {
    const apart = fleet(board('a', 'b'));
    expect(sentences(apart, together(null), { about: 'request' })).toEqual([
      'make "gpu within PXB" preferred, not required',
      'ask for 1 instead of 2 of alias gpu',
    ]);
    expect(atOnce(smallestChanges(fleet(board('a', 'a')), together(null), [], ALL)).fitsOn).toBe('h');
    expect(atOnce(smallestChanges(apart, together(50), [], ALL)).fitsOn).toBe('h');
  });

  it('is dropped where there are as many wishes as there may be', () => {
    const wishes = Array.from({ length: 6 }, () => ({ ...(together(10).constraints?.[0] as TopologyConstraint) }));
    const request = { ...together(null), constraints: [...(together(null).constraints ?? []), ...wishes] };
    expect(sentences(fleet(board('a', 'b')), request, { about: 'request' })[0]).toBe(
      'ask for 1 instead of 2 of alias gpu',
    );
    expect(sentences(fleet(board('a', 'b')), request, { about: 'request' })[1]).toBe('drop "gpu within PXB"');
  });

  it('is one of two, both of which have to go', () => {
    const nodes = board('a', 'b');
    const devices = nodes.devices.map((device, slot) => ({ ...device, numaNode: slot }));
    const request: PlacementRequest = {
      ...aRequest([wants('gpu', 1, GPU), wants('gpu', 1, GPU)]),
      constraints: [
        { kind: 'within', level: 'PXB', requests: [0, 1], weight: null },
        { kind: 'same', attribute: 'numa_node', requests: [0, 1], weight: null },
      ],
    };
    expect(sentences(fleet({ ...nodes, devices }), request, { about: 'request' })[0]).toBe(
      'make "gpu,gpu within PXB" preferred, not required; and make "gpu,gpu same numa_node" preferred, not required',
    );
  });
});

describe('wishes for hosts', () => {
  it.each<[string, Partial<HostSnapshot>, PlacementRequest['host'], string]>([
    ['a zone', {}, { availabilityZone: 'z1' }, 'any availability zone, not only z1'],
    ['a trait', {}, { requiredTraits: ['CUSTOM_A'] }, 'do not require the host trait CUSTOM_A'],
    [
      'a trait that is there',
      { traits: ['CUSTOM_B'] },
      { forbiddenTraits: ['CUSTOM_B'] },
      'do not forbid the host trait CUSTOM_B',
    ],
    ['a hint', {}, { sameHost: ['s'] }, 'drop the hint same_host'],
    ['the other hint', { servers: [aServer('s')] }, { differentHost: ['s'] }, 'drop the hint different_host'],
  ])('%s is dropped', (_name, more, host, sentence) => {
    const filters = ['AvailabilityZoneFilter', 'SameHostFilter', 'DifferentHostFilter', ...POLICY.filters];
    const snapshot = { hosts: [aHost('h', [at(1)], more)], policy: { ...POLICY, filters } };
    expect(sentences(snapshot, { ...gpu(1), host: host ?? {} }, { about: 'request' })).toEqual([sentence]);
  });
});
