import { applyPlacement, withoutServer } from './apply-placement.js';
import { arrived } from './capacity.js';
import type { Placement } from './decision.js';
import type { Worth } from './defragment-goal.js';
import { Fork } from './fork.js';
import { place } from './place.js';
import type { PlacementRequest } from './request.js';
import type { HostedServer, HostSnapshot, Snapshot } from './snapshot.js';

/** A server goes from one host to another. Both have its devices while it does: the new ones are had before the old ones are given back. */
export interface Move {
  readonly serverId: string;
  readonly serverName: string;
  readonly fromId: string;
  readonly from: string;
  readonly toId: string;
  readonly to: string;
  /** Addresses on the host that it leaves. */
  readonly givesBack: readonly string[];
  /** Addresses on the host that it comes to. */
  readonly takes: readonly string[];
  readonly memoryMb: number;
}

/** Why servers stay where they are. */
export type StayReason = 'not_settled' | 'kept' | 'request_unknown' | 'affinity';

export interface MoveRules {
  /** What each server asked for: without that it cannot be placed again. */
  readonly requests: ReadonlyMap<string, PlacementRequest>;
  /** Ids of servers that must not be moved. */
  readonly keep: ReadonlySet<string>;
  /** How many hosts may be judged and moves decided; the search stops there. */
  readonly trialsMax: number;
}

/** How many hosts one server is tried on, best first. */
const TARGETS_MAX = 6;
/** How many servers are made to give way for another, one at a time. */
const WAYS_MAX = 64;

/** Where servers are moved about on a fork, with a way back. */
export class Yard {
  readonly fork: Fork;
  readonly moves: Move[] = [];
  /** What all hosts together are worth. */
  total: number;
  trials = 0;
  private readonly log: HostSnapshot[] = [];
  private readonly wantedNear: ReadonlySet<string>;
  private readonly shunnedBy: ReadonlyMap<string, ReadonlySet<string>>;

  constructor(
    snapshot: Snapshot,
    readonly worth: Worth,
    readonly rules: MoveRules,
  ) {
    this.fork = new Fork(snapshot);
    this.total = snapshot.hosts.reduce((sum, host) => sum + worth.of(host), 0);
    const wishes = [...rules.requests].flatMap(([id, { host }]) => (host ? [{ id, host }] : []));
    this.wantedNear = new Set(wishes.flatMap(({ host }) => host.sameHost ?? []));
    const shunned = new Map<string, Set<string>>();
    for (const { id, host } of wishes) {
      for (const other of host.differentHost ?? []) shunned.set(other, (shunned.get(other) ?? new Set()).add(id));
    }
    this.shunnedBy = shunned;
  }

  get isSpent(): boolean {
    return this.trials >= this.rules.trialsMax;
  }

  /** Why a server must not be moved; null: it may be. */
  staysFor({ id, settled }: HostedServer): StayReason | null {
    if (!settled) return 'not_settled';
    if (this.rules.keep.has(id)) return 'kept';
    const request = this.rules.requests.get(id);
    if (!request) return 'request_unknown';
    const isBound = (request.host?.sameHost ?? []).length > 0 || request.host?.group?.policy === 'affinity';
    return isBound || this.wantedNear.has(id) ? 'affinity' : null;
  }

  /** Those that may be moved, and have not been. */
  movable(host: HostSnapshot): HostedServer[] {
    const moved = new Set(this.moves.map(({ serverId }) => serverId));
    return host.servers.filter((server) => !moved.has(server.id) && this.staysFor(server) === null);
  }

  /** What a host would be worth without some of its servers. */
  worthWithout(host: HostSnapshot, servers: readonly HostedServer[]): number {
    this.trials++;
    return this.worth.of(servers.reduce((rest, { id }) => withoutServer(rest, id), host));
  }

  /** A place to come {@link back} to. */
  get mark(): { readonly log: number; readonly moves: number } {
    return { log: this.log.length, moves: this.moves.length };
  }

  back({ log, moves }: Yard['mark']): void {
    for (const host of this.log.splice(log).reverse()) this.set(host);
    this.moves.length = moves;
  }

  /**
   * Moves a server away, to where that costs the goal least; where there is no place, a server of another host gives way.
   *
   * @param closed hosts that it must not go to
   * @returns false, and nothing is changed, when there is no way
   */
  moveAway(server: HostedServer, from: HostSnapshot, closed: ReadonlySet<string>, mayDisplace = true): boolean {
    const request = this.rules.requests.get(server.id) as PlacementRequest;
    const shut = new Set([...closed, from.id, ...this.hostsShut(server.id, request)]);
    const targets = this.targetsOf(request, shut);
    let best: { readonly host: HostSnapshot; readonly loss: number } | null = null;
    for (const host of targets) {
      const then = this.withServer(host, server, request);
      if (!then) continue;
      const loss = this.worth.of(host) - this.worth.of(then);
      if (!best || loss < best.loss) best = { host, loss };
      if (loss <= 0) break;
    }
    if (best) return this.move(server, from, best.host);
    return mayDisplace && this.displace(server, request, from, shut);
  }

  /** Carries a move out, if the host has what the server asks for. */
  move(server: HostedServer, from: HostSnapshot, to: HostSnapshot): boolean {
    const then = this.withServer(to, server, this.rules.requests.get(server.id) as PlacementRequest);
    if (!then) return false;
    this.moves.push({
      ...{ serverId: server.id, serverName: server.name, memoryMb: server.memoryMb },
      ...{ fromId: from.id, from: from.name, toId: to.id, to: to.name },
      givesBack: addressesOf(from, server.id),
      takes: addressesOf(then, server.id),
    });
    this.put(then);
    this.put(withoutServer(this.fork.get(from.id) as HostSnapshot, server.id));
    return true;
  }

  /** The best hosts as the scheduler ranks them; not all of them have to fit. */
  private targetsOf(request: PlacementRequest, shut: ReadonlySet<string>): HostSnapshot[] {
    this.trials++;
    const decision = this.fork.decide(request);
    if (decision.outcome === 'rejected') return [];
    const open = this.rankedIn(decision, shut);
    if (open.length > 0) return open;
    // only now: what is judged is not remembered where hosts are excluded
    const excluded = [...shut].map((hostId) => ({ hostId, reason: 'the server must not go there' }));
    const elsewhere = this.fork.decide(request, excluded);
    return elsewhere.outcome === 'rejected' ? [] : this.rankedIn(elsewhere, shut);
  }

  private rankedIn({ scores }: Placement, shut: ReadonlySet<string>): HostSnapshot[] {
    const byName = new Map(scores.map(({ host }, at) => [host, at]));
    const hosts = this.fork.hosts.filter(({ id, name }) => byName.has(name) && !shut.has(id));
    return hosts.sort((a, b) => (byName.get(a.name) as number) - (byName.get(b.name) as number)).slice(0, TARGETS_MAX);
  }

  private withServer(host: HostSnapshot, { id, name }: HostedServer, request: PlacementRequest): HostSnapshot | null {
    this.trials++;
    const decision = place({ hosts: [host], policy: this.fork.policy }, request, []);
    if (decision.outcome === 'rejected') return null;
    return arrived(applyPlacement(host, decision, request, { serverId: id, serverName: name }), id);
  }

  /** Hosts of servers that must not have it near, or that it must not be near. */
  private hostsShut(serverId: string, { host }: PlacementRequest): string[] {
    const shunned = new Set([...(host?.differentHost ?? []), ...(this.shunnedBy.get(serverId) ?? [])]);
    const group = host?.group?.policy === 'anti-affinity' ? host.group : null;
    if (shunned.size === 0 && group === null) return [];
    const isFull = ({ servers }: HostSnapshot): boolean =>
      group !== null && servers.filter(({ groupId }) => groupId === group.id).length >= group.maxServerPerHost;
    return this.fork.hosts
      .filter((other) => isFull(other) || other.servers.some(({ id }) => shunned.has(id)))
      .map(({ id }) => id);
  }

  private displace(
    server: HostedServer,
    request: PlacementRequest,
    from: HostSnapshot,
    shut: ReadonlySet<string>,
  ): boolean {
    let ways = 0;
    for (const host of [...this.fork.hosts]) {
      if (shut.has(host.id)) continue;
      for (const other of this.movable(host)) {
        if (ways++ >= WAYS_MAX || this.isSpent) return false;
        if (!this.withServer(withoutServer(host, other.id), server, request)) continue;
        const start = this.mark;
        const isAway = this.moveAway(other, host, new Set([from.id]), false);
        if (isAway && this.move(server, from, this.fork.get(host.id) as HostSnapshot)) return true;
        this.back(start);
      }
    }
    return false;
  }

  private put(host: HostSnapshot): void {
    this.log.push(this.fork.get(host.id) as HostSnapshot);
    this.set(host);
  }

  private set(host: HostSnapshot): void {
    const before = this.fork.get(host.id) as HostSnapshot;
    this.total += this.worth.of(host) - this.worth.of(before);
    this.fork.put(host);
  }
}

function addressesOf(host: HostSnapshot, serverId: string): string[] {
  return host.devices.filter(({ owner }) => owner?.serverId === serverId).map(({ address }) => address);
}
