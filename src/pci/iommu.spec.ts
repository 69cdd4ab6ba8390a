import { describe, expect, it } from 'vitest';
import { isolationUnits } from './iommu.js';

type Member = Parameters<typeof isolationUnits>[0][number];

function member(address: string, more: Partial<Member> = {}): Member {
  return {
    address,
    iommuGroup: 25,
    classCode: '030000',
    driver: null,
    deviceType: 'type-PCI',
    parentAddress: null,
    offered: true,
    ...more,
  };
}

const GPU = '0000:23:00.0';
const AUDIO = '0000:23:00.1';

describe('isolation units', () => {
  it('are handed over whole', () => {
    const units = isolationUnits([member(AUDIO), member(GPU), member('0000:24:00.0', { iommuGroup: 26 })]);
    expect(units.get(GPU)).toEqual({ iommuGroup: 25, members: [GPU, AUDIO], blockedBy: null });
    expect(units.get(AUDIO)).toBe(units.get(GPU));
    expect(units.get('0000:24:00.0')?.members).toEqual(['0000:24:00.0']);
  });

  it.each<[string, Partial<Member>, string | null]>([
    [
      'a host driver',
      { driver: 'snd_hda_intel' },
      "IOMMU group 25 also holds 0000:23:00.1, which the host's driver snd_hda_intel uses; offer it as well, or unbind it from snd_hda_intel",
    ],
    ['no driver', { driver: null }, null],
    ['vfio-pci', { driver: 'vfio-pci' }, null],
    ['pci-stub', { driver: 'pci-stub' }, null],
    ['a vfio driver of its own', { driver: 'mlx5_vfio_pci' }, null],
    ['a vfio driver with dashes', { driver: 'nvgrace-gpu-vfio-pci' }, null],
    ['a bridge on pcieport', { classCode: '060400', driver: 'pcieport' }, null],
    [
      'a bridge on shpchp',
      { classCode: '060400', driver: 'shpchp' },
      "IOMMU group 25 also holds 0000:23:00.1, which the host's driver shpchp uses; unbind it from shpchp",
    ],
  ])('a member that is not offered, with %s', (_case, other, blockedBy) => {
    const units = isolationUnits([member(GPU), member(AUDIO, { offered: false, ...other })]);
    expect(units.get(GPU)).toEqual({ iommuGroup: 25, members: [GPU], blockedBy });
    expect(units.has(AUDIO)).toBe(false);
  });

  it.each(['vfio', 'uio_pci_generic', 'vfio_pci_lookalike', 'mlx5_core'])('the driver %s is none of vfio', (driver) => {
    const units = isolationUnits([member(GPU), member(AUDIO, { offered: false, driver })]);
    expect(units.get(GPU)?.blockedBy).toContain(`the host's driver ${driver} uses`);
  });

  it('a member that the host needs blocks its group, whatever its driver, and is named before others', () => {
    const protection = (code: string) => ({
      reasons: [{ code, text: 'holds / (nvme0n1 → 0000:24:00.0)', remedy: 'move the system to another disk' }],
      overridden: false,
    });
    const needed = member('0000:24:00.0', { offered: false, protection: protection('system_disk') });
    const along = member(AUDIO, { offered: false, driver: 'snd_hda_intel', protection: protection('iommu_group') });
    expect(isolationUnits([member(GPU), along, needed]).get(GPU)?.blockedBy).toBe(
      'IOMMU group 25 also holds 0000:24:00.0, which the host needs: it holds / (nvme0n1 → 0000:24:00.0); move the system to another disk',
    );
    const lifted = { ...needed, offered: true, protection: { ...protection('system_disk'), overridden: true } };
    expect(isolationUnits([member(GPU), lifted]).get(GPU)?.blockedBy).toBeNull();
  });

  it('what is handed over as its network interface is a unit of its own, with or without an IOMMU, and keeps its group from others', () => {
    const nic = member(AUDIO, { classCode: '020000', driver: 'e1000e', asNetdev: true });
    const units = isolationUnits([member(GPU), nic]);
    expect(units.get(AUDIO)).toEqual({ iommuGroup: 25, members: [AUDIO], blockedBy: null });
    expect(units.get(GPU)?.blockedBy).toContain("the host's driver e1000e uses");
    const bare = isolationUnits([{ ...nic, iommuGroup: null }, member(GPU, { iommuGroup: null })]);
    expect(bare.get(AUDIO)).toEqual({ iommuGroup: null, members: [AUDIO], blockedBy: null });
    expect(bare.get(GPU)?.blockedBy).toMatch(/no IOMMU/);
    expect(isolationUnits([{ ...nic, offered: false }]).size).toBe(0);
  });

  it('tells a host without IOMMU from a device without a group', () => {
    const alone = member(GPU, { iommuGroup: null });
    expect(isolationUnits([alone]).get(GPU)?.blockedBy).toMatch(/^this host has no IOMMU, or has it off; turn it on/);
    expect(isolationUnits([alone, member(AUDIO)]).get(GPU)?.blockedBy).toMatch(
      /^the host has no IOMMU group for it; turn the IOMMU on/,
    );
  });

  it('names the same blocker whatever the order of devices', () => {
    const blockers = ['0000:24:01.0', '0000:24:02.0'].map((address) =>
      member(address, { offered: false, driver: 'e1000' }),
    );
    const both = [[member(GPU), ...blockers], [...blockers, member(GPU)].reverse()];
    const named = both.map((devices) => isolationUnits(devices).get(GPU)?.blockedBy);
    expect(named[0]).toContain('0000:24:01.0');
    expect(named[1]).toBe(named[0]);
  });

  it('an offered member with a host driver does no harm: it comes along', () => {
    const units = isolationUnits([member(GPU), member(AUDIO, { driver: 'snd_hda_intel' })]);
    expect(units.get(GPU)?.blockedBy).toBeNull();
  });

  it('a PF and its VF in one group block each other', () => {
    const units = isolationUnits([
      member(GPU, { deviceType: 'type-PF' }),
      member(AUDIO, { deviceType: 'type-VF', parentAddress: GPU }),
    ]);
    expect(units.get(AUDIO)?.blockedBy).toBe(
      `IOMMU group 25 holds the VF ${AUDIO} together with its PF ${GPU}; put the card into a slot whose ports have ACS, or offer one of the two`,
    );
  });

  it.each<[string, Partial<Member>, Partial<Member>]>([
    ['only the VF is offered', { deviceType: 'type-PF', offered: false }, { parentAddress: GPU }],
    ['only the PF is offered', { deviceType: 'type-PF' }, { parentAddress: GPU, offered: false }],
    ['the PF is in another group', { deviceType: 'type-PF', iommuGroup: 26 }, { parentAddress: GPU }],
    ['it is the VF of another PF', { deviceType: 'type-PF' }, { parentAddress: '0000:05:00.0' }],
  ])('but not when %s', (_case, pf, vf) => {
    const units = isolationUnits([member(GPU, pf), member(AUDIO, { deviceType: 'type-VF', ...vf })]);
    expect([...units.values()].map((unit) => unit.blockedBy)).not.toContainEqual(expect.any(String));
    expect(units.size).toBeGreaterThan(0);
  });

  it('without IOMMU nothing is handed over, and the remedy is named', () => {
    const units = isolationUnits([
      member(GPU, { iommuGroup: null }),
      member(AUDIO, { iommuGroup: null, offered: false }),
    ]);
    expect([...units]).toEqual([
      [GPU, { iommuGroup: null, members: [GPU], blockedBy: expect.stringContaining('intel_iommu=on') }],
    ]);
  });
});
