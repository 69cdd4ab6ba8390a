import { messageOf } from '../errors.js';
import type { Address } from '../pci/address.js';
import type { PciDevice } from '../pci/device.js';
import { isVfioDriver } from '../pci/binding-mode.js';
import { BindingError } from './binding-error.js';
import { assertVfsIdle } from './claim-checks.js';
import { PCI_DEVICES, readDevice } from './device-reader.js';
import type { DeviceRecord } from './journal-state.js';
import { write, type BinderHost } from './vfio-binder-writes.js';

/**
 * Takes a PF's idle VFs away, because vfio-pci takes no PF that has some; how many there were is in the journal before.
 * Only the PF's own driver can do that: of a PF without one nothing is changed, and vfio-pci's refusal says what to do.
 *
 * @throws BindingError at `sriov_numvfs`, or at `check` when a claim has got hold of a VF meanwhile
 */
export async function removeVfs(host: BinderHost, claimId: string, address: Address): Promise<void> {
  const { device } = readDevice(host.sysfsRoot, address);
  if (!device || device.driver === null || isVfioDriver(device.driver) || vfsOf(device) === 0) return;
  assertVfsIdle(host, claimId, device);
  await host.journal.noteVfs(claimId, address, vfsOf(device));
  await setVfs(host, claimId, address, 0);
}

/**
 * Makes the VFs again that {@link removeVfs} took away, as many as there were. What was set up on them (addresses, VLANs,
 * drivers other than the one that takes new VFs) is not known to sysfs and does not come back.
 *
 * The PF is back at the host whether or not this works, so a failure is told to the operator and fails nothing.
 */
export async function restoreVfs(host: BinderHost, claimId: string, record: DeviceRecord): Promise<void> {
  const { address, originalVfs } = record;
  if (originalVfs === undefined) return;
  try {
    await makeVfs(host, claimId, record, originalVfs);
  } catch (error) {
    const remedy = `bind ${address} to ${record.originalDriver ?? 'its own driver'}, then write ${originalVfs} to its sriov_numvfs`;
    host.log('error', 'The VFs of a released PF could not be restored', {
      claimId,
      address,
      vfs: originalVfs,
      problem: messageOf(error),
      remedy,
    });
  }
}

async function makeVfs(host: BinderHost, claimId: string, record: DeviceRecord, wanted: number): Promise<void> {
  const { address } = record;
  const device = ownDevice(host.sysfsRoot, record);
  if (vfsOf(device) === wanted) return;
  if (vfsOf(device) > 0) {
    // The kernel goes from one number to another by way of 0 only.
    assertVfsIdle(host, claimId, device);
    await setVfs(host, claimId, address, 0);
  }
  await setVfs(host, claimId, address, wanted);
}

function ownDevice(sysfsRoot: string, record: DeviceRecord): PciDevice {
  const { device } = readDevice(sysfsRoot, record.address);
  if (device?.vendorId !== record.vendorId || device.productId !== record.productId) {
    throw failed(record.address, 'the card is gone, or another one sits there');
  }
  if (device.driver === record.originalDriver) return device;
  const found = device.driver === null ? 'it has no driver' : `it is bound to ${device.driver}`;
  throw failed(record.address, `${found}, not to ${record.originalDriver}`);
}

async function setVfs(host: BinderHost, claimId: string, address: Address, wanted: number): Promise<void> {
  await write(
    host,
    { claimId, address, step: 'sriov_numvfs' },
    `${PCI_DEVICES}/${address}/sriov_numvfs`,
    String(wanted),
  );
  assertVfs(host.sysfsRoot, address, wanted);
}

/** @throws BindingError at `sriov_numvfs` when a PF has not the VFs that were asked for, although the kernel took the number */
export function assertVfs(sysfsRoot: string, address: Address, wanted: number): void {
  const found = vfsOf(readDevice(sysfsRoot, address).device);
  if (found !== wanted)
    throw failed(address, `it has ${found} VFs after ${wanted} were asked for; see the kernel log (dmesg)`);
}

export function vfsOf(device: PciDevice | null): number {
  return device?.sriov?.numVfs ?? 0;
}

function failed(address: Address, what: string): BindingError {
  return new BindingError('binding.failed', `${address}: ${what}`, { address, step: 'sriov_numvfs' });
}
