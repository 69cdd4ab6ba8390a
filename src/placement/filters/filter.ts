import type { Reason } from '../decision.js';
import type { ExcludedHost, PlacementRequest } from '../request.js';
import type { HostSnapshot, PlacementPolicy } from '../snapshot.js';

/** What hosts are judged by: equal for all servers of one flavor, so that a judgement can be remembered. */
export type JudgedRequest = Omit<PlacementRequest, 'serverName'>;

export interface FilterContext {
  readonly request: JudgedRequest;
  readonly policy: PlacementPolicy;
  readonly excluded: readonly ExcludedHost[];
  /** Ids of the hosts that an affinity group keeps the server to; see `groupHostsOf`. */
  readonly groupHosts?: readonly string[] | undefined;
}

/** May this host serve? `passes` is asked of every host, `explain` only of hosts that were turned down. */
export interface Filter {
  /** Nova's name, as it stands in `enabled_filters`. */
  readonly name: string;
  readonly passes: (host: HostSnapshot, context: FilterContext) => boolean;
  /** Why not: what was wanted and what was found. Nothing exactly when the host passes; names nobody else's servers. */
  readonly explain: (host: HostSnapshot, context: FilterContext) => readonly Reason[];
}
