import type { Decision } from './decision.js';
import { promisePuts, putHost } from './host-list.js';
import { place } from './place.js';
import type { ExcludedHost, PlacementRequest } from './request.js';
import type { HostSnapshot, PlacementPolicy, Snapshot } from './snapshot.js';

/**
 * A copy of a snapshot to try things on: what-if, capacity, gangs and preemption decide on it with the very function
 * that decides for real. The original is never changed, for hosts are values and only the list is copied.
 */
export class Fork {
  readonly policy: PlacementPolicy;
  private readonly list: HostSnapshot[];
  private places: Map<string, number>;

  constructor({ hosts, policy }: Snapshot) {
    this.policy = policy;
    this.list = [...hosts];
    this.places = placesOf(this.list);
  }

  /** In name order. */
  get hosts(): readonly HostSnapshot[] {
    return this.list;
  }

  get(id: string): HostSnapshot | undefined {
    const place = this.places.get(id);
    return place === undefined ? undefined : this.list[place];
  }

  /** Changes a host, or adds one. */
  put(host: HostSnapshot): void {
    const place = this.places.get(host.id);
    if (place !== undefined) {
      putHost(this.list, place, host);
      return;
    }
    const after = this.list.findIndex((other) => other.name > host.name);
    this.list.splice(after < 0 ? this.list.length : after, 0, host);
    this.places = placesOf(this.list);
  }

  /** Adds hosts that it does not have yet. */
  add(hosts: readonly HostSnapshot[]): void {
    this.list.push(...hosts);
    this.list.sort((a, b) => (a.name < b.name ? -1 : 1));
    this.places = placesOf(this.list);
  }

  /** Loses a host. */
  drop(id: string): void {
    const place = this.places.get(id);
    if (place === undefined) return;
    this.list.splice(place, 1);
    this.places = placesOf(this.list);
  }

  decide(request: PlacementRequest, excluded: readonly ExcludedHost[] = []): Decision {
    return place({ hosts: this.list, policy: this.policy }, request, excluded);
  }
}

/** For a list that has just become another one. */
function placesOf(hosts: readonly HostSnapshot[]): Map<string, number> {
  promisePuts(hosts);
  return new Map(hosts.map((host, place) => [host.id, place]));
}
