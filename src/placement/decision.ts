import type { Address } from '../pci/address.js';
import type { Distance } from '../pci/topology.js';

/**
 * Why a host cannot serve: for people in `message`, for programs in `code` and `details`. These three are safe for every
 * project: counts and classes, no names, ids or addresses of what is not the request's own. So equal hosts get equal ones.
 */
export interface Reason {
  /** `noun.reason`, e.g. `device.all_in_use`, `host.silent`, `vcpus.not_enough`. */
  readonly code: string;
  readonly message: string;
  readonly details: Readonly<Record<string, unknown>>;
  /** The same with names, by host, for administrators only; left out where there are none to tell. */
  readonly names?: readonly NamedReason[];
}

/** A reason as it is on one host: the whole sentence with names in it, and what is named. */
export interface NamedReason {
  readonly host: string;
  readonly message: string;
  readonly details: Readonly<Record<string, unknown>>;
}

/** One filter's "no" to one or more hosts that get it for the same reasons. */
export interface HostRejection {
  readonly filter: string;
  /** Names, in name order; at most 20, `hostCount` has the full number. */
  readonly hosts: readonly string[];
  readonly hostCount: number;
  readonly reasons: readonly Reason[];
}

export interface ChosenDevice {
  readonly deviceId: string;
  readonly address: Address;
  /** null: a port asked for it, or it is a companion. */
  readonly alias: string | null;
  /** Name of the port that asked for it. */
  readonly port?: string;
  /** Index into the request's `devices`; null: a companion, taken because it shares the IOMMU group, slot or card of a requested device. */
  readonly requestIndex: number | null;
  /** Index of the alternative that it is, where the request's alternatives have utilities. */
  readonly alternative?: number;
  /** Only so many thousandths of the device. */
  readonly share?: number;
}

/** What became of one topology constraint of the request. */
export interface ConstraintOutcome {
  /** Index into the request's `constraints`. */
  readonly constraint: number;
  readonly met: boolean;
  /** The farthest that two of its devices are from each other; of a pair: that the two of one pair are. */
  readonly distance: Distance;
  /** Of a pair: which device is served by which, addresses. */
  readonly pairs?: readonly (readonly [Address, Address])[];
  /** Whether its devices reach each other through the root complex only, however near they are; null: not known. */
  readonly acsRedirect?: boolean | null;
}

export interface HostScore {
  readonly host: string;
  readonly total: number;
  /** Weigher → raw value, the value normalised to 0…1, and its weighted part of the total. */
  readonly parts: Readonly<
    Record<string, { readonly raw: number; readonly normalized: number; readonly weighted: number }>
  >;
}

/** The answer "there". */
export interface Placement {
  readonly outcome: 'placed';
  readonly hostId: string;
  readonly hostName: string;
  /** The host's generation that was decided on. */
  readonly generation: number;
  readonly devices: readonly ChosenDevice[];
  /** Host NUMA nodes of the guest's cells, in order; null when nothing asked for affinity. */
  readonly numaCells: readonly number[] | null;
  /** The farthest that two of the requested devices are from each other; null: fewer than two. */
  readonly spread?: Distance | null;
  readonly constraints?: readonly ConstraintOutcome[];
  /** false: on this host there may be better devices, they were not looked for to the end. */
  readonly isBest?: boolean;
  /** The winner first, then runners-up; at most 10. */
  readonly scores: readonly HostScore[];
  readonly rejections: readonly HostRejection[];
  readonly hostsConsidered: number;
}

/** The answer "nowhere", with why. */
export interface Rejection {
  readonly outcome: 'rejected';
  /** One sentence that names the commonest cause. */
  readonly message: string;
  readonly rejections: readonly HostRejection[];
  readonly hostsConsidered: number;
}

export type Decision = Placement | Rejection;
