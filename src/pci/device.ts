import type { Address } from './address.js';

/** Nova's words, kept on the wire. */
export const DEVICE_TYPES = ['type-PCI', 'type-PF', 'type-VF', 'vdpa'] as const;
export type DeviceType = (typeof DEVICE_TYPES)[number];

export interface PcieLink {
  /** GT/s as the kernel prints it, e.g. `16.0 GT/s PCIe`; null when unknown. */
  readonly currentSpeed: string | null;
  readonly maxSpeed: string | null;
  readonly currentWidth: number | null;
  readonly maxWidth: number | null;
}

/** What the kernel says of one PCI function. Facts only; who owns it is the ledger's business. */
export interface PciDevice {
  readonly address: Address;
  /** Four lower-case hex digits. */
  readonly vendorId: string;
  readonly productId: string;
  /** Six lower-case hex digits: base class, sub-class, programming interface (`030200`). */
  readonly classCode: string;
  readonly subsystemVendorId: string | null;
  readonly subsystemProductId: string | null;
  readonly revision: string | null;
  /** Of the card, from its Vital Product Data; a VF has its PF's. null when the card tells none. */
  readonly serialNumber: string | null;
  readonly deviceType: DeviceType;
  /** Of a VF: its PF. */
  readonly parentAddress: Address | null;
  /** null when the platform does not say (the kernel's -1). */
  readonly numaNode: number | null;
  /** Name of the bound driver, null when there is none. */
  readonly driver: string | null;
  /** null when the host has no IOMMU, or has it off. */
  readonly iommuGroup: number | null;
  /** Of a PF. */
  readonly sriov: { readonly totalVfs: number; readonly numVfs: number } | null;
  /** Names of network interfaces on it. */
  readonly netdevs: readonly string[];
  /** From the host bridge down: `['pci0000:80', '0000:80:01.0']`; the device itself is left out. */
  readonly pciePath: readonly string[];
  /**
   * Whether ACS sends what it says to its neighbours up to the root complex first: P2P Request or Completion Redirect is on in a
   * switch's downstream port on its path or, where it has no switch, in its root port. null when the ports cannot be read.
   */
  readonly acsRedirect: boolean | null;
  readonly link: PcieLink | null;
  /** The kernel's reset methods in its order of preference (`flr`, `pm`, `bus`, …). */
  readonly resetMethods: readonly string[];
}

/** Tags that a device_spec entry gave: booleans are stored as the texts `true` and `false`, as Nova stores them. */
export type Tags = Readonly<Record<string, string | null>>;

/** What the whitelist made of a device. */
export interface Offer {
  /** Index of the device_spec entry that matched first. */
  readonly entry: number;
  readonly tags: Tags;
  readonly resourceClass: string | null;
  readonly traits: readonly string[];
}

/** What only the agent of a host can see happen to a device: see `drift.ts`. */
export interface ToldDrift {
  readonly kind: ToldDriftKind;
  /** The same words as long as it lasts: it is part of what the report's hash covers. */
  readonly reason: string;
}

export const TOLD_DRIFT_KINDS = ['driver_stolen', 'link_degraded'] as const;
export type ToldDriftKind = (typeof TOLD_DRIFT_KINDS)[number];

/** How a device was before the agent bound it: what the whitelist is matched against. */
export interface OriginalState {
  readonly driver: string | null;
  readonly netdevs: readonly string[];
}

/** Why the host cannot spare a device. */
export interface ProtectionReason {
  /** A `ProtectionCode` of `protection.ts`; a newer agent may say another. */
  readonly code: string;
  /** Goes on after "it": `carries the default route (bond0 → eth0 → 0000:01:00.0)`. */
  readonly text: string;
  readonly remedy: string;
}

/** What keeps a device with its host. A device that nothing keeps has none. */
export interface Protection {
  /** At least one, the weightiest first. */
  readonly reasons: readonly ProtectionReason[];
  /** Whether a device_spec entry for exactly this address says to give it away all the same. */
  readonly overridden: boolean;
}

/** What keeps the agent from binding a device, or from giving it back, for as long as it does. */
export interface BindingProblemFacts {
  /** `blocked`: it goes on when a program lets go. `refused`: it is tried again. `driverless`: no driver took it back. */
  readonly state: 'blocked' | 'refused' | 'driverless';
  readonly step: string;
  readonly errno: string | null;
  /** Programs that have it open, as a text; null: none is known. */
  readonly heldBy: string | null;
  readonly remedy: string;
  /** When it began, ISO 8601. */
  readonly since: string;
}

/** A device and whether the host offers it: the unit of a report. */
export interface ReportedDevice extends PciDevice {
  /** Of a device that hangs. */
  readonly bindingProblem?: BindingProblemFacts;
  /** Of a device that the agent holds bound. */
  readonly original?: OriginalState;
  /** What the agent has seen happen to it; left out when there is nothing. */
  readonly drift?: readonly ToldDrift[];
  /** null when the device is not offered; then `notOffered` says why. */
  readonly offer: Offer | null;
  readonly notOffered: string | null;
  /** Of a device that the host itself needs. */
  readonly protection?: Protection;
}

/** The device as it was before the agent bound it. */
export function asUnbound<Device extends PciDevice & { readonly original?: OriginalState }>(device: Device): Device {
  return device.original ? { ...device, ...device.original } : device;
}

/** A VF, or what a VF of a card that speaks virtio is called. */
export function isVirtualFunction(device: { readonly deviceType: DeviceType }): boolean {
  return device.deviceType === 'type-VF' || device.deviceType === 'vdpa';
}

/** Bridges (class 06xx) are never handed out and do not make an IOMMU group unsafe. */
export function isBridge(device: { readonly classCode: string }): boolean {
  return device.classCode.startsWith('06');
}
