import { describe, expect, it } from 'vitest';
import { anAggregate, aServer } from '../../../test/support/filter-cases.js';
import { aHost, aRequest, POLICY, wants } from '../../../test/support/snapshots.js';
import { place } from '../place.js';
import type { PlacementRequest, ServerGroupWish } from '../request.js';
import type { HostSnapshot, PlacementPolicy } from '../snapshot.js';
import { WEIGHERS } from './weighers.js';

/** A weigher's value of a host; null when it has nothing to say. */
function rawOf(
  name: string,
  host: HostSnapshot,
  request: PlacementRequest,
  policy: Partial<PlacementPolicy> = {},
): number | null {
  const weigher = WEIGHERS.find((one) => one.name === name);
  if (!weigher) throw new Error(`no weigher ${name}`);
  return (weigher.concerns?.(request) ?? true) ? weigher.raw(host, request, { ...POLICY, ...policy }) : null;
}

const gpu = (count: number): PlacementRequest => aRequest([wants('gpu', count, '10de:1bb0')]);
const GPUS = [{ address: '0000:81:00.0' }, { address: '0000:82:00.0' }, { address: '0000:05:00.0', ids: '8086:1572' }];
const group = (policy: ServerGroupWish['policy']) => ({
  host: { group: { id: 'g', name: 'web', policy, maxServerPerHost: 1 } },
});
const host = aHost('h', GPUS, {
  capacity: { vcpus: 8, memoryMb: 1000, diskGb: 100 },
  reserved: { vcpus: 1, memoryMb: 100, diskGb: 10 },
  used: { vcpus: 3, memoryMb: 200, diskGb: 20 },
  failedBuilds: 2,
  servers: [
    aServer('a', { groupId: 'g', settled: false }),
    aServer('b', { groupId: 'g' }),
    aServer('c', { groupId: 'x' }),
  ],
});

describe('the value of a host', () => {
  it.each<[string, PlacementRequest, Partial<PlacementPolicy>, number | null]>([
    ['RAMWeigher', aRequest([]), {}, 700],
    ['CPUWeigher', aRequest([]), {}, 4],
    ['CPUWeigher', aRequest([]), { cpuAllocationRatio: 4 }, 25],
    ['DiskWeigher', aRequest([]), {}, 70],
    ['IoOpsWeigher', aRequest([]), {}, 1],
    ['BuildFailureWeigher', aRequest([]), {}, 2],
    ['PCIWeigher', aRequest([]), {}, -3],
    ['PCIWeigher', gpu(1), {}, -1],
    ['PCIWeigher', gpu(2), {}, -0],
    ['ServerGroupSoftAffinityWeigher', aRequest([], group('soft-affinity')), {}, 2],
    ['ServerGroupSoftAffinityWeigher', aRequest([], group('soft-anti-affinity')), {}, null],
    ['ServerGroupSoftAffinityWeigher', aRequest([]), {}, null],
    ['ServerGroupSoftAntiAffinityWeigher', aRequest([], group('soft-anti-affinity')), {}, -2],
    ['ServerGroupSoftAntiAffinityWeigher', aRequest([], group('anti-affinity')), {}, null],
    ['AlternativeWeigher', gpu(1), {}, null],
  ])('by %s (case %#)', (name, request, policy, raw) => {
    expect(rawOf(name, host, request, policy)).toEqual(raw);
  });
});

describe('the host that is chosen', () => {
  const big = { capacity: { vcpus: 256, memoryMb: 1_048_576, diskGb: 9000 } };
  const chosen = (hosts: readonly HostSnapshot[], request: PlacementRequest, policy: Partial<PlacementPolicy> = {}) => {
    const decision = place({ hosts, policy: { ...POLICY, ...policy } }, request, []);
    return decision.outcome === 'placed' ? decision.hostName : decision.message;
  };

  it('is not one on which builds fail, however much room it has', () => {
    expect(chosen([aHost('a', [], { ...big, failedBuilds: 1 }), aHost('b', [])], aRequest([]))).toBe('b');
  });

  it('is one on which builds fail, if the operator wants that', () => {
    const hosts = [aHost('a', []), aHost('b', [], { failedBuilds: 1 })];
    expect(chosen(hosts, aRequest([]), { weigherMultipliers: { BuildFailureWeigher: -1 } })).toBe('b');
  });

  it('is one with few servers on the way', () => {
    const busy = aHost('a', [], { servers: [aServer('x', { settled: false })] });
    expect(chosen([busy, aHost('b', [])], aRequest([]))).toBe('b');
    expect(
      chosen([aHost('a', []), { ...busy, name: 'b', id: 'b' }], aRequest([]), {
        weigherMultipliers: { IoOpsWeigher: 1 },
      }),
    ).toBe('b');
  });

  it('is not a GPU host for a plain server, even if it is the bigger and the quieter one', () => {
    const gpuHost = aHost('a', GPUS, big);
    expect(chosen([gpuHost, aHost('b', [], { servers: [aServer('x', { settled: false })] })], aRequest([]))).toBe('b');
  });

  it('is where the group is, or is not, when that is softly wished', () => {
    const hosts = [aHost('a', []), aHost('b', [], { servers: [aServer('x', { groupId: 'g' })] }), aHost('c', [])];
    expect(chosen(hosts, aRequest([], group('soft-affinity')))).toBe('b');
    expect(chosen([...hosts].slice(1), aRequest([], group('soft-anti-affinity')))).toBe('c');
  });

  it('is where the group is, and nowhere else, when that is wished hard', () => {
    const hosts = [aHost('a', [], big), aHost('b', [], { servers: [aServer('x', { groupId: 'g' })] })];
    const filters = ['ServerGroupAffinityFilter', 'ServerGroupAntiAffinityFilter', 'ComputeFilter'];
    expect(chosen(hosts, aRequest([], group('affinity')), { filters })).toBe('b');
    expect(chosen([...hosts].reverse(), aRequest([], group('anti-affinity')), { filters })).toBe('a');
    const down = aHost('a', [], { status: 'down', servers: [aServer('x', { groupId: 'g' })] });
    expect(chosen([down, aHost('b', [])], aRequest([], group('affinity')), { filters })).toMatch(
      /server group web keeps together/,
    );
  });

  it('follows a group that settles while the same is asked again', () => {
    const hosts = [aHost('a', []), aHost('b', [], big)];
    const filters = ['ServerGroupAffinityFilter'];
    expect(chosen(hosts, aRequest([], group('affinity')), { filters })).toBe('b');
    hosts[0] = aHost('a', [], { servers: [aServer('x', { groupId: 'g' })] });
    expect(chosen(hosts, aRequest([], group('affinity')), { filters })).toBe('a');
  });

  it('depends on what an aggregate says of a weigher', () => {
    const aggregates = [
      anAggregate({ ram_weight_multiplier: '-1', cpu_weight_multiplier: '0', disk_weight_multiplier: '0' }),
    ];
    const hosts = [aHost('a', []), aHost('b', [], big)];
    expect(chosen(hosts, aRequest([]))).toBe('b');
    expect(chosen([aHost('a', []), aHost('b', [], { ...big, aggregates })], aRequest([]))).toBe('a');
  });
});
