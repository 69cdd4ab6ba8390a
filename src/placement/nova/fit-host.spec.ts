import { describe, expect, it } from 'vitest';
import { aHost, aRequest, POLICY, wants } from '../../../test/support/snapshots.js';
import type { Decision } from '../decision.js';
import { place } from '../place.js';
import type { PlacementRequest } from '../request.js';
import type { HostSnapshot } from '../snapshot.js';

const PF = '0000:05:00.0';
const vf = (address: string) =>
  ({ address, ids: '8086:10ed', deviceType: 'type-VF', parentAddress: PF, numaNode: 0 }) as const;
const NIC = [{ address: PF, ids: '8086:10fb', deviceType: 'type-PF' } as const, vf('0000:05:10.0'), vf('0000:05:10.2')];

function decide(hosts: HostSnapshot | readonly HostSnapshot[], request: PlacementRequest): Decision {
  const list = [hosts].flat() as readonly HostSnapshot[];
  return place({ hosts: list, policy: { ...POLICY, compat: 'nova' } }, request, []);
}

function addresses(decision: Decision): readonly string[] {
  return decision.outcome === 'placed' ? decision.devices.map(({ address }) => address) : [];
}

function refusal(decision: Decision): readonly string[] {
  if (decision.outcome === 'placed') return [];
  return decision.rejections.map(({ filter, reasons }) => `${filter} ${reasons.map(({ code }) => code).join()}`);
}

describe('placing as Nova does', () => {
  it('takes the last device of a pool', () => {
    const host = aHost('h', [{ address: '0000:81:00.0' }, { address: '0000:82:00.0' }, { address: '0000:83:00.0' }]);
    expect(addresses(decide(host, aRequest([wants('gpu', 2, '10de:1bb0')])))).toEqual(['0000:83:00.0', '0000:82:00.0']);
  });

  it('empties pools with fewer tags first', () => {
    const host = aHost('h', [
      { address: '0000:81:00.0', tags: { rack: 'a' } },
      { address: '0000:82:00.0' },
      { address: '0000:83:00.0', tags: { rack: 'a', trusted: 'true' } },
    ]);
    expect(addresses(decide(host, aRequest([wants('gpu', 2, '10de:1bb0')])))).toEqual(['0000:82:00.0', '0000:81:00.0']);
  });

  it('lets a policy mean nothing to a guest without NUMA cells', () => {
    const host = aHost('h', [
      { address: '0000:81:00.0', numaNode: 0 },
      { address: '0000:82:00.0', numaNode: 1 },
    ]);
    const both = aRequest([wants('gpu', 2, '10de:1bb0', { numaPolicy: 'required' })]);
    expect(addresses(decide(host, both))).toHaveLength(2);
    const celled = { ...both, guestCells: [{ vcpus: 1, memoryMb: 512 }] };
    expect(refusal(decide(host, celled))).toEqual(['NUMATopologyFilter numa.no_cell_fits']);
  });

  it('puts a guest cell where its devices are', () => {
    const host = aHost('h', [{ address: '0000:82:00.0', numaNode: 1 }]);
    const one = aRequest([wants('gpu', 1, '10de:1bb0', { numaPolicy: 'required' })]);
    const decision = decide(host, { ...one, guestCells: [{ vcpus: 1, memoryMb: 512 }] });
    expect(decision).toMatchObject({ outcome: 'placed', numaCells: [1] });
  });

  it('says no to a policy by sockets where the host does not tell them', () => {
    const cells = [{ id: 0, cpus: 8, memoryMb: 65_536, socket: null }];
    const host = aHost('h', [{ address: '0000:82:00.0', numaNode: 1 }], { numaCells: cells });
    const one = aRequest([wants('gpu', 1, '10de:1bb0', { numaPolicy: 'socket' })]);
    const celled = { ...one, guestCells: [{ vcpus: 1, memoryMb: 512 }] };
    expect(refusal(decide(host, celled))).toEqual(['NUMATopologyFilter numa.no_cell_fits']);
  });

  it('gives a PF to who names the type, and none of its VFs with it', () => {
    const host = aHost('h', NIC);
    const pf = wants('pf', 1, '8086:10fb', { deviceType: 'type-PF' });
    const untyped = wants('any', 1, '8086:10fb', { deviceType: null });
    expect(addresses(decide(host, aRequest([pf])))).toEqual([PF]);
    expect(refusal(decide(host, aRequest([untyped])))).toEqual(['PciPassthroughFilter device.none_matching']);
    const both = aRequest([pf, wants('vf', 1, '8086:10ed', { deviceType: 'type-VF' })]);
    expect(refusal(decide(host, both))).toEqual(['PciPassthroughFilter device.not_together']);
  });

  it('gives an untyped alias VFs as well', () => {
    const vfs = aRequest([wants('any', 2, '8086:10ed', { deviceType: null })]);
    expect(addresses(decide(aHost('h', NIC), vfs))).toEqual(['0000:05:10.2', '0000:05:10.0']);
  });

  it('matches ids in either case, and nothing with a property that no pool has', () => {
    const host = aHost('h', [{ address: '0000:81:00.0' }]);
    expect(addresses(decide(host, aRequest([wants('gpu', 1, '10DE:1BB0')])))).toEqual(['0000:81:00.0']);
    const capability = wants('gpu', 1, '10de:1bb0', { tags: { capability_type: 'pci' } });
    expect(refusal(decide(host, aRequest([capability])))).toEqual(['PciPassthroughFilter device.near_miss']);
  });

  it('takes an IOMMU group whole, and leaves one alone that is not free', () => {
    const sound = { address: '0000:81:00.1', ids: '10de:10f0', group: 7 };
    const host = aHost('h', [{ address: '0000:81:00.0', group: 7 }, sound]);
    const decision = decide(host, aRequest([wants('gpu', 1, '10de:1bb0')]));
    expect(decision).toMatchObject({
      devices: [
        { address: '0000:81:00.0', alias: 'gpu', requestIndex: 0 },
        { address: '0000:81:00.1', alias: null, requestIndex: null },
      ],
    });
    const both = aRequest([wants('gpu', 1, '10de:1bb0'), wants('sound', 1, '10de:10f0')]);
    expect(refusal(decide(host, both))).toEqual(['PciPassthroughFilter device.not_together']);
    const held = aHost('h', [
      { address: '0000:81:00.0', group: 7 },
      { ...sound, status: 'allocated' },
    ]);
    expect(refusal(decide(held, aRequest([wants('gpu', 1, '10de:1bb0')])))).toEqual([
      'PciPassthroughFilter device.iommu_group',
    ]);
  });

  it('does not take what is in use, gone, or blocked by a host driver in its group', () => {
    const host = aHost('h', [
      { address: '0000:81:00.0', status: 'allocated' },
      { address: '0000:82:00.0', missing: true },
      { address: '0000:83:00.0', group: 9 },
      { address: '0000:84:00.0', group: 9, offered: false, driver: 'nvme' },
    ]);
    expect(decide(host, aRequest([wants('gpu', 1, '10de:1bb0')])).outcome).toBe('rejected');
  });

  it('refuses what Nova has no word for', () => {
    const host = aHost('h', [{ address: '0000:81:00.0', traits: ['CUSTOM_A'] }]);
    const wish = wants('gpu', 1, '10de:1bb0', { traits: ['CUSTOM_A'] });
    expect(refusal(decide(host, aRequest([wish])))).toEqual(['PciPassthroughFilter alias.not_nova']);
  });

  it('says who has the devices', () => {
    const owner = { serverId: 's', serverName: 'vm-1' };
    const host = aHost('h', [{ address: '0000:81:00.0', status: 'allocated', owner }]);
    const decision = decide(host, aRequest([wants('gpu', 1, '10DE:1bb0')]));
    expect(decision).toMatchObject({ rejections: [{ reasons: [{ code: 'device.all_in_use' }] }] });
    expect(JSON.stringify(decision)).toContain('in use by vm-1');
  });

  it('serves a request for nothing', () => {
    expect(decide(aHost('h', []), aRequest([]))).toMatchObject({ outcome: 'placed', devices: [], numaCells: null });
  });
});
