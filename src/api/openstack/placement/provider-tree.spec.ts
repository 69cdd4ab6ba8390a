import { describe, expect, it } from 'vitest';
import type { DeviceReservation } from '../../../placement/snapshot.js';
import { aHost, type DeviceSketch, POLICY } from '../../../../test/support/snapshots.js';
import { capacityOf, type Provider, treeOf } from './provider-tree.js';

const ID = '0d9c1f0e-6f52-4a6d-9d0e-7c0b4a5d2b11';
const CONTEXT = { policy: POLICY, leaving: new Set<string>(), aggregates: new Map<string, string[]>() };

function treeWith(devices: readonly DeviceSketch[], leaving: readonly string[] = []): Provider[] {
  return treeOf(aHost('node', devices, { id: ID }), { ...CONTEXT, leaving: new Set(leaving) });
}

const vf = (index: number, more: Partial<DeviceSketch> = {}): DeviceSketch => ({
  ...{
    address: `0000:05:10.${index}`,
    parentAddress: '0000:05:00.0',
    ids: '8086:154c',
    deviceType: 'type-VF' as const,
  },
  ...more,
});
const OWNER = { serverId: 's', serverName: 's' };

describe('the tree of a host', () => {
  it('has ids that stay, whatever becomes of the devices', () => {
    const [, first] = treeWith([vf(0)]);
    const [, later] = treeWith([vf(1, { ids: '8086:1111' }), { address: '0000:05:00.0', deviceType: 'type-PF' }]);
    expect(first?.uuid).toBe(later?.uuid);
    // uuid.uuid5(uuid.UUID('0d9c1f0e-6f52-4a6d-9d0e-7c0b4a5d2b11'), '0000:05:00.0') of Python
    expect(first?.uuid).toBe('29f83956-4900-57fb-ab23-d04f5704ae88');
    expect(first?.name).toBe('node_0000:05:00.0');
    expect(treeWith([{ address: '0000:0a:00.0' }])[1]?.name).toBe('node_0000:0A:00.0');
  });

  it('counts the VFs at their PF, and the PF itself beside them', () => {
    const [, nic] = treeWith([vf(0), vf(1), { address: '0000:05:00.0', ids: '8086:1572', deviceType: 'type-PF' }]);
    expect([...(nic?.inventories ?? [])].map(([name, { total }]) => [name, total])).toEqual([
      ['CUSTOM_PCI_8086_154C', 2],
      ['CUSTOM_PCI_8086_1572', 1],
    ]);
  });

  it.each<[string, Partial<DeviceSketch>, readonly string[], readonly [used: number, reserved: number]]>([
    ['free', {}, [], [0, 0]],
    ['in use', { status: 'allocated', owner: OWNER }, [], [1, 0]],
    ['on its way back', { status: 'allocated', owner: OWNER }, ['node/0000:05:10.0'], [0, 1]],
    ['blocked by its PF', { status: 'unavailable' }, [], [0, 1]],
    ['held', { status: 'quarantined' }, [], [0, 1]],
    ['not there any more', { missing: true }, [], [0, 1]],
    ['kept for a reservation', { reservation: { id: 'r' } as DeviceReservation }, [], [0, 1]],
    ['beside a reservation', { reservation: { id: 'r', isOutside: true } as DeviceReservation }, [], [0, 0]],
    ['given out in shares', { sharesUsed: 500 }, [], [0, 1]],
  ])('a device that is %s', (_what, more, leaving, [used, reserved]) => {
    const [, nic] = treeWith([vf(0, more), vf(1)], leaving);
    const name = 'CUSTOM_PCI_8086_154C';
    expect(nic?.inventories.get(name)).toMatchObject({ total: 2, reserved });
    expect(nic?.usages.get(name)).toBe(used);
  });

  it('has the traits that all of its devices have', () => {
    const [, nic] = treeWith([vf(0, { traits: ['CUSTOM_A', 'CUSTOM_B'] }), vf(1, { traits: ['CUSTOM_B'] })]);
    expect(nic?.traits).toEqual(['COMPUTE_MANAGED_PCI_DEVICE', 'CUSTOM_B']);
  });

  it('leaves devices of physical networks out, as Nova does, but not those of overlay networks', () => {
    expect(treeWith([vf(0, { tags: { physical_network: 'physnet1' } })])).toHaveLength(1);
    expect(treeWith([vf(0, { tags: { physical_network: null } })])).toHaveLength(2);
  });

  it('says of a host what it has, what it keeps, and how often it gives it out', () => {
    const host = aHost('node', [], {
      ...{ id: ID, enabled: false, traits: ['CUSTOM_X'], capacity: { vcpus: 64, memoryMb: 1024, diskGb: 0 } },
      ...{ reserved: { vcpus: 2, memoryMb: 24, diskGb: 0 }, allocationRatios: { cpu: 2.5, ram: 1, disk: 1 } },
    });
    const [root] = treeOf(host, { ...CONTEXT, aggregates: new Map([[ID, ['agg']]]) });
    const cpus = root?.inventories.get('VCPU');
    expect(cpus).toEqual({ total: 64, reserved: 2, min_unit: 1, max_unit: 64, step_size: 1, allocation_ratio: 2.5 });
    expect(cpus && capacityOf(cpus)).toBe(155);
    expect(root?.inventories.has('DISK_GB')).toBe(false);
    expect(root?.traits).toEqual(['COMPUTE_NODE', 'COMPUTE_STATUS_DISABLED', 'CUSTOM_X']);
    expect(root?.aggregates).toEqual(['agg']);
  });
});
