import { compareAddresses, type Address } from './address.js';
import { isVfioDriver } from './binding-mode.js';
import { isBridge, type PciDevice } from './device.js';

type GroupDevice = Pick<
  PciDevice,
  'address' | 'iommuGroup' | 'classCode' | 'driver' | 'deviceType' | 'parentAddress'
> & {
  readonly offered: boolean;
};

/**
 * What the kernel lets be handed over together: all endpoints of one IOMMU group.
 *
 * `members` are the offered ones, in address order; whoever takes one of them takes all. `blockedBy` says why the
 * group cannot be handed over at all, null when it can.
 */
export interface IsolationUnit {
  readonly iommuGroup: number | null;
  readonly members: readonly Address[];
  readonly blockedBy: string | null;
}

/** Drivers that leave a device to a user of its group (Linux `vfio.c`: a member may be driverless, or on one of these). */
const HARMLESS_DRIVERS: ReadonlySet<string> = new Set(['pci-stub', 'pcieport']);

/**
 * Groups a host's offered devices into units that can only be handed over whole.
 *
 * A member that is not offered does no harm when it is a bridge on `pcieport` or without driver, or a function without
 * a host driver; on a host driver it makes the group not viable. A PF and its VF in one group block each other: the
 * group would have to be handed over whole, and a VF is of no use without its PF's driver.
 *
 * @returns device address → its unit; devices that are not offered have none
 */
export function isolationUnits(devices: readonly GroupDevice[]): Map<Address, IsolationUnit> {
  const groups = new Map<number, GroupDevice[]>();
  const units = new Map<Address, IsolationUnit>();
  // in address order, so that of several blockers the same one is always named
  for (const device of [...devices].sort((a, b) => compareAddresses(a.address, b.address))) {
    if (device.iommuGroup !== null) groups.set(device.iommuGroup, [...(groups.get(device.iommuGroup) ?? []), device]);
    else if (device.offered) units.set(device.address, withoutIommu(device.address));
  }
  for (const [iommuGroup, members] of groups) {
    const offered = members.filter((member) => member.offered).map((member) => member.address);
    const unit: IsolationUnit = { iommuGroup, members: offered, blockedBy: blocker(iommuGroup, members) };
    for (const address of offered) units.set(address, unit);
  }
  return units;
}

function isHarmless(driver: string): boolean {
  return isVfioDriver(driver) || HARMLESS_DRIVERS.has(driver);
}

function withoutIommu(address: Address): IsolationUnit {
  return {
    iommuGroup: null,
    members: [address],
    blockedBy:
      'the host has no IOMMU group for it; turn the IOMMU on (intel_iommu=on or amd_iommu=on, and in the firmware)',
  };
}

function blocker(group: number, members: readonly GroupDevice[]): string | null {
  const native = members.find((member) => !member.offered && member.driver !== null && !isHarmless(member.driver));
  if (native) {
    const remedy = isBridge(native)
      ? `unbind it from ${native.driver}`
      : `offer it as well, or unbind it from ${native.driver}`;
    return `IOMMU group ${group} also holds ${native.address}, which the host's driver ${native.driver} uses; ${remedy}`;
  }
  const offered = members.filter((member) => member.offered);
  const addresses = new Set<Address | null>(offered.map((member) => member.address));
  const vf = offered.find((member) => addresses.has(member.parentAddress));
  if (vf) return `IOMMU group ${group} holds the VF ${vf.address} together with its PF ${vf.parentAddress}`;
  return null;
}
