import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { PrepareTarget } from '../messages/bodies.js';
import type { Address } from '../pci/address.js';
import { isBridge, type PciDevice } from '../pci/device.js';
import { isolationUnits } from '../pci/iommu.js';
import { BindingError } from './binding-error.js';
import { PCI_DEVICES, readDevice } from './device-reader.js';
import type { Journal } from './journal.js';
import { listNames, readLinkName } from './sysfs-read.js';
import { assertUnusedByHost } from './vf-guards.js';

export const VFIO_DRIVER = 'vfio-pci';

/**
 * Everything that can be known before the first write: a claim that fails here has changed nothing.
 *
 * @returns the devices as they are now, in the order of the targets
 * @throws BindingError `device.missing`, `device.changed`, `binding.refused`, `binding.failed`, at step `check`; at
 *   `sriov_numvfs` for a VF that somebody else uses
 */
export function checkClaim(
  host: { readonly sysfsRoot: string; readonly journal: Journal },
  claimId: string,
  targets: readonly PrepareTarget[],
): PciDevice[] {
  const devices = targets.map((target) => deviceAsExpected(host.sysfsRoot, target));
  for (const device of devices) {
    assertPassable(device);
    assertNotHeld(host.journal, claimId, device.address);
    assertWithoutParent(device, devices);
    assertVfsIdle(host, claimId, device);
    if (device.parentAddress !== null) assertNotHeld(host.journal, claimId, device.parentAddress, device.address);
  }
  for (const group of new Set(devices.map((device) => device.iommuGroup as number))) {
    assertViable(host, claimId, group, devices);
  }
  assertDriverLoaded(host.sysfsRoot);
  return devices;
}

/**
 * While a PF is handed over it has no VFs: those that exist have to be dispensable.
 *
 * @throws BindingError `binding.refused` when a claim holds a VF or the host uses its network interface (step `check`), or
 *   somebody else's program may have it open (step `sriov_numvfs`): the kernel would wait for that program to let go
 */
export function assertVfsIdle(
  { sysfsRoot, journal }: { readonly sysfsRoot: string; readonly journal: Pick<Journal, 'holderOf'> },
  claimId: string,
  device: PciDevice,
): void {
  for (const vf of virtualFunctions(sysfsRoot, device)) {
    assertNotHeld(journal, claimId, vf, device.address);
    assertUnusedByHost(sysfsRoot, vf, device.address);
    const driver = readLinkName(join(sysfsRoot, PCI_DEVICES, vf, 'driver'));
    // There are others than vfio-pci itself: mlx5_vfio_pci, hisi_acc_vfio_pci.
    if (driver.kind !== 'text' || !/vfio/.test(driver.text)) continue;
    const what = `its VF ${vf} is bound to ${driver.text}, and not by Berth; stop what uses it and unbind it`;
    const { address } = device;
    throw new BindingError('binding.refused', `${address}: ${what}`, { address, step: 'sriov_numvfs' });
  }
}

function deviceAsExpected(sysfsRoot: string, target: PrepareTarget): PciDevice {
  const { device, problems } = readDevice(sysfsRoot, target.address);
  if (!device) {
    throw refusal('device.missing', target.address, `no usable device there (${problems.join('; ')})`);
  }
  if (device.vendorId !== target.vendor_id || device.productId !== target.product_id) {
    const found = `${device.vendorId}:${device.productId}`;
    const expected = `${target.vendor_id}:${target.product_id}`;
    throw refusal('device.changed', target.address, `${found} sits there now, ${expected} was expected`);
  }
  return device;
}

function assertPassable(device: PciDevice): void {
  if (isBridge(device)) throw refusal('binding.refused', device.address, 'a bridge is never handed over');
  if (device.iommuGroup === null) {
    const remedy = 'turn the IOMMU on (intel_iommu=on or amd_iommu=on, and in the firmware)';
    throw refusal('binding.refused', device.address, `no IOMMU group: the host has no IOMMU or has it off; ${remedy}`);
  }
}

/** Handing the PF over removes the VF. */
function assertWithoutParent(device: PciDevice, devices: readonly PciDevice[]): void {
  if (!devices.some(({ address }) => address === device.parentAddress)) return;
  const what = `it is a VF of ${device.parentAddress}, which the same claim wants`;
  throw refusal('binding.refused', device.address, what);
}

function assertNotHeld(
  journal: Pick<Journal, 'holderOf'>,
  claimId: string,
  held: Address,
  wanted: Address = held,
): void {
  const holder = journal.holderOf(held);
  if (!holder || holder.claimId === claimId) return;
  const whose = held === wanted ? 'it is' : `its relative ${held} is`;
  const what = `${whose} ${holder.state} for claim ${holder.claimId} of server ${holder.serverId}; release that first`;
  throw refusal('binding.refused', wanted, what);
}

function virtualFunctions(sysfsRoot: string, device: PciDevice): Address[] {
  if (device.sriov === null || device.sriov.numVfs === 0) return [];
  const dir = join(sysfsRoot, PCI_DEVICES, device.address);
  return readdirSync(dir)
    .filter((name) => /^virtfn\d+$/.test(name))
    .map((name) => readLinkName(join(dir, name)))
    .flatMap((reading) => (reading.kind === 'text' ? [reading.text] : []));
}

/** The kernel lets a group be opened only when no member is left to a driver of the host. */
function assertViable(
  { sysfsRoot, journal }: { readonly sysfsRoot: string; readonly journal: Journal },
  claimId: string,
  group: number,
  devices: readonly PciDevice[],
): void {
  const claimed = new Set(devices.map((device) => device.address));
  const names = listNames(join(sysfsRoot, `kernel/iommu_groups/${group}/devices`));
  const members = names.map((name) => readDevice(sysfsRoot, name).device).filter((device) => device !== null);
  for (const member of members) if (!claimed.has(member.address)) assertNotHeldAlong(journal, claimId, member);
  const units = isolationUnits(members.map((member) => ({ ...member, offered: claimed.has(member.address) })));
  for (const address of claimed) {
    const blocker = units.get(address)?.blockedBy;
    if (blocker) throw refusal('binding.refused', address, blocker);
  }
}

/** Two servers must not share a group: the kernel gives it to one program. */
function assertNotHeldAlong(journal: Journal, claimId: string, member: PciDevice): void {
  const holder = journal.holderOf(member.address);
  if (!holder || holder.claimId === claimId) return;
  const what = `IOMMU group ${member.iommuGroup} is in use by claim ${holder.claimId} of server ${holder.serverId}`;
  throw refusal('binding.refused', member.address, what);
}

function assertDriverLoaded(sysfsRoot: string): void {
  if (existsSync(join(sysfsRoot, 'bus/pci/drivers', VFIO_DRIVER))) return;
  throw new BindingError('binding.failed', 'The driver vfio-pci is not loaded: run `modprobe vfio-pci`', {
    address: null,
    step: 'check',
  });
}

function refusal(code: 'device.missing' | 'device.changed' | 'binding.refused', address: Address, what: string) {
  return new BindingError(code, `${address}: ${what}`, { address, step: 'check' });
}
