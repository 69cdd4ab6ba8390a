import { compareAddresses, type Address } from './address.js';
import { bindingMode, isHandedOverAsNetdev, isVfioDriver } from './binding-mode.js';
import { isBridge, type Offer, type PciDevice, type Protection } from './device.js';

/**
 * What a device claim takes: passthrough is enabled on a device ahead of use. An IOMMU group is handed over whole or not at all, so whoever
 * takes one function of it takes all of them; bridges stay with the kernel and do no harm.
 */

/** A device as far as a claim on it goes. */
export type ClaimableDevice = Pick<
  PciDevice,
  'address' | 'classCode' | 'iommuGroup' | 'driver' | 'parentAddress' | 'sriov'
> & {
  readonly offer: Offer | null;
  readonly protection?: Protection;
  /** The server that has it; null: none. */
  readonly server: { readonly id: string; readonly name: string } | null;
  /** The device that a claim which has this one was made for; null: no claim has it. */
  readonly claimedFor: Address | null;
};

/** Why a claim is refused. Codes are never changed. */
export const DEVICE_CLAIM_REFUSALS = [
  'read_only',
  'bridge',
  'no_iommu_group',
  'claimed',
  'in_use',
  'protected',
  'has_vfs',
  'vf_with_its_pf',
  'not_managed',
  'handover_netdev',
] as const;
export type DeviceClaimRefusalCode = (typeof DEVICE_CLAIM_REFUSALS)[number];

export interface DeviceClaimRefusal {
  readonly code: DeviceClaimRefusalCode;
  /** What of it all is in the way; null: the host. */
  readonly address: Address | null;
  readonly reason: string;
  readonly remedy: string;
}

export interface DeviceClaimPreview<Device> {
  /** What is bound: the device that is asked for, then its companions in address order. */
  readonly takes: readonly Device[];
  /** Bridges of the group, which nobody binds. */
  readonly bridges: readonly Device[];
  /** Functions of the same slot that the IOMMU tells apart: they stay as they are. */
  readonly stays: readonly Device[];
  /** All that is in the way; none: it can be claimed. */
  readonly refusals: readonly DeviceClaimRefusal[];
}

/**
 * What a claim on a device would take, and what is in the way.
 *
 * @param devices all that the host has; the same devices in any order give the same answer
 * @param readOnly whether the host's agent only looks
 */
export function previewDeviceClaim<Device extends ClaimableDevice>(
  device: Device,
  devices: readonly Device[],
  readOnly: boolean,
): DeviceClaimPreview<Device> {
  const others = devices
    .filter(({ address }) => address !== device.address)
    .sort((a, b) => compareAddresses(a.address, b.address));
  const group = device.iommuGroup === null ? [] : others.filter(({ iommuGroup }) => iommuGroup === device.iommuGroup);
  const takes = isBridge(device) ? [device] : [device, ...group.filter((one) => !isBridge(one))];
  const slot = slotOf(device.address);
  return {
    takes,
    bridges: group.filter(isBridge),
    stays: others.filter((one) => slotOf(one.address) === slot && !isBridge(one) && !takes.includes(one)),
    refusals: [...ofHost(readOnly), ...ofDevice(device), ...takes.flatMap((one) => ofMember(one, takes))],
  };
}

function slotOf(address: Address): string {
  return address.slice(0, address.lastIndexOf('.'));
}

function ofHost(readOnly: boolean): DeviceClaimRefusal[] {
  if (!readOnly) return [];
  const reason = "the host's agent only looks and binds nothing";
  return [{ code: 'read_only', address: null, reason, remedy: 'set agent.read_only to false on that host' }];
}

/** What is asked for itself; companions are neither bridges nor without a group. */
function ofDevice(device: ClaimableDevice): DeviceClaimRefusal[] {
  const { address } = device;
  if (isBridge(device)) {
    const remedy = 'claim a device behind it';
    return [{ code: 'bridge', address, reason: 'it is a bridge, which is never handed over', remedy }];
  }
  if (device.iommuGroup !== null) return [];
  const remedy = 'turn the IOMMU on (intel_iommu=on or amd_iommu=on, and in the firmware)';
  const reason = 'it has no IOMMU group: the host has no IOMMU, or has it off';
  return [{ code: 'no_iommu_group', address, reason, remedy }];
}

/** One that is taken: several things may be in the way. */
function ofMember(device: ClaimableDevice, takes: readonly ClaimableDevice[]): DeviceClaimRefusal[] {
  return [
    claimed(device),
    inUse(device),
    ...isProtected(device),
    hasVfs(device),
    vfOf(device, takes),
    byOthers(device),
    asNetdev(device),
  ]
    .filter((refusal) => refusal !== null)
    .map((refusal) => ({ ...refusal, address: device.address }));
}

type Reason = Omit<DeviceClaimRefusal, 'address'> | null;

function claimed({ address, claimedFor }: ClaimableDevice): Reason {
  if (claimedFor === null) return null;
  const reason = claimedFor === address ? 'it is claimed already' : `the claim on ${claimedFor} has it`;
  return { code: 'claimed', reason, remedy: `go on with the claim on ${claimedFor}, or delete it` };
}

function inUse({ server }: ClaimableDevice): Reason {
  if (server === null) return null;
  const remedy = 'wait until the server has given it back, or delete the server';
  return { code: 'in_use', reason: `server ${server.name} (${server.id}) has it`, remedy };
}

function isProtected({ protection }: ClaimableDevice): NonNullable<Reason>[] {
  if (!protection || protection.overridden) return [];
  return protection.reasons.map(({ text, remedy }) => {
    return { code: 'protected', reason: `the host needs it: it ${text}`, remedy };
  });
}

/** They would go with the PF's driver, and nobody asked for that. */
function hasVfs({ sriov, driver }: ClaimableDevice): Reason {
  if (sriov === null || sriov.numVfs === 0 || isVfioDriver(driver)) return null;
  const remedy = 'set their number to 0 first (berth sriov set HOST ADDRESS --vf-count 0), or claim its VFs';
  return { code: 'has_vfs', reason: `it has ${sriov.numVfs} VFs, which would go`, remedy };
}

function vfOf({ parentAddress }: ClaimableDevice, takes: readonly ClaimableDevice[]): Reason {
  if (!takes.some(({ address }) => address === parentAddress)) return null;
  const reason = `it is a VF of ${parentAddress}, which is in the same IOMMU group and would be taken from under it`;
  return { code: 'vf_with_its_pf', reason, remedy: 'put the card into a slot whose ports have ACS' };
}

/** `managed: no`: what somebody else is to bind is only looked at. */
function byOthers({ offer, driver }: ClaimableDevice): Reason {
  if (offer === null || bindingMode(offer.tags).managed || isVfioDriver(driver)) return null;
  const found = driver === null ? 'it has no driver' : `it is bound to ${driver}`;
  const remedy = 'bind it to a vfio driver by other means, or take managed: no from its whitelist entry';
  return {
    code: 'not_managed',
    reason: `its whitelist entry leaves the binding to somebody else (managed: no), and ${found}`,
    remedy,
  };
}

/** `handover: netdev`: a server gets its interface, which goes with the driver. */
function asNetdev({ offer }: ClaimableDevice): Reason {
  if (offer === null || !isHandedOverAsNetdev(offer.tags)) return null;
  return {
    code: 'handover_netdev',
    reason: 'its whitelist entry hands over its interface (handover: netdev), for which it keeps its driver',
    remedy: 'take handover: netdev from its whitelist entry',
  };
}

/** `0000:83:00.1: protected: the host needs it: …; remedy`, for one line of text. */
export function refusalText({ code, address, reason, remedy }: DeviceClaimRefusal): string {
  return `${address === null ? '' : `${address}: `}${code}: ${reason}; ${remedy}`;
}
