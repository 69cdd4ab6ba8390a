import { filterChain } from './filters/filters.js';
import type { Filter, FilterContext } from './filters/filter.js';
import { groupHostsOf } from './filters/server-group.filters.js';
import { Fits } from './fits.js';
import { Fork } from './fork.js';
import { fitHostAsNova } from './nova/fit-host.js';
import type { ExcludedHost, PlacementRequest } from './request.js';
import type { HostedServer, HostSnapshot, Snapshot } from './snapshot.js';

/** How many versions of a request are known at once; forgetting costs time, never truth. */
const VERSIONS_MAX = 512;

interface Version {
  readonly context: FilterContext;
  readonly fits: Fits;
}

/** Thrown when as many trials were made as there may be. */
export const SPENT = Symbol('trials spent');

/**
 * Tries hosts, one at a time. A host is judged by itself, whatever the others are; only a group that keeps together looks
 * at other hosts, and those that have members come along.
 */
export class Trials {
  /** How many hosts were looked at. */
  spent = 0;
  private readonly chain: readonly Filter[];
  private readonly versions = new Map<PlacementRequest, Version>();
  /** Of the request's group; a request has one at most. */
  private members: readonly HostSnapshot[] | null = null;

  /** @param one of each kind of host, for the case that a change matters to all of them */
  constructor(
    private readonly snapshot: Snapshot,
    private readonly kinds: readonly HostSnapshot[],
    private readonly excluded: readonly ExcludedHost[],
    private readonly max: number,
  ) {
    this.chain = filterChain(snapshot.policy.filters);
  }

  /** @returns the filter that turns the host down, null when it serves: what a decision would say, without telling why */
  turnedDownBy(host: HostSnapshot, request: PlacementRequest): string | null {
    this.count(1);
    const { context, fits } = this.versionOf(request);
    const groupHosts = groupHostsOf([...this.around(host, request), host], request);
    const judged = groupHosts === undefined ? context : { ...context, groupHosts };
    const filter = this.chain.find(({ passes }) => !passes(host, judged));
    if (filter) return filter.name;
    const { policy } = this.snapshot;
    const fit = policy.compat === 'nova' ? fitHostAsNova(host, request, policy) : fits.of(host);
    return fit.fits ? null : fit.filter;
  }

  /** A decision on the host, and on those without which it would be judged otherwise. @returns the name of where, or null */
  decide(host: HostSnapshot, request: PlacementRequest): string | null {
    const hosts = [...this.around(host, request), host].sort((a, b) => (a.name < b.name ? -1 : 1));
    this.count(hosts.length);
    const decision = new Fork({ hosts, policy: this.snapshot.policy }).decide(request, this.excluded);
    return decision.outcome === 'placed' ? decision.hostName : null;
  }

  /** Whether the last member of the request's group has left the host: then every host may serve. */
  freesGroup(host: HostSnapshot, { host: wishes }: PlacementRequest): boolean {
    const group = wishes?.group;
    if (group?.policy !== 'affinity' || host.servers.some(({ groupId }) => groupId === group.id)) return false;
    const members = this.hostsOf(group.id);
    return members.length === 1 && members[0]?.id === host.id;
  }

  private count(hosts: number): void {
    if (this.spent + hosts > this.max) throw SPENT;
    this.spent += hosts;
  }

  private versionOf(request: PlacementRequest): Version {
    const known = this.versions.get(request);
    if (known) return known;
    const { policy } = this.snapshot;
    const context = { request, policy, excluded: this.excluded };
    const version = { context, fits: new Fits(request, policy) };
    if (this.versions.size >= VERSIONS_MAX) this.versions.clear();
    this.versions.set(request, version);
    return version;
  }

  /** Other hosts without which a host would be judged otherwise. */
  private around(host: HostSnapshot, request: PlacementRequest): readonly HostSnapshot[] {
    const group = request.host?.group;
    if (group?.policy !== 'affinity') return [];
    const others = this.freesGroup(host, request) ? this.kinds : this.hostsOf(group.id);
    return others.filter(({ id }) => id !== host.id);
  }

  /** Those that have members of the group. */
  private hostsOf(group: string): readonly HostSnapshot[] {
    const isMember = ({ groupId }: HostedServer): boolean => groupId === group;
    this.members ??= this.snapshot.hosts.filter(({ servers }) => servers.some(isMember));
    return this.members;
  }
}
