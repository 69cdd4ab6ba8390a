import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { aHost, aRequest, POLICY, wants, type DeviceSketch } from '../../test/support/snapshots.js';
import { explainDevices } from './explain-devices.js';
import { place } from './place.js';
import type { DeviceRequest } from './request.js';

const GPU = '10de:1bb0';
const NONE = {
  ...{ total: 0, free: 0, in_use: 0, held: {}, blocked_by_relative: 0, blocked_by_iommu_group: 0 },
  ...{ not_whole: 0, missing: 0 },
};
const gpuClass = (numa_node: number | null, counts: object): object => ({
  ...{ vendor_id: '10de', product_id: '1bb0', device_type: 'type-PCI', numa_node },
  ...NONE,
  ...counts,
});
const by = (name: string): Partial<DeviceSketch> => ({
  status: 'allocated',
  owner: { serverId: `id-of-${name}`, serverName: name },
});

function classesOf(devices: readonly DeviceSketch[], ...requests: DeviceRequest[]): unknown {
  const { rejections } = place({ hosts: [aHost('h', devices)], policy: POLICY }, aRequest(requests), []);
  return rejections[0]?.reasons[0]?.details['classes'];
}

describe('classes of devices in a reason', () => {
  it('count what became of the devices, by ids, type and node, the unknown node last', () => {
    const devices: DeviceSketch[] = [
      { address: '0000:01:00.0', numaNode: null },
      { address: '0000:02:00.0', numaNode: 10 },
      { address: '0000:03:00.0', numaNode: 2, ...by('a') },
      { address: '0000:04:00.0', numaNode: 2, status: 'failed' },
      { address: '0000:05:00.0', numaNode: 2, status: 'reserved', missing: true },
      { address: '0000:06:00.0', numaNode: 2, missing: true },
      { address: '0000:07:00.0', numaNode: 2, group: null },
      { address: '0000:08:00.0', numaNode: 2, ids: '10de:20b5' },
    ];
    expect(classesOf(devices, wants('gpu', 3, GPU))).toEqual([
      gpuClass(2, { total: 5, in_use: 1, held: { failed: 1, reserved: 1 }, missing: 1, blocked_by_iommu_group: 1 }),
      gpuClass(10, { total: 1, free: 1 }),
      gpuClass(null, { total: 1, free: 1 }),
    ]);
  });

  it('tell what a relative blocks, and what is not whole', () => {
    const pf = { address: '0000:05:00.0', ids: '8086:1572', deviceType: 'type-PF', status: 'unavailable' } as const;
    const vf = { address: '0000:05:02.0', ids: '8086:154c', deviceType: 'type-VF', parentAddress: pf.address } as const;
    expect(classesOf([pf, { ...vf, ...by('a') }], wants('pf', 1, pf.ids, { deviceType: 'type-PF' }))).toEqual([
      {
        ...gpuClass(0, { total: 1, blocked_by_relative: 1 }),
        vendor_id: '8086',
        product_id: '1572',
        device_type: 'type-PF',
      },
    ]);
    const slot = [{ address: '0000:83:00.0' }, { address: '0000:83:00.1', ids: '10de:10f0', ...by('a') }];
    expect(classesOf(slot, wants('full', 1, GPU, { group: 'slot' }))).toEqual([
      gpuClass(0, { total: 1, not_whole: 1 }),
    ]);
  });

  it('stand in reasons about several requests', () => {
    const devices = [{ address: '0000:83:00.0' }, { address: '0000:84:00.0' }];
    expect(classesOf(devices, wants('a', 1, GPU), wants('b', 2, GPU))).toEqual([gpuClass(0, { total: 2, free: 2 })]);
  });
});

const device = fc.record({
  numaNode: fc.constantFrom(0, 1, null),
  status: fc.constantFrom('available', 'allocated', 'reserved', 'failed', 'unclaimable', 'removed'),
  owner: fc.constantFrom('training-secret', 'render-secret'),
  missing: fc.boolean(),
  group: fc.constantFrom(undefined, null, 77),
  vf: fc.boolean(),
});
const PF = '0000:99:00.0';

describe('laws of reasons about devices', () => {
  const sketches = fc.array(device, { maxLength: 12 }).map((all) =>
    all.map(({ status, owner, vf, group, ...rest }, at): DeviceSketch => ({
      address: `0000:${String(at + 10)}:00.0`,
      ...rest,
      ...(group === undefined ? {} : { group }),
      ...(vf && { deviceType: 'type-VF' as const, parentAddress: PF }),
      ...(status === 'allocated' ? by(owner) : { status: status as 'available' }),
    })),
  );
  const request = wants('gpu', 20, GPU, { deviceType: null });

  it('every device that matches is in one class, and counted once', () => {
    fc.assert(
      fc.property(sketches, (devices) => {
        const [reason] = explainDevices(aHost('h', devices), [request], null);
        const classes = reason?.details['classes'] as Record<string, number | object>[];
        const parts = ['free', 'in_use', 'blocked_by_relative', 'blocked_by_iommu_group', 'not_whole', 'missing'];
        for (const one of classes) {
          const held = Object.values(one['held'] as Record<string, number>);
          const sum = [...parts.map((part) => one[part] as number), ...held].reduce((a, b) => a + b, 0);
          expect(sum).toBe(one['total']);
        }
        expect(classes.reduce((sum, one) => sum + (one['total'] as number), 0)).toBe(devices.length);
      }),
    );
  });

  it('what everybody may see names no server, host or address, and is equal for hosts that differ in these only', () => {
    fc.assert(
      fc.property(sketches, (devices) => {
        const [reason] = explainDevices(aHost('gpu-host-1', devices), [request], null);
        const { names: _names, ...safe } = reason ?? {};
        expect(JSON.stringify(safe)).not.toMatch(/secret|gpu-host|0000:|id-of/);
        const others = devices.map(({ owner, ...one }) => ({
          ...one,
          ...(owner && { owner: { serverId: 'x', serverName: `other ${owner.serverName}` } }),
        }));
        const [other] = explainDevices(aHost('gpu-host-2', others), [request], null);
        const { names: _others, ...same } = other ?? {};
        expect(same).toEqual(safe);
      }),
    );
  });
});
