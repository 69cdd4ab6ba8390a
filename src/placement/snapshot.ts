import type { Address } from '../pci/address.js';
import type { DeviceAttributes } from '../pci/device-attributes.js';
import type { DeviceGroups } from '../pci/device-groups.js';
import type { DeviceType, Tags } from '../pci/device.js';
import type { Dialect } from '../pci/dialect.js';
import type { DeviceStatus } from '../pci/device-state.js';
import type { IsolationUnit } from '../pci/iommu.js';

export interface Owner {
  readonly serverId: string;
  readonly serverName: string;
}

/** An offered device as a decision sees it. */
export interface SnapshotDevice {
  readonly id: string;
  readonly address: Address;
  readonly vendorId: string;
  readonly productId: string;
  readonly deviceType: DeviceType;
  readonly parentAddress: Address | null;
  readonly numaNode: number | null;
  readonly tags: Tags;
  readonly resourceClass: string | null;
  readonly traits: readonly string[];
  /** What only selectors look at. */
  readonly attributes: DeviceAttributes;
  readonly status: DeviceStatus;
  readonly owner: Owner | null;
  /** Not reported any more; kept because it is in use. */
  readonly missing: boolean;
}

export interface NumaCell {
  readonly id: number;
  readonly cpus: number;
  readonly memoryMb: number;
  /** null when the host does not say. */
  readonly socket: number | null;
}

export interface Resources {
  readonly vcpus: number;
  readonly memoryMb: number;
  readonly diskGb: number;
}

/** One host, at one moment. Never changed: a decision makes a new one. */
export interface HostSnapshot {
  readonly id: string;
  readonly name: string;
  /** Counts the host's changes; a claim names the one it was decided on. */
  readonly generation: number;
  readonly status: 'up' | 'down';
  readonly enabled: boolean;
  readonly disabledReason: string | null;
  /** Its agent only looks: nothing can be placed there. */
  readonly readOnly: boolean;
  readonly numaCells: readonly NumaCell[];
  readonly capacity: Resources;
  /** Claimed and allocated, by all servers. */
  readonly used: Resources;
  /** The offered ones, in address order. */
  readonly devices: readonly SnapshotDevice[];
  /** What can only be handed over together, by device address. */
  readonly units: ReadonlyMap<Address, IsolationUnit>;
  /** What is one slot or one card. */
  readonly groups: DeviceGroups;
}

/** How hosts are judged. */
export interface PlacementPolicy {
  /** Whose rules choose devices. */
  readonly compat: Dialect;
  /** Names in order; see `filters/filters.ts`. */
  readonly filters: readonly string[];
  /** Weigher name → multiplier; one that is not named has its default. */
  readonly weigherMultipliers: Readonly<Record<string, number>>;
  readonly cpuAllocationRatio: number;
  readonly ramAllocationRatio: number;
  readonly diskAllocationRatio: number;
}

/** Everything a decision may look at. */
export interface Snapshot {
  /** In name order. */
  readonly hosts: readonly HostSnapshot[];
  readonly policy: PlacementPolicy;
}
