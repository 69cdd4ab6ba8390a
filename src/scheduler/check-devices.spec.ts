import { describe, expect, it } from 'vitest';
import type { CheckedDevice } from '../store/check-devices.store.js';
import { judgeDevices, statusesDue } from './check-devices.js';

const PF = '0000:05:00.0';
const VF = '0000:05:02.0';
const SECOND = '0000:05:02.1';
const GPU = '0000:83:00.0';

const plain = (address: string, more: Partial<CheckedDevice> = {}): CheckedDevice => ({
  id: address,
  host_id: 'h-1',
  host: 'node-1',
  address,
  device_type: 'type-PCI',
  parent_address: null,
  status: 'available',
  iommu_group: null,
  missing: false,
  pending: false,
  driver: 'vfio-pci',
  claim_id: null,
  claim_status: null,
  server_id: null,
  server: null,
  lost: false,
  settled: false,
  held: false,
  ...more,
});

const owned = (server: string, status: 'claimed' | 'allocated' = 'allocated'): Partial<CheckedDevice> => ({
  ...{ status, claim_status: status, claim_id: `c-${server}`, server_id: server, server },
});
const pf = (more: Partial<CheckedDevice> = {}) => plain(PF, { device_type: 'type-PF', ...more });
const vf = (more: Partial<CheckedDevice> = {}) => plain(VF, { device_type: 'type-VF', parent_address: PF, ...more });
const second = (more: Partial<CheckedDevice> = {}) => vf({ id: SECOND, address: SECOND, ...more });
const GROUP = { iommu_group: 7 };

describe('the devices of a host', () => {
  it.each<[string, readonly CheckedDevice[], readonly string[]]>([
    ['free', [plain(GPU)], []],
    ['in use', [plain(GPU, owned('a'))], []],
    ['in use without an owner', [plain(GPU, { status: 'claimed' })], ['device_without_owner']],
    ['in use without an owner, which another check explains', [plain(GPU, { status: 'claimed', lost: true })], []],
    ['owned, but free', [plain(GPU, { ...owned('a'), status: 'unavailable' })], ['device_not_taken']],
    ['owned, but quarantined', [plain(GPU, { ...owned('a'), status: 'quarantined' })], ['device_not_taken']],
    ['owned by a released claim', [plain(GPU, { ...owned('a'), status: 'available', claim_status: 'released' })], []],
    ['claimed by an allocation', [plain(GPU, { ...owned('a'), status: 'claimed' })], ['device_claim_status']],
    ['allocated by a claim', [plain(GPU, { ...owned('a', 'claimed'), status: 'allocated' })], ['device_claim_status']],
    ['claimed, being given back', [plain(GPU, { ...owned('a', 'claimed'), claim_status: 'releasing' })], []],
    ['allocated, being given back', [plain(GPU, { ...owned('a'), claim_status: 'releasing' })], []],

    ['a PF with a VF in use', [pf({ status: 'unavailable' }), vf(owned('a')), second()], []],
    ['a PF in use', [pf(owned('a')), vf({ status: 'unavailable' })], []],
    ['a PF with a VF in use, said to be free', [pf(), vf(owned('a')), second()], ['device_relatives']],
    ['a VF that is blocked by nothing', [pf(), vf({ status: 'unclaimable' })], ['device_relatives']],
    ['a VF of a PF that is held', [pf({ status: 'quarantined' }), vf({ status: 'unclaimable' })], []],
    ['a removed VF of a PF in use', [pf(owned('a')), vf({ status: 'removed' })], []],
    ['a PF and a VF in use', [pf(owned('a')), vf(owned('b'))], ['pf_and_vf_in_use']],
    ['a PF and a VF in use by one server', [pf(owned('a')), vf(owned('a'))], ['pf_and_vf_in_use']],

    ['a group of one server', [plain(GPU, { ...owned('a'), ...GROUP }), plain(PF, { ...owned('a'), ...GROUP })], []],
    [
      'a group of two',
      [plain(GPU, { ...owned('a'), ...GROUP }), plain(PF, { ...owned('b'), ...GROUP })],
      ['iommu_group_split'],
    ],
    ['a group of one and nobody', [plain(GPU, { ...owned('a'), ...GROUP }), plain(PF, GROUP)], []],
    [
      'a group that was another card',
      [plain(GPU, { ...owned('a'), ...GROUP }), plain(PF, { ...owned('b'), ...GROUP, pending: true })],
      [],
    ],
    [
      'a group that is not there',
      [plain(GPU, { ...owned('a'), ...GROUP, missing: true }), plain(PF, { ...owned('b'), ...GROUP })],
      [],
    ],

    ['free and missing', [plain(GPU, { missing: true })], ['device_missing']],
    ['held and missing', [plain(GPU, { status: 'failed', missing: true })], []],
    ['in use and missing', [plain(GPU, { ...owned('a'), missing: true })], []],
    ['free, another card by now', [plain(GPU, { pending: true })], ['device_pending']],
    ['in use, another card by now', [plain(GPU, { ...owned('a'), pending: true })], []],
    ['bound for nobody', [plain(GPU, { held: true })], ['device_held_by_agent']],
    ['in use, on a host driver', [plain(GPU, { ...owned('a'), settled: true, driver: 'nvidia' })], ['device_rebound']],
    [
      'in use, on the driver that others gave it',
      [plain(GPU, { ...owned('a'), settled: true, driver: 'nvidia', bound_to: 'nvidia' })],
      [],
    ],
    ['in use, without a driver', [plain(GPU, { ...owned('a'), settled: true, driver: null })], ['device_rebound']],
    ['in use, on a variant of vfio', [plain(GPU, { ...owned('a'), settled: true, driver: 'mlx5_vfio_pci' })], []],
    ['in use, not reported since', [plain(GPU, { ...owned('a'), driver: 'nvidia' })], []],
  ])('%s', (_what, devices, expected) => {
    expect(judgeDevices(devices).map(({ code }) => code)).toEqual(expected.map((word) => `check.${word}`));
  });

  it.each<[string, readonly CheckedDevice[], Record<string, string>]>([
    ['nothing, when all is right', [pf({ status: 'unavailable' }), vf(owned('a')), second()], {}],
    ['free, when nobody has it', [plain(GPU, { status: 'allocated' })], { [GPU]: 'available' }],
    [
      'what its claim says',
      [plain(GPU, owned('a')), plain(PF, { ...owned('b', 'claimed'), status: 'removed' })],
      { [PF]: 'claimed' },
    ],
    [
      'what its relatives let it be',
      [pf(), vf({ ...owned('a'), status: 'available' })],
      { [PF]: 'unavailable', [VF]: 'allocated' },
    ],
    [
      'free with its relatives',
      [pf({ status: 'unclaimable' }), vf({ status: 'claimed' })],
      { [PF]: 'available', [VF]: 'available' },
    ],
    ['as it is, when a claim waits to have it again', [plain(GPU, { status: 'allocated', lost: true })], {}],
    [
      'in use, until a claim has given it back',
      [plain(GPU, { ...owned('a'), status: 'available', claim_status: 'releasing' })],
      { [GPU]: 'allocated' },
    ],
    ['held, for as long as it is', [plain(GPU, { status: 'reserved' })], {}],
  ])('are due to be %s', (_what, devices, expected) => {
    expect(Object.fromEntries(statusesDue(devices))).toEqual(expected);
    const mended = devices.map(
      (device) => ({ ...device, status: expected[device.id] ?? device.status }) as CheckedDevice,
    );
    expect(statusesDue(mended)).toEqual(new Map());
  });
});
