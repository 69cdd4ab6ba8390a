import { describe, expect, it } from 'vitest';
import type { DeviceStatus } from './device-state.js';
import type { ReportedDevice } from './device.js';
import { driftsOf } from './drift.js';
import type { KnownDevice } from './reconcile-inventory.js';

const A = '0000:41:00.0';
const B = '0000:81:00.0';
const C = '0000:c1:00.0';

function card(address: string, more: Partial<ReportedDevice> = {}): ReportedDevice {
  return {
    ...{ address, vendorId: '10de', productId: '1bb0', classCode: '030000', subsystemVendorId: null },
    ...{ subsystemProductId: null, revision: null, serialNumber: null, deviceType: 'type-PCI', parentAddress: null },
    ...{ numaNode: 0, driver: null, iommuGroup: Number.parseInt(address.slice(5, 7), 16), sriov: null, netdevs: [] },
    ...{ pciePath: [`pci0000:${address.slice(5, 7)}`, `0000:${address.slice(5, 7)}:01.0`], acsRedirect: null },
    ...{ link: null, resetMethods: [], offer: null, notOffered: null },
    ...more,
  };
}

const known = (device: ReportedDevice, status: DeviceStatus = 'available'): KnownDevice => {
  return { device, status, inUse: status === 'allocated' };
};
const kinds = (before: KnownDevice[], now: ReportedDevice[]): string[] =>
  driftsOf(before, now).map(({ kind, address, from }) => [kind, from, address].filter(Boolean).join(' '));

describe('drift', () => {
  it('is none of a host that is as it was, or that nobody knew', () => {
    expect(kinds([known(card(A)), known(card(B))], [card(A), card(B)])).toEqual([]);
    expect(kinds([], [card(A), card(B)])).toEqual([]);
  });

  it('gone: told as long as the ledger has the device', () => {
    expect(kinds([known(card(A)), known(card(B))], [card(B)])).toEqual([`gone ${A}`]);
    expect(kinds([known(card(A), 'allocated')], [])).toEqual([`gone ${A}`]);
    expect(kinds([known(card(A), 'removed')], [])).toEqual([]);
  });

  it('gone is not said of VFs that nobody has: their number changes', () => {
    const vf = card('0000:41:00.2', { deviceType: 'type-VF', parentAddress: A });
    expect(kinds([known(card(A)), known(vf)], [card(A)])).toEqual([]);
    expect(kinds([known(card(A)), known(vf, 'allocated')], [card(A)])).toEqual(['gone 0000:41:00.2']);
  });

  it('moved: the same serial number at another address', () => {
    const s1 = { serialNumber: 'S1' };
    expect(kinds([known(card(A, s1))], [card(B, s1)])).toEqual([`moved ${A} ${B}`]);
    expect(kinds([known(card(A, s1), 'removed')], [card(B, s1)])).toEqual([`moved ${A} ${B}`]);
    expect(driftsOf([known(card(A, s1))], [card(B, s1)])[0]?.reason).toBe(
      `the card with serial number S1 was at ${A} before`,
    );
  });

  it('moved: two cards that changed places, each also another one at its place', () => {
    const [s1, s2] = [{ serialNumber: 'S1' }, { serialNumber: 'S2' }];
    expect(kinds([known(card(A, s1)), known(card(B, s2))], [card(A, s2), card(B, s1)])).toEqual([
      ...[`moved ${B} ${A}`, `id_changed ${A}`, `moved ${A} ${B}`, `id_changed ${B}`],
    ]);
  });

  it('moved from where a server has it, when several places had the card', () => {
    const s1 = { serialNumber: 'S1' };
    const before = [known(card(A, s1), 'allocated'), known(card(B, s1), 'quarantined')];
    expect(kinds(before, [card(C, s1)])).toEqual([`gone ${B}`, `moved ${A} ${C}`]);
  });

  it('not moved by a serial number that several have', () => {
    const s0 = { serialNumber: '0' };
    expect(kinds([known(card(A, s0))], [card(B, s0), card(C, s0)])).toEqual([`gone ${A}`]);
    expect(kinds([known(card(A, s0)), known(card(B, s0))], [card(B, s0)])).toEqual([`gone ${A}`]);
  });

  it('moved: the same slot with another bus number, unless the card is another one', () => {
    const path = { pciePath: ['pci0000:40', '0000:40:03.1'] };
    const renumbered = { pciePath: ['pci0000:40', '0000:40:03.1'], iommuGroup: 7 };
    expect(kinds([known(card(A, path))], [card('0000:42:00.0', renumbered)])).toEqual([`moved ${A} 0000:42:00.0`]);
    const other = card('0000:42:00.0', { ...renumbered, productId: '1bb1' });
    expect(kinds([known(card(A, path))], [other])).toEqual([`gone ${A}`]);
  });

  it('id_changed: other ids, or another serial number', () => {
    expect(kinds([known(card(A))], [card(A, { productId: '1bb1' })])).toEqual([`id_changed ${A}`]);
    const [s1, s2] = [{ serialNumber: 'S1' }, { serialNumber: 'S2' }];
    expect(driftsOf([known(card(A, s1))], [card(A, s2)])[0]?.reason).toBe(
      'it was 10de:1bb0 (type-PCI, serial number S1) and is 10de:1bb0 (type-PCI, serial number S2)',
    );
    expect(kinds([known(card(A, s1))], [card(A)])).toEqual([]);
  });

  it('group_changed: others in it, not another number', () => {
    const alone = [known(card(A, { iommuGroup: 1 })), known(card(B, { iommuGroup: 2 }))];
    expect(kinds(alone, [card(A, { iommuGroup: 9 }), card(B, { iommuGroup: 1 })])).toEqual([]);
    expect(driftsOf(alone, [card(A, { iommuGroup: 1 }), card(B, { iommuGroup: 1 })])).toEqual([
      { kind: 'group_changed', address: A, reason: `it shares its IOMMU group with ${B} now` },
      { kind: 'group_changed', address: B, reason: `it shares its IOMMU group with ${A} now` },
    ]);
    expect(driftsOf(alone, [card(A, { iommuGroup: null }), card(B, { iommuGroup: 2 })])).toEqual([
      { kind: 'group_changed', address: A, reason: 'it has no IOMMU group any more' },
    ]);
  });

  it('group_changed is not said of a PF that gets VFs in its group', () => {
    const vf = card('0000:41:00.2', { deviceType: 'type-VF', parentAddress: A, iommuGroup: 1 });
    const pf = card(A, { deviceType: 'type-PF', iommuGroup: 1 });
    expect(kinds([known(pf)], [pf, vf])).toEqual([]);
  });

  it('is what the agent tells, each time', () => {
    const told = card(A, { drift: [{ kind: 'driver_stolen', reason: 'its driver is nvme' }] });
    expect(kinds([known(told, 'allocated')], [told])).toEqual([`driver_stolen ${A}`]);
  });
});
