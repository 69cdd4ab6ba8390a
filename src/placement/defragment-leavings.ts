import type { Potential } from './defragment-goal.js';
import type { Yard } from './defragment-moves.js';
import type { HostedServer, HostSnapshot } from './snapshot.js';

/** Servers of one host whose leaving makes it worth more. */
export interface LeavingSet {
  readonly host: HostSnapshot;
  readonly servers: readonly HostedServer[];
  readonly gain: number;
  /** What they hold together. */
  readonly devices: number;
  readonly memoryMb: number;
}

export interface HostLeavings {
  readonly sets: readonly LeavingSet[];
  readonly potential: Potential;
}

/** So many servers of a host are tried in pairs. */
const PAIRED_MAX = 16;
/** Less than this is no gain: sums of fractions differ by their order. */
const TINY = 1e-9;

/**
 * What is won when servers leave a host: each alone, each two, and of all of them as few as are needed for any gain, and
 * for the whole. Remembered as long as the host is as it is.
 */
export class Leavings {
  private readonly known = new WeakMap<HostSnapshot, HostLeavings>();

  constructor(private readonly yard: Yard) {}

  of(host: HostSnapshot): HostLeavings {
    const known = this.known.get(host);
    if (known) return known;
    const answer = this.find(host);
    this.known.set(host, answer);
    return answer;
  }

  private find(host: HostSnapshot): HostLeavings {
    const movable = this.yard.movable(host);
    const all = this.setOf(host, movable);
    if (all.gain <= TINY) return { sets: [], potential: [0, 0, 0] };
    const singles = movable.map((server) => this.setOf(host, [server]));
    const one = Math.max(0, ...singles.map(({ gain }) => gain));
    const isPaired = movable.length <= PAIRED_MAX;
    const pairs = isPaired ? this.pairsOf(host, movable) : [];
    const two = isPaired ? Math.max(one, ...pairs.map(({ gain }) => gain)) : all.gain;
    const thin = [this.thinned(all, TINY), this.thinned(all, all.gain - TINY)];
    const sets = [...singles, ...pairs, ...thin.filter(({ servers }) => servers.length > 2)];
    return { sets: sets.filter(({ gain }) => gain > TINY), potential: [one, two, Math.max(two, all.gain)] };
  }

  private pairsOf(host: HostSnapshot, servers: readonly HostedServer[]): LeavingSet[] {
    return servers.flatMap((first, at) => servers.slice(at + 1).map((second) => this.setOf(host, [first, second])));
  }

  /** As many of the servers stay, the dearest first, as leave it more than a gain. */
  private thinned(set: LeavingSet, gainMin: number): LeavingSet {
    let least = set;
    for (const server of set.servers) {
      const rest = this.setOf(
        set.host,
        least.servers.filter((other) => other !== server),
      );
      if (rest.gain > gainMin) least = rest;
    }
    return least;
  }

  private setOf(host: HostSnapshot, servers: readonly HostedServer[]): LeavingSet {
    const sorted = servers.map((server) => ({ server, devices: devicesOf(host, server) })).sort(dearestFirst);
    return {
      host,
      servers: sorted.map(({ server }) => server),
      gain: this.yard.worthWithout(host, servers) - this.yard.worth.of(host),
      devices: sorted.reduce((sum, { devices }) => sum + devices, 0),
      memoryMb: servers.reduce((sum, { memoryMb }) => sum + memoryMb, 0),
    };
  }
}

interface Weighed {
  readonly server: HostedServer;
  readonly devices: number;
}

/** Array sorting is stable: equal ones stay in id order. */
function dearestFirst(a: Weighed, b: Weighed): number {
  return b.devices - a.devices || b.server.memoryMb - a.server.memoryMb;
}

function devicesOf(host: HostSnapshot, { id }: HostedServer): number {
  return host.devices.filter(({ owner }) => owner?.serverId === id).length;
}
