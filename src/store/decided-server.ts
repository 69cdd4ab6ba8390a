import type { Decision } from '../placement/decision.js';
import type { PreemptionPlan } from '../placement/preempt.js';
import type { FlavorSnapshot } from './entities/workload.entities.js';
import type { ExcludedHost, PlacementRequest } from '../placement/request.js';
import type { Fault } from './entities/workload.entities.js';

/** A placement that is written only when it has its place: its orchestrator waits for the answer. */
export interface NewPlacement {
  /** Its own in the project; null: none, the call cannot be repeated safely. */
  readonly key: string | null;
  /** Of what was asked for under the key. */
  readonly hash: string | null;
  readonly flavor: FlavorSnapshot | null;
}

/** A server that waits for a decision. */
export interface WaitingServer {
  readonly id: string;
  readonly name: string;
  readonly attempts: number;
  readonly request: PlacementRequest;
  readonly excludedHosts: readonly ExcludedHost[];
  /** `waiting`: it was decided on before, and there was no room. */
  readonly taskState: 'scheduling' | 'waiting';
  /** Of servers that were asked for in one call; null once these are decided on, and of a server that is alone. */
  readonly gang: { readonly id: string; readonly countMin: number } | null;
  /** Whether it waits when there is no room for it. */
  readonly waits: boolean;
  /** Its place in the order of servers: the lower goes first. See `queue.store.ts`. */
  readonly rank: number;
  /** For how long it has been in the queue. */
  readonly waitedMs: number;
  /** Of one that has no row yet. */
  readonly placement?: NewPlacement;
  /** Equal texts, equal requests but for names; worked out when left out. */
  readonly kind?: string;
}

/**
 * What becomes of a server that is turned down: it ends in ERROR, or waits, for a host that is kept for it if one is named, or
 * takes the place of others, which have to leave first.
 */
export type Fate =
  | { readonly kind: 'error' }
  | { readonly kind: 'wait'; readonly nominated: string | null }
  | { readonly kind: 'preempt'; readonly plan: PreemptionPlan };

export interface DecidedServer {
  readonly server: WaitingServer;
  readonly decision: Decision;
  /** Of one that is turned down; `error` when left out. */
  readonly fate?: Fate;
  /** Why, of one that is turned down for something else than its hosts. */
  readonly fault?: Fault;
}

/** What the ledger has to know of the settings. */
export interface QueueRules {
  /** So many servers wait at most. */
  readonly max: number;
  readonly ageingPerMinute: number;
}
