import { compareAddresses, type Address } from './address.js';
import { isVfioDriver } from './binding-mode.js';
import { isBridge, type PciDevice, type Protection } from './device.js';

export type GroupDevice = Pick<
  PciDevice,
  'address' | 'iommuGroup' | 'classCode' | 'driver' | 'deviceType' | 'parentAddress'
> & {
  readonly offered: boolean;
  /** Of a member that the host itself needs. */
  readonly protection?: Protection;
  /** It is offered and stays with its own driver: its group has not to be handed over for it. Left out: by vfio. */
  readonly asNetdev?: boolean;
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

/** What keeps an IOMMU group from being handed over. */
export interface GroupBlocker {
  /** The member that does; null: the host. */
  readonly address: Address | null;
  readonly reason: string;
  readonly remedy: string;
}

/** Drivers that leave a device to a user of its group (Linux `vfio.c`: a member may be driverless, or on one of these), beside vfio's own. */
const HARMLESS_DRIVERS: ReadonlySet<string> = new Set(['pci-stub', 'pcieport']);
const TURN_ON = 'turn it on (intel_iommu=on or amd_iommu=on, and in the firmware)';

/**
 * Groups a host's offered devices into units that can only be handed over whole.
 *
 * A member that is not offered does no harm when it is a bridge on `pcieport` or without driver, or a function without
 * a host driver; on a host driver, or when the host itself needs it, it makes the group not viable. A PF and its VF in one group
 * block each other: the group would have to be handed over whole, and a VF is of no use without its PF's driver. A device that is handed over
 * as its network interface is a unit of its own, with and without an IOMMU.
 *
 * @returns device address → its unit; devices that are not offered have none
 */
export function isolationUnits(all: readonly GroupDevice[]): Map<Address, IsolationUnit> {
  const units = new Map<Address, IsolationUnit>();
  const isFree = ({ offered, asNetdev }: GroupDevice): boolean => offered && asNetdev === true;
  // To the others of its group it is what the host's driver uses.
  const devices = all.map((device) => (isFree(device) ? { ...device, offered: false } : device));
  for (const { address, iommuGroup } of all.filter(isFree)) {
    units.set(address, { iommuGroup, members: [address], blockedBy: null });
  }
  const { groups, alone } = inGroups(devices);
  const missing = textOf(missingIommu(groups.size > 0));
  for (const { address, offered } of alone) {
    if (offered) units.set(address, { iommuGroup: null, members: [address], blockedBy: missing });
  }
  for (const [iommuGroup, members] of groups) {
    const offered = members.filter((member) => member.offered).map((member) => member.address);
    const blocker = groupBlocker(iommuGroup, members);
    const unit: IsolationUnit = { iommuGroup, members: offered, blockedBy: blocker && textOf(blocker) };
    for (const address of offered) units.set(address, unit);
  }
  return units;
}

/** IOMMU groups in order of their first member, and devices without one; both in address order, so that of several blockers the same one is always named. */
export function inGroups<Device extends Pick<PciDevice, 'address' | 'iommuGroup'>>(
  devices: readonly Device[],
): { readonly groups: ReadonlyMap<number, readonly Device[]>; readonly alone: readonly Device[] } {
  const groups = new Map<number, Device[]>();
  const alone: Device[] = [];
  for (const device of [...devices].sort((a, b) => compareAddresses(a.address, b.address))) {
    if (device.iommuGroup === null) alone.push(device);
    else groups.set(device.iommuGroup, [...(groups.get(device.iommuGroup) ?? []), device]);
  }
  return { groups, alone };
}

/** @param others whether other devices of the host have a group */
export function missingIommu(others: boolean): GroupBlocker {
  const reason = others ? 'the host has no IOMMU group for it' : 'this host has no IOMMU, or has it off';
  return { address: null, reason, remedy: others ? TURN_ON.replace('it', 'the IOMMU') : TURN_ON };
}

/** Why a group cannot be handed over with the members that are offered; null when it can. */
export function groupBlocker(group: number, members: readonly GroupDevice[]): GroupBlocker | null {
  return protectedMember(group, members) ?? memberAtWork(group, members) ?? vfWithItsPf(group, members);
}

/** One that is protected for itself is named before its companions. */
function protectedMember(group: number, members: readonly GroupDevice[]): GroupBlocker | null {
  const kept = members.filter(({ offered, protection }) => !offered && protection && !protection.overridden);
  const isCause = ({ protection }: GroupDevice): boolean => protection?.reasons[0]?.code !== 'iommu_group';
  const first = kept.find(isCause) ?? kept[0];
  const why = first?.protection?.reasons[0];
  if (!first || !why) return null;
  const reason = `IOMMU group ${group} also holds ${first.address}, which the host needs: it ${why.text}`;
  return { address: first.address, reason, remedy: why.remedy };
}

function memberAtWork(group: number, members: readonly GroupDevice[]): GroupBlocker | null {
  const native = members.find(({ offered, driver }) => !offered && driver !== null && !isHarmless(driver));
  if (!native) return null;
  const unbind = `unbind it from ${native.driver}`;
  const reason = `IOMMU group ${group} also holds ${native.address}, which the host's driver ${native.driver} uses`;
  return { address: native.address, reason, remedy: isBridge(native) ? unbind : `offer it as well, or ${unbind}` };
}

function isHarmless(driver: string): boolean {
  return isVfioDriver(driver) || HARMLESS_DRIVERS.has(driver);
}

function vfWithItsPf(group: number, members: readonly GroupDevice[]): GroupBlocker | null {
  const offered = members.filter((member) => member.offered);
  const addresses = new Set<Address | null>(offered.map((member) => member.address));
  const vf = offered.find((member) => addresses.has(member.parentAddress));
  if (!vf) return null;
  const reason = `IOMMU group ${group} holds the VF ${vf.address} together with its PF ${vf.parentAddress}`;
  return {
    address: vf.address,
    reason,
    remedy: 'put the card into a slot whose ports have ACS, or offer one of the two',
  };
}

function textOf({ reason, remedy }: GroupBlocker): string {
  return `${reason}; ${remedy}`;
}
