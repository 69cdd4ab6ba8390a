import type { DeviceRequest } from './request.js';
import type { Candidate } from './candidates.js';

/** A proof of "no" (Hall's condition): these requests together want more devices than all that any of them may have. */
export interface Competition {
  /** Indexes of the requests. */
  readonly requests: readonly number[];
  readonly wanted: number;
  readonly free: number;
}

/**
 * Looks for requests that cannot be served together even if PF↔VF exclusion did not exist: a maximum flow from requests
 * to what they may take, built one augmenting path at a time. When a path is missing, the requests that the search
 * reached are the proof.
 *
 * @returns null when there is enough for all
 */
export function findCompetition(
  requests: readonly DeviceRequest[],
  candidates: readonly (readonly Candidate[])[],
): Competition | null {
  const flow = new Flow(candidates);
  for (const [index, request] of requests.entries()) {
    let missing = request.count;
    while (missing > 0) {
      const pushed = flow.push(index, missing);
      if (pushed === 0) return proof(requests, flow, index);
      missing -= pushed;
    }
  }
  return null;
}

function proof(requests: readonly DeviceRequest[], flow: Flow, stuck: number): Competition {
  const { reached, free } = flow.reachable(stuck);
  const wanted = reached.reduce((sum, index) => sum + (requests[index]?.count ?? 0), 0);
  return { requests: reached, wanted, free };
}

/** One place to take devices from: a position of a class. */
interface Place {
  readonly capacity: number;
  used: number;
  /** request → devices it has from here */
  readonly by: Map<number, number>;
}

class Flow {
  private readonly places: ReadonlyMap<string, Place>[] = [];

  constructor(candidates: readonly (readonly Candidate[])[]) {
    const ids = new Map<object, number>();
    const all = new Map<string, Place>();
    for (const list of candidates) {
      const own = new Map<string, Place>();
      for (const { group, positions } of list) {
        if (!ids.has(group)) ids.set(group, ids.size);
        for (const position of positions) {
          const key = `${ids.get(group)}.${position}`;
          const place = all.get(key) ?? { capacity: group.units.length, used: 0, by: new Map<number, number>() };
          all.set(key, place);
          own.set(key, place);
        }
      }
      this.places.push(own);
    }
  }

  /** Serves request `index` with up to `want` more devices, moving others where that helps. @returns how many */
  push(index: number, want: number, visited = new Set<Place>()): number {
    for (const place of this.places[index]?.values() ?? []) {
      const spare = Math.min(want, place.capacity - place.used);
      if (spare > 0) {
        this.give(place, index, spare);
        place.used += spare;
        return spare;
      }
    }
    for (const place of this.places[index]?.values() ?? []) {
      if (visited.has(place)) continue;
      visited.add(place);
      for (const [other, count] of place.by) {
        if (other === index || count === 0) continue;
        const moved = this.push(other, Math.min(want, count), visited);
        if (moved === 0) continue;
        this.give(place, other, -moved);
        this.give(place, index, moved);
        return moved;
      }
    }
    return 0;
  }

  /** From a request that found no path: the requests that hold what it wants, what those want, and so on. */
  reachable(start: number): { reached: number[]; free: number } {
    const reached = new Set([start]);
    const places = new Set<Place>();
    for (const index of reached) {
      for (const place of this.places[index]?.values() ?? []) {
        places.add(place);
        for (const [other, count] of place.by) if (count > 0) reached.add(other);
      }
    }
    const free = [...places].reduce((sum, place) => sum + place.capacity, 0);
    return { reached: [...reached].sort((a, b) => a - b), free };
  }

  private give(place: Place, index: number, count: number): void {
    place.by.set(index, (place.by.get(index) ?? 0) + count);
  }
}
