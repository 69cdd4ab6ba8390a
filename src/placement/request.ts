import type { AliasSpec } from '../pci/alias/alias.js';
import type { NumaPolicy } from '../pci/alias/numa-policy.js';
import type { PortDemand } from '../pci/alias/port.js';

/** A port that asks for a device, by its name within the server. */
export interface PortRequest extends PortDemand {
  readonly name: string;
}

/** N devices that satisfy an alias, or the one of a port, under a NUMA policy. */
export interface DeviceRequest {
  /** null: a port asks. */
  readonly alias: string | null;
  readonly port?: PortRequest;
  readonly count: number;
  /** Any of them will do. */
  readonly specs: readonly AliasSpec[];
  readonly numaPolicy: NumaPolicy;
  /** Which version of the alias the specs are from, for people; decisions do not look at it. */
  readonly aliasVersion?: number | null;
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

/** A request in few words: `gpu:2`, `port eth0`. */
export function requestLabel({ alias, count, port }: DeviceRequest): string {
  return port ? `port ${port.name}` : `${alias}:${count}`;
}

/** What a sentence about devices goes on with: `of alias gpu`, `for port eth0 (direct, physnet1)`. */
export function requestPhrase({ alias, port }: DeviceRequest): string {
  if (!port) return `of alias ${alias}`;
  const network = port.physicalNetwork ?? 'an overlay network';
  const trust = port.trusted === null ? '' : port.trusted ? ', trusted' : ', not trusted';
  return `for port ${port.name} (${port.vnicType}, ${network}${trust})`;
}
