import type { JudgedRequest } from '../filters/filter.js';
import type { PlacementPolicyName } from '../placement-policies.js';
import type { HostSnapshot, PlacementPolicy } from '../snapshot.js';

/** How good is this host? More is better; the absolute size does not matter, values are normalised over the hosts. */
export interface Weigher {
  /** Nova's name, where it has one. */
  readonly name: string;
  readonly defaultMultiplier: number;
  /** Under which key the metadata of a host's aggregates may say another multiplier for it: `ram_weight_multiplier`. */
  readonly metadataKey?: string;
  /** Its multiplier is taken away instead of added, wherever it is said: a greater one keeps away more. */
  readonly subtracts?: boolean;
  /** The placement policies that it is part of; all of them, when left out. */
  readonly policies?: readonly PlacementPolicyName[];
  /** Whether it has something to say; always, when left out. */
  readonly concerns?: (request: JudgedRequest) => boolean;
  readonly raw: (host: HostSnapshot, request: JudgedRequest, policy: PlacementPolicy) => number;
}
