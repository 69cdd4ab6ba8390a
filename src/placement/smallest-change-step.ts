import type { PlacementRequest } from './request.js';
import type { HostSnapshot } from './snapshot.js';

/** Stands for a filter that is not known: any step may change what it says. */
export const NOT_ASKED = '';

/** One thing that is done so that a request fits. */
export interface Step {
  readonly kind:
    | 'prefer_constraint'
    | 'drop_constraint'
    | 'weaker_numa_policy'
    | 'fewer_devices'
    | 'drop_wish'
    | 'free_server'
    | 'lift_hold'
    | 'enable_host'
    | 'add_host';
  /** Who can do it: the project, with its request; or an administrator, with hosts and servers. */
  readonly about: 'request' | 'fleet';
  /** `ask for 2 instead of 4 of alias gpu`. */
  readonly sentence: string;
  /** For programs, in the words of the wire. */
  readonly details: Readonly<Record<string, unknown>>;
  readonly cost: number;
}

/** A step as the search has it. */
interface Candidate extends Step {
  /** What it is a change of. Of several candidates for one slot the earlier one changes less. */
  readonly slot: string;
  /** Whether what this filter says may be another thing afterwards. False only where it surely is the same. */
  readonly touches: (filter: string) => boolean;
}

export interface Relaxation extends Candidate {
  readonly relax: (request: PlacementRequest) => PlacementRequest;
}

export interface HostChange extends Candidate {
  /** Id of the server that would lose its place. */
  readonly frees: string | null;
  /** Its priority; 0 when none does. */
  readonly priority: number;
  /** It is a member of the request's group: other hosts may serve afterwards. */
  readonly concernsAll: boolean;
  readonly change: (host: HostSnapshot) => HostSnapshot;
}
