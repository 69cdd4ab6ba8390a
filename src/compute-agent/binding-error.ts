import { BerthError, type ErrorCode } from '../errors.js';
import type { Address } from '../pci/address.js';
import { errnoOf } from './sysfs-read.js';

export type BindingStep =
  | 'check'
  | 'cdi_file'
  | 'netdev'
  | 'modprobe'
  | 'unbind'
  | 'sriov_drivers_autoprobe'
  | 'sriov_numvfs'
  | 'vf_settings'
  | 'driver_override'
  | 'drivers_probe'
  | 'bind'
  | 'read_back'
  | 'reset'
  | 'guest_start'
  | 'guest_stop'
  | 'guest_attach'
  | 'guest_detach'
  | 'guest_act';

/** Where binding or giving back one device ended, and what to do about it. */
export class BindingError extends BerthError {
  readonly address: Address | null;
  readonly step: BindingStep | null;
  readonly errno: string | null;

  constructor(
    code: ErrorCode,
    message: string,
    at: { readonly address: Address | null; readonly step: BindingStep | null; readonly cause?: unknown },
  ) {
    const errno = at.cause === undefined ? null : errnoOf(at.cause);
    super(code, message, { cause: at.cause, details: { address: at.address, step: at.step, errno } });
    this.address = at.address;
    this.step = at.step;
    this.errno = errno;
  }
}

/** The error for a write that the kernel refused. */
export function refusedWrite(address: Address, step: BindingStep, cause: unknown): BindingError {
  const errno = errnoOf(cause);
  const remedy = REMEDIES_OF_STEPS[step]?.[errno] ?? REMEDIES[errno] ?? 'see the kernel log (dmesg)';
  return new BindingError('binding.failed', `${address}: ${step} failed with ${errno}: ${remedy}`, {
    address,
    step,
    cause,
  });
}

/** What each errno of a sysfs write means here (seen on Linux 6.1). */
const REMEDIES: Readonly<Record<string, string>> = {
  EBUSY:
    'the device or its IOMMU group is in use; a PF must have no VFs (write 0 to its sriov_numvfs), and no program may have the group open',
  EINVAL: 'vfio-pci does not take it; turn the IOMMU on (intel_iommu=on or amd_iommu=on, and in the firmware)',
  ENODEV: 'the device or the driver is gone, or the driver does not know the device',
  ENOENT: 'the device went away meanwhile; look whether the card is still in its slot',
  EACCES: 'the agent may not write there; run it as root with a writable /sys',
  EPERM: 'the agent may not do this; run it as root, and check that the kernel is not locked down',
  EROFS: '/sys is mounted read-only; give the agent a writable one',
  ENOMEM: 'the kernel has no memory left for it',
  ETIMEDOUT: 'a program still holds the device open; stop the server that uses it',
};

/** What they mean of a write to `sriov_numvfs`, where it is something else. */
const VF_REMEDIES: Readonly<Record<string, string>> = {
  EBUSY: 'a VF is in use, or another program changes their number as well; stop what uses the VFs',
  EPERM: 'a VF is assigned to a guest, or the agent may not do this; shut that guest down, and run the agent as root',
  ENOENT: "the PF's driver does not change the number of VFs by sriov_numvfs; change it by that driver's own means",
  ERANGE: 'the device does not have that many VFs; see its sriov_totalvfs',
  ENOMEM: 'the host has no bus numbers or memory ranges left for the VFs; see the kernel log (dmesg)',
};

/** When its own driver is to take it back. */
const BIND_REMEDIES: Readonly<Record<string, string>> = {
  EINVAL: 'its own driver did not take it back; see the kernel log (dmesg)',
  EBUSY: 'another driver has it, or a member of its IOMMU group is still open; end what uses it',
};

const REMEDIES_OF_STEPS: Readonly<Partial<Record<BindingStep, Readonly<Record<string, string>>>>> = {
  sriov_numvfs: VF_REMEDIES,
  bind: BIND_REMEDIES,
};
