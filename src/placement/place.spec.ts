import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { aHost, aRequest, POLICY, wants, type DeviceSketch } from '../../test/support/snapshots.js';
import { applyPlacement } from './apply-placement.js';
import type { Decision, Placement } from './decision.js';
import { place } from './place.js';
import type { PlacementRequest } from './request.js';
import type { HostSnapshot, Snapshot } from './snapshot.js';

const snapshot = (...hosts: HostSnapshot[]): Snapshot => ({ hosts, policy: POLICY });
const P5000S = [{ address: '0000:83:00.0' }, { address: '0000:84:00.0' }];
const gpu = (count: number): PlacementRequest => aRequest([wants('gpu', count, '10de:1bb0')]);

/** Places servers one after another, each seeing the ones before. */
function placeAll(
  start: Snapshot,
  requests: readonly [string, PlacementRequest][],
): { decisions: Decision[]; end: Snapshot } {
  let hosts = [...start.hosts];
  const decisions = requests.map(([name, request]) => {
    const decision = place({ ...start, hosts }, request, []);
    if (decision.outcome === 'placed') {
      const owner = { serverId: `id-${name}`, serverName: name };
      hosts = hosts.map((host) =>
        host.id === decision.hostId ? applyPlacement(host, decision, request, owner) : host,
      );
    }
    return decision;
  });
  return { decisions, end: { ...start, hosts } };
}

function reasonOf(decision: Decision | undefined): string {
  return decision?.outcome === 'rejected'
    ? decision.rejections.flatMap((entry) => entry.reasons.map((reason) => reason.message)).join('; ')
    : 'placed';
}

/** With the names that only administrators see. */
function namedOf(decision: Decision | undefined): string {
  const reasons = decision?.rejections.flatMap((entry) => entry.reasons) ?? [];
  return reasons.map((reason) => reason.names?.[0]?.message ?? reason.message).join('; ');
}

function addresses(decision: Decision | undefined): string[] {
  return (decision as Placement).devices.map((device) => device.address);
}

describe('the story of the charms guide: two P5000 on each host', () => {
  it('refuses the third GPU server on one host and names who has the GPUs', () => {
    const { decisions } = placeAll(snapshot(aHost('node-1', P5000S)), [
      ['gpu-vm-1', gpu(1)],
      ['plain', aRequest([])],
      ['gpu-vm-2', gpu(1)],
      ['gpu-vm-3', gpu(1)],
    ]);
    expect(decisions.map((decision) => decision.outcome)).toEqual(['placed', 'placed', 'placed', 'rejected']);
    expect(addresses(decisions[2])).toEqual(['0000:84:00.0']);
    expect(reasonOf(decisions[3])).toBe('2 devices of alias gpu, both in use');
    expect(namedOf(decisions[3])).toBe('2 devices of alias gpu, both in use by gpu-vm-1 and gpu-vm-2');
    expect(decisions[3]).toMatchObject({
      message: 'No valid host: 2 devices of alias gpu, both in use (PciPassthroughFilter, host node-1).',
    });
  });

  it('keeps a plain server away from GPU hosts, even from a bigger one', () => {
    const big = aHost('a-gpu', P5000S, { capacity: { vcpus: 256, memoryMb: 1_048_576, diskGb: 9000 } });
    expect(place(snapshot(big, aHost('b-plain', [])), aRequest([]), [])).toMatchObject({ hostName: 'b-plain' });
  });

  it('fills the host with the fewest left over, so that large sets stay whole', () => {
    const eight = aHost(
      'a-eight',
      Array.from({ length: 8 }, (_unused, slot) => ({ address: `0000:8${slot}:00.0` })),
    );
    expect(place(snapshot(eight, aHost('b-two', P5000S)), gpu(1), [])).toMatchObject({ hostName: 'b-two' });
    expect(place(snapshot(eight, aHost('b-two', P5000S)), gpu(3), [])).toMatchObject({ hostName: 'a-eight' });
  });
});

describe('reasons', () => {
  const nic: DeviceSketch[] = [
    { address: '0000:05:00.0', ids: '8086:1572', deviceType: 'type-PF' },
    { address: '0000:05:02.0', ids: '8086:154c', deviceType: 'type-VF', parentAddress: '0000:05:00.0' },
  ];
  const pf = aRequest([wants('pf', 1, '8086:1572', { deviceType: 'type-PF' })]);
  const vf = aRequest([wants('vf', 1, '8086:154c', { deviceType: 'type-VF' })]);

  it('a PF is refused while a VF is out, and the reverse', () => {
    const vfFirst = placeAll(snapshot(aHost('h', nic)), [
      ['a', vf],
      ['b', pf],
    ]).decisions;
    expect(namedOf(vfFirst[1])).toBe('1 device of alias pf, blocked: 1 of its VFs is in use by a');
    const pfFirst = placeAll(snapshot(aHost('h', nic)), [
      ['a', pf],
      ['b', vf],
    ]).decisions;
    expect(namedOf(pfFirst[1])).toBe('1 device of alias vf, blocked: its PF is in use by a');
  });

  it.each<[string, HostSnapshot, PlacementRequest, string, string]>([
    ['down', aHost('h', P5000S, { status: 'down' }), gpu(1), 'ComputeFilter', 'the agent of the host does not report'],
    [
      'disabled',
      aHost('h', P5000S, { enabled: false, disabledReason: 'fan' }),
      gpu(1),
      'ComputeFilter',
      'the host is disabled',
    ],
    [
      'read-only',
      aHost('h', P5000S, { readOnly: true }),
      gpu(1),
      'ComputeFilter',
      'the agent of the host only looks (read_only)',
    ],
    ['no such device', aHost('h', []), gpu(1), 'PciPassthroughFilter', 'no device of alias gpu'],
    ['too many', aHost('h', P5000S), gpu(3), 'PciPassthroughFilter', '2 devices of alias gpu, 3 wanted'],
    ['vCPUs', aHost('h', []), aRequest([], { vcpus: 65 }), 'CoreFilter', '65 vCPUs wanted, 64 of 64 free'],
    [
      'memory',
      aHost('h', []),
      aRequest([], { memoryMb: 131_073 }),
      'RamFilter',
      '131073 MiB of memory wanted, 131072 of 131072 free',
    ],
    [
      'disk',
      aHost('h', []),
      aRequest([], { diskGb: 1001 }),
      'DiskFilter',
      '1001 GiB of disk wanted, 1000 of 1000 free',
    ],
    [
      'no IOMMU',
      aHost('h', [{ address: '0000:83:00.0', group: null }]),
      gpu(1),
      'PciPassthroughFilter',
      '1 device of alias gpu, not safe to hand over: this host has no IOMMU, or has it off; turn it on (intel_iommu=on or amd_iommu=on, and in the firmware)',
    ],
    [
      'guest NUMA',
      aHost('h', []),
      aRequest([], { guestCells: [{ vcpus: 64, memoryMb: 1 }] }),
      'NUMATopologyFilter',
      "the guest has 1 NUMA node(s) of 64 CPUs and 1 MiB; no choice of the host's 2 is large enough: node 0 has 32 CPUs and 65536 MiB left, node 1 has 32 CPUs and 65536 MiB left",
    ],
  ])('%s', (_case, host, request, filter, message) => {
    const decision = place(snapshot(host), request, []);
    expect(decision).toMatchObject({ outcome: 'rejected', rejections: [{ filter, hosts: ['h'], hostCount: 1 }] });
    expect(reasonOf(decision)).toBe(message);
  });

  it('tells hosts with the same cause together, and a host that failed before apart', () => {
    const hosts = ['a', 'b', 'c'].map((name) => aHost(name, []));
    const decision = place(snapshot(...hosts), gpu(1), [{ hostId: 'id-b', reason: 'EBUSY' }]);
    expect(decision.rejections.map((entry) => [entry.filter, entry.hosts, entry.hostCount])).toEqual([
      ['PciPassthroughFilter', ['a', 'c'], 2],
      ['RetryFilter', ['b'], 1],
    ]);
    expect(place(snapshot(), gpu(1), [])).toMatchObject({ message: 'No host has reported yet.' });
  });

  it('counts hosts by the code of their cause once there are too many causes to tell', () => {
    const hosts = Array.from({ length: 200 }, (_unused, index) => {
      const gpus = Array.from({ length: index + 1 }, (_gpu, at) => ({
        address: `0000:${String(at).padStart(3, '1')}:00.0`,
      }));
      return aHost(`h${index}`, gpus);
    });
    const { rejections } = place(snapshot(...hosts), gpu(201), []);
    expect(rejections).toHaveLength(51);
    expect(rejections[0]).toMatchObject({ hostCount: 150, reasons: [{ code: 'device.not_enough_free', details: {} }] });
    expect(rejections.reduce((sum, entry) => sum + entry.hostCount, 0)).toBe(200);
  });

  it('says what requests compete for', () => {
    const request = aRequest([wants('a', 1, '10de:1bb0'), wants('b', 2, '10de:1bb0')]);
    expect(reasonOf(place(snapshot(aHost('h', P5000S)), request, []))).toBe(
      'a:1 and b:2 compete for the same devices: 3 wanted, 2 free',
    );
  });

  it('a group with a member that is taken is not free', () => {
    const host = aHost('h', [
      { address: '0000:83:00.0', group: 7 },
      { address: '0000:83:00.1', ids: '10de:10f0', group: 7, status: 'unavailable' },
    ]);
    expect(reasonOf(place(snapshot(host), gpu(1), []))).toBe(
      '1 device of alias gpu, not safe to hand over: its IOMMU group also holds a device that is unavailable',
    );
  });
});

describe('eight GPUs on two NUMA nodes, policy required', () => {
  const eight = aHost(
    'h',
    Array.from({ length: 8 }, (_unused, slot) => ({ address: `0000:8${slot}:00.0`, numaNode: slot < 4 ? 0 : 1 })),
  );
  const required = (count: number): PlacementRequest =>
    aRequest([wants('gpu', count, '10de:1bb0', { numaPolicy: 'required' })]);

  it('keeps each server on one node, and fills the node that fits best', () => {
    const { decisions } = placeAll(snapshot(eight), [
      ['a', required(3)],
      ['b', required(4)],
      ['c', required(1)],
      ['d', required(1)],
    ]);
    expect(decisions.slice(0, 3).map((decision) => (decision as Placement).numaCells)).toEqual([[0], [1], [0]]);
    expect(decisions[3]?.outcome).toBe('rejected');
  });

  it('refuses five with what each node has', () => {
    const decision = place(snapshot(eight), required(5), []);
    expect(decision).toMatchObject({ outcome: 'rejected', rejections: [{ filter: 'NUMATopologyFilter' }] });
    expect(reasonOf(decision)).toBe(
      "gpu:5 (required) has to fit the guest's NUMA node; node 0 has 4 free, node 1 has 4 free",
    );
  });

  it('without policy, devices come from one node where they can, else from both', () => {
    const plain = (count: number): PlacementRequest => aRequest([wants('gpu', count, '10de:1bb0')]);
    expect((place(snapshot(eight), plain(4), []) as Placement).numaCells).toEqual([0]);
    expect((place(snapshot(eight), plain(5), []) as Placement).numaCells).toBeNull();
  });

  it('guest cells go to distinct host cells, and their devices to either', () => {
    const guestCells = [1, 2].map(() => ({ vcpus: 4, memoryMb: 1024 }));
    const decision = place(snapshot(eight), { ...required(5), guestCells }, []) as Placement;
    expect(decision.numaCells).toEqual([0, 1]);
    expect(decision.devices).toHaveLength(5);
  });
});

describe('determinism', () => {
  it('gives the same bytes for the same snapshot, and never hands a device out twice', () => {
    const arbitrary = fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(arbitrary, (counts) => {
        const start = snapshot(aHost('a', P5000S), aHost('b', P5000S), aHost('c', []));
        const requests = counts.map((count, index): [string, PlacementRequest] => [
          `s${index}`,
          count === 0 ? aRequest([]) : gpu(count),
        ]);
        const once = placeAll(start, requests);
        expect(JSON.stringify(placeAll(start, requests).decisions)).toBe(JSON.stringify(once.decisions));
        const taken = once.decisions.flatMap((decision) =>
          decision.outcome === 'placed' ? decision.devices.map((device) => device.deviceId) : [],
        );
        expect(new Set(taken).size).toBe(taken.length);
      }),
      { numRuns: 200 },
    );
  });
});
