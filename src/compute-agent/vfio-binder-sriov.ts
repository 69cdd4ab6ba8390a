import { messageOf } from '../errors.js';
import type { Address } from '../pci/address.js';
import type { PciDevice } from '../pci/device.js';
import type { AgentLog } from './agent-log.js';
import { BindingError, refusedWrite } from './binding-error.js';
import { assertVfsIdle, VFIO_DRIVER } from './claim-checks.js';
import { PCI_DEVICES, readDevice } from './device-reader.js';
import type { DeviceRecord } from './journal-state.js';
import type { Journal } from './journal.js';
import type { SysfsWrite } from './kernel.js';

export interface SriovHost {
  readonly sysfsRoot: string;
  readonly write: SysfsWrite;
  readonly journal: Journal;
  readonly log: AgentLog;
}

/**
 * Takes a PF's idle VFs away, because vfio-pci takes no PF that has some; how many there were is in the journal before.
 * Only the PF's own driver can do that: of a PF without one nothing is changed, and vfio-pci's refusal says what to do.
 *
 * @throws BindingError at `sriov_numvfs`, or at `check` when a claim has got hold of a VF meanwhile
 */
export async function removeVfs(host: SriovHost, claimId: string, address: Address): Promise<void> {
  const { device } = readDevice(host.sysfsRoot, address);
  if (!device || device.driver === null || device.driver === VFIO_DRIVER || vfsOf(device) === 0) return;
  assertVfsIdle(host, claimId, device);
  await host.journal.noteVfs(claimId, address, vfsOf(device));
  await setVfs(host, address, 0);
}

/**
 * Makes the VFs again that {@link removeVfs} took away, as many as there were. What was set up on them (addresses, VLANs,
 * drivers other than the one that takes new VFs) is not known to sysfs and does not come back.
 *
 * The PF is back at the host whether or not this works, so a failure is told to the operator and fails nothing.
 */
export async function restoreVfs(host: SriovHost, claimId: string, record: DeviceRecord): Promise<void> {
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

async function makeVfs(host: SriovHost, claimId: string, record: DeviceRecord, wanted: number): Promise<void> {
  const { address } = record;
  const device = ownDevice(host.sysfsRoot, record);
  if (vfsOf(device) === wanted) return;
  if (vfsOf(device) > 0) {
    // The kernel goes from one number to another by way of 0 only.
    assertVfsIdle(host, claimId, device);
    await setVfs(host, address, 0);
  }
  await setVfs(host, address, wanted);
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

/**
 * Writes a number of VFs and reads it back.
 *
 * @throws BindingError at `sriov_numvfs`
 */
export async function setVfs({ sysfsRoot, write }: SriovHost, address: Address, wanted: number): Promise<void> {
  try {
    await write(`${PCI_DEVICES}/${address}/sriov_numvfs`, String(wanted));
  } catch (error) {
    throw refusedWrite(address, 'sriov_numvfs', error);
  }
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
