import { describe, expect, it } from 'vitest';
import type { PciDevice, Protection } from './device.js';
import { previewDeviceClaim, refusalText, type ClaimableDevice } from './device-claim.js';

type Sketch = Partial<ClaimableDevice> & Pick<PciDevice, 'address'>;

function device(sketch: Sketch): ClaimableDevice {
  return {
    ...{ classCode: '020000', iommuGroup: 7, driver: 'e1000e', parentAddress: null, sriov: null },
    ...{ offer: null, server: null, claimedFor: null },
    ...sketch,
  };
}

const GPU = device({ address: '0000:83:00.0', classCode: '030000', driver: 'nouveau' });
const AUDIO = device({ address: '0000:83:00.1', classCode: '040300', driver: 'snd_hda_intel' });
const PORT = device({ address: '0000:80:02.0', classCode: '060400', driver: 'pcieport' });
const ELSEWHERE = device({ address: '0000:90:00.0', iommuGroup: 8 });
const protection = (overridden = false): Protection => ({
  reasons: [{ code: 'default_route', text: 'carries the default route', remedy: 'move it' }],
  overridden,
});

const addresses = (devices: readonly ClaimableDevice[]): string[] => devices.map((one) => one.address);

describe('a device claim', () => {
  it('takes the whole IOMMU group: the device, then its companions, and no bridge', () => {
    const all = [ELSEWHERE, AUDIO, PORT, GPU];
    const preview = previewDeviceClaim(GPU, all, false);
    expect(addresses(preview.takes)).toEqual([GPU.address, AUDIO.address]);
    expect(addresses(preview.bridges)).toEqual([PORT.address]);
    expect([preview.stays, preview.refusals]).toEqual([[], []]);
    expect(addresses(previewDeviceClaim(AUDIO, all.toReversed(), false).takes)).toEqual([AUDIO.address, GPU.address]);
  });

  it('leaves functions of the slot that the IOMMU tells apart', () => {
    const second = { ...AUDIO, iommuGroup: 9 };
    const preview = previewDeviceClaim(GPU, [GPU, second, ELSEWHERE], false);
    expect([addresses(preview.takes), addresses(preview.stays)]).toEqual([[GPU.address], [second.address]]);
  });

  it.each<[string, Partial<ClaimableDevice>, readonly Sketch[], string, string]>([
    ['a bridge', { classCode: '060400' }, [], GPU.address, 'bridge'],
    ['one without a group', { iommuGroup: null }, [], GPU.address, 'no_iommu_group'],
    ['one that is claimed', { claimedFor: GPU.address }, [], GPU.address, 'claimed'],
    ['a companion that is claimed', {}, [{ ...AUDIO, claimedFor: AUDIO.address }], AUDIO.address, 'claimed'],
    ['one that a server has', { server: { id: 's', name: 'vm' } }, [], GPU.address, 'in_use'],
    ['a companion that a server has', {}, [{ ...AUDIO, server: { id: 's', name: 'vm' } }], AUDIO.address, 'in_use'],
    ['one that the host needs', { protection: protection() }, [], GPU.address, 'protected'],
    ['a companion that the host needs', {}, [{ ...AUDIO, protection: protection() }], AUDIO.address, 'protected'],
    ['a PF with VFs', { sriov: { totalVfs: 8, numVfs: 2 } }, [], GPU.address, 'has_vfs'],
    ['a PF with its VF', {}, [{ ...AUDIO, parentAddress: GPU.address }], AUDIO.address, 'vf_with_its_pf'],
    [
      'what somebody else binds, and has not',
      { offer: { entry: 0, tags: { managed: 'false' }, resourceClass: null, traits: [] } },
      ...[[], GPU.address, 'not_managed'],
    ] as never,
    [
      'what goes to servers as its interface',
      { offer: { entry: 0, tags: { handover: 'netdev' }, resourceClass: null, traits: [] } },
      ...[[], GPU.address, 'handover_netdev'],
    ] as never,
  ])('is refused for %s', (_what, given, others, at, code) => {
    const wanted = { ...GPU, ...given };
    const { refusals } = previewDeviceClaim(wanted, [wanted, ...others.map(device)], false);
    expect(refusals.map((one) => [one.address, one.code])).toEqual([[at, code]]);
    for (const one of refusals) expect(one.reason.length * one.remedy.length).toBeGreaterThan(0);
  });

  it('is not refused for what is overridden, for VFs of a PF that is on vfio, or for what somebody else has bound', () => {
    const offer = { entry: 0, tags: { managed: 'no' }, resourceClass: null, traits: [] };
    const given = { protection: protection(true), sriov: { totalVfs: 8, numVfs: 2 }, driver: 'vfio-pci', offer };
    expect(previewDeviceClaim({ ...GPU, ...given }, [], false).refusals).toEqual([]);
  });

  it('tells all that is in the way, that of the host first, in words with a remedy', () => {
    const wanted = { ...GPU, server: { id: 's-1', name: 'vm' }, protection: protection() };
    const { refusals } = previewDeviceClaim(wanted, [wanted], true);
    expect(refusals.map(refusalText)).toEqual([
      "read_only: the host's agent only looks and binds nothing; set agent.read_only to false on that host",
      '0000:83:00.0: in_use: server vm (s-1) has it; wait until the server has given it back, or delete the server',
      '0000:83:00.0: protected: the host needs it: it carries the default route; move it',
    ]);
  });
});
