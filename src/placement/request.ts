import type { AliasSpec, NumaPolicy } from '../pci/alias.js';

/** N devices that satisfy an alias, under a NUMA policy. */
export interface DeviceRequest {
  readonly alias: string;
  readonly count: number;
  /** Any of them will do. */
  readonly specs: readonly AliasSpec[];
  readonly numaPolicy: NumaPolicy;
}

/** One NUMA node of the guest (`hw:numa_nodes`). */
export interface GuestCell {
  readonly vcpus: number;
  readonly memoryMb: number;
}

/** A host that this server must not be tried on again. */
export interface ExcludedHost {
  readonly hostId: string;
  readonly reason: string;
}

/** All that a server asks for. Plain data: it is kept with the server and can be decided again. */
export interface PlacementRequest {
  readonly serverName: string;
  readonly projectId: string;
  readonly vcpus: number;
  readonly memoryMb: number;
  readonly diskGb: number;
  readonly devices: readonly DeviceRequest[];
  /** null: the guest has no NUMA topology of its own. */
  readonly guestCells: readonly GuestCell[] | null;
}

export const DEVICE_REQUESTS_MAX = 32;
export const DEVICES_PER_SERVER_MAX = 256;
