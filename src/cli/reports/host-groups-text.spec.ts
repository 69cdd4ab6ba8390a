import { describe, expect, it } from 'vitest';
import { hostGroupsText, type HostGroups } from './host-groups-text.js';

const ON = { state: 'on', problem: null, remedy: null };
const FREE = { driver: null, bridge: false, offered: true, status: 'available', server: null, protection: [] };
const gpu = (address: string) => ({ ...FREE, address, vendor_id: '10de', product_id: '20b0', class_code: '030200' });

function groups(...list: HostGroups['groups']): HostGroups {
  return { host: 'node-3', iommu: ON, groups: list, left_out: 0, ungrouped_count: 0 };
}

describe('IOMMU groups at a terminal', () => {
  it('are their members, then what is in the way', () => {
    const nic = { ...gpu('0000:01:00.1'), driver: 'e1000e', offered: false, protection: ['default_route'] };
    const blocker = { reason: 'IOMMU group 7 also holds 0000:01:00.1, which the host needs', remedy: 'move the route' };
    const [root, used] = [
      { ...gpu('0000:00:01.0'), class_code: '060400', driver: 'pcieport', bridge: true, offered: false },
      { ...gpu('0000:02:00.0'), driver: 'vfio-pci', status: 'allocated', server: { name: 'render' } },
    ];
    const text = hostGroupsText(
      groups(
        { group: 7, state: 'protected', blocker, members: [gpu('0000:01:00.0'), nic], members_count: 2 },
        { group: 12, state: 'viable', blocker: null, members: [root, used], members_count: 3 },
      ),
    );
    expect(text.split('\n')).toEqual([
      'node-3: 2 IOMMU groups',
      '',
      'group  state      address       device     class  driver',
      '7      protected  0000:01:00.0  10de:20b0  0302   -         available',
      '                  0000:01:00.1  10de:20b0  0302   e1000e    needed by the host: default_route',
      '12     viable     0000:00:01.0  10de:20b0  0604   pcieport  bridge',
      '                  0000:02:00.0  10de:20b0  0302   vfio-pci  in use by render',
      '                  and 1 more',
      '',
      'group 7: IOMMU group 7 also holds 0000:01:00.1, which the host needs',
      '  → move the route',
      '',
    ]);
  });

  it('are none on a host without IOMMU, which is said with what to do', () => {
    const iommu = { state: 'none', problem: 'this host has no IOMMU', remedy: 'turn on VT-d' };
    const text = hostGroupsText({ ...groups(), iommu, ungrouped_count: 4 });
    expect(text).toBe(
      'node-3: 0 IOMMU groups\n\nthis host has no IOMMU: nothing can be handed over\n  → turn on VT-d\n',
    );
    expect(hostGroupsText({ ...groups(), ungrouped_count: 1, left_out: 3 })).toBe(
      'node-3: 0 IOMMU groups\n\n3 more are left out; name one with --group, or a state with --state.\n\n' +
        '1 device has no group and cannot be handed over.\n',
    );
  });
});
