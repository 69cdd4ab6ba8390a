import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { aHost, aRequest, POLICY, wants } from '../../test/support/snapshots.js';
import { applyPlacement, withoutServer } from './apply-placement.js';
import { Fork } from './fork.js';
import { place } from './place.js';
import { mayBePreempted, planPreemption } from './preempt.js';
import type { PlacementRequest } from './request.js';
import type { HostSnapshot } from './snapshot.js';

const gpu = (count: number) => wants('gpu', count, '10de:1bb0');

interface Tenant {
  readonly gpus: number;
  readonly vcpus?: number;
  readonly priority?: number;
  readonly preemptible?: boolean;
  readonly settled?: boolean;
}

/** A host with servers that fit on it, named `<host>-<index>`; those that do not are left out. */
function hostOf(name: string, gpus: number, tenants: readonly Tenant[], vcpus = 8): HostSnapshot {
  const devices = Array.from({ length: gpus }, (_unused, index) => ({ address: `0000:0${index + 1}:00.0` }));
  const capacity = { vcpus, memoryMb: 131_072, diskGb: 1000 };
  let host = aHost(name, devices, { capacity });
  for (const [index, tenant] of tenants.entries()) {
    const { priority = 0, preemptible = true } = tenant;
    const request = aRequest(tenant.gpus === 0 ? [] : [gpu(tenant.gpus)], {
      ...{ vcpus: tenant.vcpus ?? 1, priority, preemptible },
    });
    const decision = place({ hosts: [host], policy: POLICY }, request, []);
    if (decision.outcome === 'rejected') continue;
    const id = `${name}-${index}`;
    host = applyPlacement(host, decision, request, { serverId: id, serverName: id });
  }
  const settled = (id: string): boolean => tenants[Number(id.slice(-1))]?.settled ?? true;
  return { ...host, servers: host.servers.map((server) => ({ ...server, settled: settled(server.id) })) };
}

const plan = (hosts: readonly HostSnapshot[], request: PlacementRequest) =>
  planPreemption({ hosts, policy: POLICY }, request, []);

const victims = (hosts: readonly HostSnapshot[], request: PlacementRequest): string[] | null =>
  plan(hosts, request)?.victims.map(({ id }) => id) ?? null;

describe('who leaves', () => {
  const important = aRequest([gpu(2)], { priority: 9 });

  it.each<[string, readonly HostSnapshot[], PlacementRequest, string[] | null]>([
    [
      'one with two rather than two with one',
      [hostOf('a', 4, [{ gpus: 1 }, { gpus: 1 }, { gpus: 2 }])],
      important,
      ['a-2'],
    ],
    [
      'the fewest, on whichever host',
      [hostOf('a', 2, [{ gpus: 1 }, { gpus: 1 }]), hostOf('b', 2, [{ gpus: 2, priority: 5 }])],
      important,
      ['b-0'],
    ],
    [
      'the less important among equals',
      [hostOf('a', 2, [{ gpus: 2, priority: 5 }]), hostOf('b', 2, [{ gpus: 2, priority: 4 }])],
      important,
      ['b-0'],
    ],
    [
      'who has fewer devices among equals',
      [hostOf('a', 3, [{ gpus: 3 }]), hostOf('b', 2, [{ gpus: 2 }])],
      important,
      ['b-0'],
    ],
    ['the first host among equals', [hostOf('a', 2, [{ gpus: 2 }]), hostOf('b', 2, [{ gpus: 2 }])], important, ['a-0']],
    ['nobody as important', [hostOf('a', 2, [{ gpus: 2, priority: 9 }])], important, null],
    ['nobody who may not be preempted', [hostOf('a', 2, [{ gpus: 2, preemptible: false }])], important, null],
    ['nobody who is on its way', [hostOf('a', 2, [{ gpus: 2, settled: false }])], important, null],
    ['nobody where it would not help', [hostOf('a', 1, [{ gpus: 1 }])], important, null],
    [
      'who holds vCPUs, when these are short',
      [
        hostOf('a', 4, [
          { gpus: 0, vcpus: 7 },
          { gpus: 1, vcpus: 1 },
        ]),
      ],
      aRequest([gpu(1)], { vcpus: 4, priority: 1 }),
      ['a-0'],
    ],
  ])('%s', (_name, hosts, request, expected) => expect(victims(hosts, request)).toEqual(expected));

  it('not whom the request wants to be with', () => {
    const host = hostOf('a', 2, [{ gpus: 1 }, { gpus: 1, priority: 3 }]);
    const request = aRequest([gpu(1)], { priority: 9, host: { sameHost: ['a-0'] } });
    expect(victims([host], request)).toEqual(['a-1']);
  });

  it('not on a host that is left out', () => {
    const hosts = [hostOf('a', 2, [{ gpus: 2 }])];
    const excluded = [{ hostId: 'id-a', reason: 'EBUSY' }];
    expect(planPreemption({ hosts, policy: POLICY }, important, excluded)).toBeNull();
  });

  it('a small set where there are too many sets to try all, and it says so', () => {
    const tenants = Array.from({ length: 8 }, (): Tenant => ({ gpus: 1 }));
    const sixteen = Array.from({ length: 16 }, (): Tenant => ({ gpus: 0, vcpus: 1 }));
    const few = plan([hostOf('a', 8, tenants, 64)], aRequest([gpu(7)], { priority: 1 }));
    expect(few).toMatchObject({ least: true });
    expect(few?.victims).toHaveLength(7);
    const many = plan([hostOf('a', 0, sixteen, 16)], aRequest([], { vcpus: 12, priority: 1 }));
    expect(many).toMatchObject({ least: false });
    expect(many?.victims).toHaveLength(12);
  });
});

interface Best {
  readonly hostName: string;
  readonly count: number;
  readonly priorities: number;
  readonly devices: number;
}

/** All sets of all hosts. */
function bruteForce(hosts: readonly HostSnapshot[], request: PlacementRequest): Best | null {
  let best: Best | null = null;
  for (const host of hosts) {
    const servers = host.servers.filter((server) => mayBePreempted(server, request));
    for (let mask = 1; mask < 1 << servers.length; mask++) {
      const set = servers.filter((_server, bit) => (mask >> bit) & 1);
      const without = set.reduce((left, { id }) => withoutServer(left, id), host);
      if (place({ hosts: [without], policy: POLICY }, request, []).outcome === 'rejected') continue;
      const ids = set.map(({ id }) => id);
      const found: Best = {
        hostName: host.name,
        count: set.length,
        priorities: set.reduce((sum, { priority }) => sum + priority, 0),
        devices: host.devices.filter(({ owner }) => owner !== null && ids.includes(owner.serverId)).length,
      };
      if (!best || isLess(found, best)) best = found;
    }
  }
  return best;
}

function isLess(a: Best, b: Best): boolean {
  return (a.count - b.count || a.priorities - b.priorities || a.devices - b.devices) < 0;
}

const mostly = fc.integer({ min: 0, max: 5 }).map((roll) => roll > 0);
const tenant = fc.record({
  gpus: fc.integer({ min: 0, max: 2 }),
  vcpus: fc.integer({ min: 1, max: 4 }),
  priority: fc.integer({ min: 0, max: 3 }),
  preemptible: mostly,
  settled: mostly,
});
const fleet = fc.array(fc.tuple(fc.integer({ min: 2, max: 4 }), fc.array(tenant, { minLength: 2, maxLength: 5 })), {
  minLength: 1,
  maxLength: 3,
});

describe('on small fleets', () => {
  it('is what trying all sets finds, and holds when it is carried out', () => {
    let plans = 0;
    fc.assert(
      fc.property(
        fleet,
        fc.record({
          gpus: fc.integer({ min: 0, max: 4 }),
          vcpus: fc.integer({ min: 2, max: 8 }),
          priority: fc.integer({ min: 1, max: 4 }),
        }),
        (sketches, { gpus, ...asked }) => {
          const hosts = sketches.map(([count, tenants], index) => hostOf(`h${index}`, count, tenants));
          const request = aRequest(gpus === 0 ? [] : [gpu(gpus)], asked);
          if (place({ hosts, policy: POLICY }, request, []).outcome === 'placed') return;
          const found = plan(hosts, request);
          const best = bruteForce(hosts, request);
          expect(found === null).toBe(best === null);
          if (!found || !best) return;
          plans++;
          const ids = found.victims.map(({ id }) => id);
          const host = hosts.find(({ id }) => id === found.hostId) as HostSnapshot;
          expect({
            hostName: found.hostName,
            count: ids.length,
            priorities: found.victims.reduce((sum, { priority }) => sum + priority, 0),
            devices: host.devices.filter(({ owner }) => owner !== null && ids.includes(owner.serverId)).length,
          }).toEqual(best);
          expect(found.least).toBe(true);
          expect(found.victims.every((server) => mayBePreempted(server, request))).toBe(true);
          const fork = new Fork({ hosts, policy: POLICY });
          fork.put(ids.reduce((left, id) => withoutServer(left, id), host));
          expect(fork.decide(request)).toMatchObject({ outcome: 'placed', hostId: found.hostId });
        },
      ),
      { numRuns: 150 },
    );
    expect(plans).toBeGreaterThan(15);
  });
});
