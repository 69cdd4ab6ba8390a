import { describe, expect, it } from 'vitest';
import { iommuGroups, iommuProblem } from './iommu-groups.js';
import type { GroupDevice } from './iommu.js';

function device(address: string, iommuGroup: number | null, more: Partial<GroupDevice> = {}): GroupDevice {
  const plain = {
    classCode: '030000',
    driver: null,
    deviceType: 'type-PCI',
    parentAddress: null,
    offered: false,
  } as const;
  return { address, iommuGroup, ...plain, ...more };
}

const kept = (code: string, overridden = false) => ({
  protection: { reasons: [{ code, text: 'holds / (sda)', remedy: 'move the system' }], overridden },
});
const A = '0000:01:00.0';
const B = '0000:01:00.1';
const BRIDGE = '0000:00:01.0';

describe('the IOMMU groups of a host', () => {
  it.each<[string, GroupDevice[], string, string | null]>([
    ['a device alone', [device(A, 7, { offered: true })], 'viable', null],
    [
      'two that are both offered',
      [device(A, 7, { offered: true }), device(B, 7, { offered: true, driver: 'x' })],
      'viable',
      null,
    ],
    ['a companion with its driver', [device(A, 7, { offered: true }), device(B, 7, { driver: 'x' })], 'blocked', B],
    ['a member that the host needs', [device(A, 7), device(B, 7, kept('system_disk'))], 'protected', B],
    [
      'that one named, not who goes along',
      [device(A, 7, kept('iommu_group')), device(B, 7, kept('swap'))],
      'protected',
      B,
    ],
    ['one that is given away all the same', [device(A, 7, { offered: true, ...kept('swap', true) })], 'viable', null],
    ['nothing that anybody offers', [device(A, 7, { driver: 'x' })], 'not_offered', null],
    ['nothing but bridges', [device(BRIDGE, 7, { classCode: '060400', driver: 'shpchp' })], 'bridges', null],
    [
      'a bridge with a driver that is in the way',
      [device(BRIDGE, 7, { classCode: '060400', driver: 'shpchp' }), device(A, 7, { offered: true })],
      'blocked',
      BRIDGE,
    ],
    [
      'a VF with its PF',
      [device(A, 7, { offered: true }), device(B, 7, { offered: true, parentAddress: A, deviceType: 'type-VF' })],
      'blocked',
      B,
    ],
  ])('%s', (_what, members, state, blocker) => {
    const { groups, ungrouped } = iommuGroups([...members].reverse());
    expect(groups).toHaveLength(1);
    expect(groups[0]).toMatchObject({ group: 7, state, members });
    expect(groups[0]?.blocker?.address ?? null).toBe(blocker);
    expect(ungrouped).toEqual([]);
  });

  it('come by number, and endpoints without one beside', () => {
    const bridge = device(BRIDGE, null, { classCode: '060400' });
    const { groups, ungrouped } = iommuGroups([device(B, null), bridge, device('0000:02:00.0', 9), device(A, 10)]);
    expect(groups.map(({ group }) => group)).toEqual([9, 10]);
    expect(ungrouped).toEqual([B]);
  });
});

describe('a host whose IOMMU is not on', () => {
  it('says which of the two it is', () => {
    expect(iommuProblem('on')).toBeNull();
    expect(iommuProblem('none')?.reason).toBe('this host has no IOMMU');
    expect(iommuProblem('off')?.remedy).toContain('intel_iommu=on');
  });
});
