import type { AliasSpec } from '../pci/alias/alias.js';
import type { NumaPolicy } from '../pci/alias/numa-policy.js';
import type { PortDemand } from '../pci/alias/port.js';
import type { Level } from '../pci/topology.js';

/** A port that asks for a device, by its name within the server. */
export interface PortRequest extends PortDemand {
  readonly name: string;
}

/** N devices that satisfy an alias, or the one of a port, under a NUMA policy. */
export interface DeviceRequest {
  /** null: a port asks. */
  readonly alias: string | null;
  readonly port?: PortRequest;
  /** So many have to be there. */
  readonly count: number;
  /** So many are taken where there are as many (`gpu:1..4`); not less than `count`, which it is when left out. */
  readonly countMax?: number;
  /** Thousandths of one device instead of whole ones (1 to 999); `count` is 1 then. */
  readonly share?: number;
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
  /** It was not tried there: the host is kept for another server. */
  readonly kept?: boolean;
}

/** What functions can have in common, or apart: the neighbourhoods of the topology, the PF of VFs, a slot, a card. */
export const TOPOLOGY_ATTRIBUTES = ['switch', 'root_port', 'pcie_root', 'numa_node', 'pf', 'slot', 'card'] as const;
export type TopologyAttribute = (typeof TOPOLOGY_ATTRIBUTES)[number];

/**
 * How the devices of requests have to lie to each other.
 *
 * - `within`: all of them in one neighbourhood of the level.
 * - `same`: all of them have the same value of the attribute. A device that has none (a PF has no PF) never fits.
 * - `distinct`: no two of them have the same value; devices that have none fit.
 * - `pair`: each device of the first request has one of the second in its neighbourhood of the level, and one of the second
 *   serves at most `per` of the first: one NIC for `per` GPUs.
 */
export type TopologyRule =
  | { readonly kind: 'within'; readonly level: Level }
  | { readonly kind: 'same' | 'distinct'; readonly attribute: TopologyAttribute }
  | { readonly kind: 'pair'; readonly level: Level; readonly per: number };

export type TopologyConstraint = TopologyRule & {
  /** Indexes into the request's `devices`; exactly two, the many first, for a pair. */
  readonly requests: readonly number[];
  /** null: has to be met. 1 to 100: is preferred, and counts so much against others that are. */
  readonly weight: number | null;
};

export const CONSTRAINTS_MAX = 16;
/** Of those that are preferred: every set of them is tried. */
export const SOFT_CONSTRAINTS_MAX = 6;

/** Nova's server group as a decision needs it. */
export interface ServerGroupWish {
  readonly id: string;
  readonly name: string;
  readonly policy: 'affinity' | 'anti-affinity' | 'soft-affinity' | 'soft-anti-affinity';
  /** Of anti-affinity: how many members one host may have (Nova's rule `max_server_per_host`). */
  readonly maxServerPerHost: number;
}

/** What a server asks of its host beside room and devices; what is left out is not asked. */
export interface HostWishes {
  /** The name of the only host that will do. */
  readonly requestedHost?: string;
  readonly availabilityZone?: string;
  /** Ids of servers (Nova's hints `same_host` and `different_host`). */
  readonly sameHost?: readonly string[];
  readonly differentHost?: readonly string[];
  readonly group?: ServerGroupWish;
  /** Of the host (`trait:NAME=required`, `=forbidden`). */
  readonly requiredTraits?: readonly string[];
  readonly forbiddenTraits?: readonly string[];
  /** The flavor's, as they are: what `AggregateInstanceExtraSpecsFilter` and `ComputeCapabilitiesFilter` look at. */
  readonly extraSpecs?: Readonly<Record<string, string>>;
  /** What `ImagePropertiesFilter` looks at (`hw_architecture`, `img_hv_type`, …). */
  readonly imageProperties?: Readonly<Record<string, string>>;
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
  /** `dedicated`: each vCPU has a host CPU of its own (`hw:cpu_policy`); shared when left out. */
  readonly cpuPolicy?: 'shared' | 'dedicated';
  readonly constraints?: readonly TopologyConstraint[];
  readonly host?: HostWishes;
  /** The higher, the more important; 0 when left out. */
  readonly priority?: number;
  /** Whether it may be stopped for a more important one. */
  readonly preemptible?: boolean;
  /** Id of the reservation that its devices come from; it gets no others. */
  readonly reservation?: string;
}

export const DEVICE_REQUESTS_MAX = 32;
export const DEVICES_PER_SERVER_MAX = 256;

/** A request in few words: `gpu:2`, `port eth0`. */
export function requestLabel({ alias, count, countMax = count, port }: DeviceRequest): string {
  if (port) return `port ${port.name}`;
  return countMax > count ? `${alias}:${count}..${countMax}` : `${alias}:${count}`;
}

/** What a sentence about devices goes on with: `of alias gpu`, `for port eth0 (direct, physnet1)`. */
export function requestPhrase({ alias, port }: DeviceRequest): string {
  if (!port) return `of alias ${alias}`;
  const network = port.physicalNetwork ?? 'an overlay network';
  const trust = port.trusted === null ? '' : port.trusted ? ', trusted' : ', not trusted';
  return `for port ${port.name} (${port.vnicType}, ${network}${trust})`;
}
