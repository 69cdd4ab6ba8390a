import { applyPlacement } from '../placement/apply-placement.js';
import type { Decision, Rejection } from '../placement/decision.js';
import { place } from '../placement/place.js';
import { placeTogether } from '../placement/place-together.js';
import { planPreemption, type PreemptionPlan } from '../placement/preempt.js';
import type { ExcludedHost } from '../placement/request.js';
import type { PlacementPolicy, Snapshot } from '../placement/snapshot.js';
import type { DecidedServer, Fate, WaitingServer } from '../store/decided-server.js';
import type { Nomination } from '../store/queue.store.js';
import type { SnapshotCache } from '../store/snapshot.store.js';
import type { DecisionRecorder } from './decision-recorder.js';

export interface BatchRules {
  readonly policy: PlacementPolicy;
  readonly preemption: boolean;
  /** How long smaller servers may pass the first in the queue. */
  readonly patienceMs: number;
}

const SEARCHES_MAX = 10_000;
const KEPT = 'it is kept for a server that is ahead in the queue';

/**
 * Decides the servers of one batch in their order, each on the hosts as those before it leave them, and says what becomes of those
 * that are turned down.
 *
 * A host that is kept for a waiting server is left out for all others. A host is kept for one that others are leaving for; and for
 * one server at a time that has waited for longer than the patience: the host where the fewest have to go before it fits.
 */
export class BatchDecisions {
  /** Host id → id of the server that it is kept for. */
  private readonly keptFor: Map<string, string>;
  private readonly nominations: ReadonlyMap<string, Nomination>;
  /** What fits nowhere, by kind of request; a placement of the same batch makes no room for it. */
  private readonly refused = new Map<string, Rejection>();
  /** Kinds of requests that would not fit whoever left. */
  private readonly hopeless = new Set<string>();

  constructor(
    private readonly cache: SnapshotCache,
    private readonly recorder: DecisionRecorder,
    private readonly rules: BatchRules,
    nominations: readonly Nomination[],
    /** Server id → how long it has to have waited before a host to keep is looked for again; kept from batch to batch. */
    private readonly nextSearchMs: Map<string, number>,
  ) {
    this.nominations = new Map(nominations.map((nomination) => [nomination.serverId, nomination]));
    this.keptFor = new Map(nominations.map(({ hostId, serverId }) => [hostId, serverId]));
  }

  /** Whoever is placed is put ahead into the cache. */
  decide(servers: readonly WaitingServer[]): DecidedServer[] {
    return gangsOf(servers).flatMap((gang) => this.decideGang(gang));
  }

  private decideGang(servers: readonly WaitingServer[]): DecidedServer[] {
    const [first] = servers;
    // who was deleted meanwhile is not missed
    if (first?.gang) return this.decideTogether(servers, Math.min(first.gang.countMin, servers.length));
    return servers.map((server) => this.decideAlone(server));
  }

  private decideTogether(servers: readonly WaitingServer[], countMin: number): DecidedServer[] {
    const asked = servers.map((server) => this.withKept(server));
    const members = asked.map(({ id, name, request, excludedHosts }) => ({
      owner: { serverId: id, serverName: name },
      request,
      excluded: excludedHosts,
    }));
    const decisions = placeTogether(this.snapshot(), members, countMin);
    const decided = asked.map((server, index) => ({ server, decision: decisions[index] as Decision }));
    this.recorder.answered({ decided, together: countMin, policy: this.rules.policy });
    return decided.map(({ server, decision }) => {
      this.putAhead(server, decision);
      return { server, decision, ...(decision.outcome === 'rejected' && { fate: waitOrEnd(server) }) };
    });
  }

  private decideAlone(waiting: WaitingServer): DecidedServer {
    const server = this.withKept(waiting);
    const decision = this.answerFor(server);
    this.putAhead(server, decision);
    if (decision.outcome === 'placed') return { server, decision };
    const fate = this.fateOf(server);
    const kept = keptHost(fate);
    if (kept !== null) this.keptFor.set(kept, server.id);
    return { server, decision, fate };
  }

  private answerFor(server: WaitingServer): Decision {
    const kind = kindOf(server);
    const known = this.refused.get(kind);
    if (known && (server.placement || server.taskState === 'waiting')) return known;
    const decision = place(this.snapshot(), server.request, server.excludedHosts);
    this.recorder.answered({ decided: [{ server, decision }], together: null, policy: this.rules.policy });
    if (decision.outcome === 'rejected' && !server.request.host?.sameHost) this.refused.set(kind, decision);
    return decision;
  }

  private fateOf(server: WaitingServer): Fate {
    const own = this.nominations.get(server.id);
    // others are on their way out for it: it would be wrong to send away more
    if (own?.releasing) return { kind: 'wait', nominated: own.hostId };
    const plan = this.rules.preemption ? this.planFor(server) : null;
    if (plan) return { kind: 'preempt', plan };
    if (!server.waits) return { kind: 'error' };
    return { kind: 'wait', nominated: this.hostToKeep(server) };
  }

  private planFor(server: WaitingServer): PreemptionPlan | null {
    // its orchestrator waits for the answer, and nobody waits for others to leave
    if (server.placement) return null;
    const kind = kindOf(server);
    if (this.hopeless.has(kind)) return null;
    const plan = planPreemption(this.snapshot(), server.request, server.excludedHosts);
    if (!plan) this.hopeless.add(kind);
    return plan;
  }

  private hostToKeep({ id, request, excludedHosts, waitedMs }: WaitingServer): string | null {
    const { patienceMs, policy } = this.rules;
    if (waitedMs < patienceMs || [...this.keptFor.values()].some((other) => other !== id)) return null;
    const own = this.cache.get(this.nominations.get(id)?.hostId ?? '');
    if (own && planPreemption({ hosts: [own], policy }, request, excludedHosts, anybody)) return own.id;
    // the search is long where the fleet is large: it is not made at each change of a host
    if (waitedMs < (this.nextSearchMs.get(id) ?? 0)) return null;
    if (this.nextSearchMs.size >= SEARCHES_MAX) this.nextSearchMs.clear();
    this.nextSearchMs.set(id, waitedMs + patienceMs);
    return planPreemption(this.snapshot(), request, excludedHosts, anybody)?.hostId ?? null;
  }

  /** The server with the hosts left out that are kept for others. */
  private withKept(server: WaitingServer): WaitingServer {
    const kept: ExcludedHost[] = [...this.keptFor]
      .filter(([, serverId]) => serverId !== server.id)
      .map(([hostId]) => ({ hostId, reason: KEPT, kept: true }));
    return kept.length === 0 ? server : { ...server, excludedHosts: [...server.excludedHosts, ...kept] };
  }

  private putAhead({ id, name, request }: WaitingServer, decision: Decision): void {
    if (decision.outcome === 'rejected') return;
    const host = this.cache.get(decision.hostId);
    if (host) this.cache.putAhead(applyPlacement(host, decision, request, { serverId: id, serverName: name }));
  }

  private snapshot(): Snapshot {
    return { hosts: this.cache.list(), policy: this.rules.policy };
  }
}

/** Requests of one kind get the same answer from the same hosts. */
function kindOf({ request, excludedHosts, kind }: WaitingServer): string {
  if (kind !== undefined && excludedHosts.length === 0) return kind;
  return JSON.stringify([{ ...request, serverName: '' }, excludedHosts]);
}

/** Servers of one call follow each other; a server that is alone is a list of one. */
function gangsOf(servers: readonly WaitingServer[]): WaitingServer[][] {
  const gangs: WaitingServer[][] = [];
  for (const server of servers) {
    const last = gangs.at(-1);
    if (last && server.gang && last[0]?.gang?.id === server.gang.id) last.push(server);
    else gangs.push([server]);
  }
  return gangs;
}

const anybody = (): boolean => true;

function waitOrEnd({ waits }: WaitingServer): Fate {
  return waits ? { kind: 'wait', nominated: null } : { kind: 'error' };
}

function keptHost(fate: Fate): string | null {
  if (fate.kind === 'preempt') return fate.plan.hostId;
  return fate.kind === 'wait' ? fate.nominated : null;
}
