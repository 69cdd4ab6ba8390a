import type { Address } from '../pci/address.js';
import type { DeviceAttributes } from '../pci/device-attributes.js';
import type { DeviceGroups } from '../pci/device-groups.js';
import type { DeviceType, Tags } from '../pci/device.js';
import type { Dialect } from '../pci/dialect.js';
import type { DeviceStatus } from '../pci/device-state.js';
import type { IsolationUnit } from '../pci/iommu.js';
import type { Topology } from '../pci/topology.js';
import type { WithheldDevices } from '../pci/withheld.js';
import type { PlacementPolicies } from './placement-policies.js';
import type { RequestMix } from './request-mix.js';
import type { GuestCell } from './request.js';

export interface Owner {
  readonly serverId: string;
  readonly serverName: string;
}

/** That a device is kept for whoever has a reservation. */
export interface DeviceReservation {
  readonly id: string;
  /** For administrators. */
  readonly name: string;
  readonly projectId: string;
  /** When its window ends, ISO 8601 in UTC. Only told: a decision has no clock. */
  readonly until: string;
  /** Whether its window has begun: before that nobody can have the device. */
  readonly isOpen: boolean;
  /** It is not reserved itself, its PF or a VF of it is: nobody can have it. */
  readonly isRelative?: boolean;
  /** It is not reserved at all; who comes with a reservation cannot have it. */
  readonly isOutside?: boolean;
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
  /** See `PciDevice`. */
  readonly acsRedirect?: boolean | null;
  readonly tags: Tags;
  readonly resourceClass: string | null;
  readonly traits: readonly string[];
  /** What only selectors look at. */
  readonly attributes: DeviceAttributes;
  readonly status: DeviceStatus;
  readonly owner: Owner | null;
  /** Not reported any more; kept because it is in use. */
  readonly missing: boolean;
  /** Thousandths that are given out as shares; such a device is nobody's, and cannot be had whole. */
  readonly sharesUsed?: number;
  /** Only who names the reservation can have it; left out of most devices. */
  readonly reservation?: DeviceReservation;
}

export interface NumaCell {
  readonly id: number;
  readonly cpus: number;
  readonly memoryMb: number;
  /** null when the host does not say. */
  readonly socket: number | null;
}

/** So many thousandths of a device. */
export interface HeldShare {
  readonly address: Address;
  readonly share: number;
}

/** A server that lives on a host, or is on its way there. */
export interface HostedServer {
  readonly id: string;
  readonly name: string;
  readonly projectId: string;
  readonly vcpus: number;
  readonly memoryMb: number;
  readonly diskGb: number;
  /** Host NUMA nodes of its cells (of a dedicated server without, the one it is on), in order, and the cells themselves; null when it has none. */
  readonly numaCells: readonly number[] | null;
  readonly guestCells: readonly GuestCell[] | null;
  /** What it has of devices that it shares with others. */
  readonly shares?: readonly HeldShare[];
  readonly cpuPolicy: 'shared' | 'dedicated';
  /** Of a server group; null: of none. */
  readonly groupId: string | null;
  /** The higher, the more important. */
  readonly priority: number;
  /** Whether it may be stopped for a more important one. */
  readonly preemptible: boolean;
  /** Whether it is at rest there: not on its way, not being released. Only such a server can be moved or preempted. */
  readonly settled: boolean;
}

/** Nova's host aggregate: hosts that an operator put together, with what filters and weighers are told about them. */
export interface HostAggregate {
  readonly name: string;
  readonly metadata: Readonly<Record<string, string>>;
}

/** What the hypervisor of a host is and can (`img_hv_type`, `capabilities:…`). */
export interface HostCapabilities {
  /** `x86_64`; null when the host does not say. */
  readonly architecture: string | null;
  readonly hypervisorType: string | null;
  readonly hypervisorVersion: number | null;
  readonly cpuFeatures: readonly string[];
}

/** Virtual for physical: what one host says instead of the settings. */
export interface AllocationRatios {
  readonly cpu: number;
  readonly ram: number;
  readonly disk: number;
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
  /** Kept for the host itself: never given out. */
  readonly reserved: Resources;
  /** null: as the settings say. */
  readonly allocationRatios: AllocationRatios | null;
  /** Claimed and allocated, by all servers. */
  readonly used: Resources;
  /** In id order. */
  readonly servers: readonly HostedServer[];
  /** Of the aggregate with a zone that it is in, else the default one. */
  readonly availabilityZone: string;
  /** In name order. */
  readonly aggregates: readonly HostAggregate[];
  readonly traits: readonly string[];
  readonly capabilities: HostCapabilities;
  /** Builds that failed here one after another, since the last that did not. */
  readonly failedBuilds: number;
  /** The offered ones, in address order. */
  readonly devices: readonly SnapshotDevice[];
  /** What it keeps back of what its device_spec is about: only told, never chosen. Left out where there is nothing. */
  readonly withheld?: readonly WithheldDevices[];
  /** What can only be handed over together, by device address. */
  readonly units: ReadonlyMap<Address, IsolationUnit>;
  /** What is one slot or one card. */
  readonly groups: DeviceGroups;
  /** How far its devices are from each other. */
  readonly topology: Topology;
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
  /** What `NumInstancesFilter` and `IoOpsFilter` let a host have at one time; 50 and 8 when left out. */
  readonly maxInstancesPerHost?: number;
  readonly maxIoOpsPerHost?: number;
  /** Which weighers choose hosts; `spread` for all when left out. */
  readonly placementPolicies?: PlacementPolicies;
  /**
   * Which of several hosts with equal totals is taken: whole numbers from 0 on have the search begin at different places of the list.
   * Schedulers with different numbers do not all want the same one. 0, or left out: the first by name.
   */
  readonly tieSeed?: number;
  /** What is typically asked for; policies that look at it find all hosts equal when it is left out. */
  readonly mix?: RequestMix;
}

/** Everything a decision may look at. */
export interface Snapshot {
  /** In name order. */
  readonly hosts: readonly HostSnapshot[];
  readonly policy: PlacementPolicy;
}
