import type { Candidate } from './candidates.js';
import type { TopologyConstraint } from './request.js';

/**
 * The constraints that have to be met, while a search takes and gives back devices: how many of a candidate may be taken
 * now, and whether what was taken meets them all. Taking is undone in the reverse order.
 */
export class ConstraintState {
  private readonly trackers: readonly Tracker[];

  /** @param candidates of each request: what could be had where */
  constructor(constraints: readonly TopologyConstraint[], candidates: readonly (readonly Candidate[])[]) {
    this.trackers = constraints.map((constraint, at) => trackerOf(constraint, at, candidates));
  }

  /** Requests with a lower number are better looked at first: the second of a pair depends on the first. */
  turnOf(requestIndex: number): number {
    return this.trackers.filter((tracker) => tracker.follows === requestIndex).length;
  }

  /** At most so many of the candidate; Infinity where no constraint is against it. */
  limit(requestIndex: number, candidate: Pick<Candidate, 'places'>): number {
    let limit = Infinity;
    for (const [at, tracker] of this.trackers.entries()) {
      if (tracker.concerns(requestIndex)) {
        limit = Math.min(limit, tracker.limit(candidate.places[at] as string | null, requestIndex));
      }
    }
    return limit;
  }

  /** @param count may be negative: so a taking is undone */
  take(requestIndex: number, candidate: Pick<Candidate, 'places'>, count: number): void {
    for (const [at, tracker] of this.trackers.entries()) {
      if (tracker.concerns(requestIndex)) tracker.take(candidate.places[at] as string | null, requestIndex, count);
    }
  }

  /** Whether all of it is met, once every request has what it needs. */
  isMet(): boolean {
    return this.trackers.every((tracker) => tracker.isMet());
  }

  /** Whether it can still be met when request `requestIndex` takes `need` more devices. */
  isHopeful(requestIndex: number, need: number): boolean {
    return this.trackers.every((tracker) => !tracker.concerns(requestIndex) || tracker.isHopeful(requestIndex, need));
  }

  /** Equal texts: the same can still follow. */
  key(): string {
    return this.trackers.map((tracker) => tracker.key()).join('|');
  }
}

interface Tracker {
  /** The request that is better looked at after the others of the constraint. */
  readonly follows?: number | undefined;
  readonly concerns: (requestIndex: number) => boolean;
  readonly limit: (place: string | null, requestIndex: number) => number;
  readonly take: (place: string | null, requestIndex: number, count: number) => void;
  readonly isMet: () => boolean;
  readonly isHopeful: (requestIndex: number, need: number) => boolean;
  readonly key: () => string;
}

function trackerOf(constraint: TopologyConstraint, at: number, candidates: readonly (readonly Candidate[])[]): Tracker {
  const concerns = (requestIndex: number): boolean => constraint.requests.includes(requestIndex);
  if (constraint.kind === 'pair') {
    const supply = supplyOf(candidates[constraint.requests[1] as number] ?? [], at);
    return { concerns, follows: constraint.requests[1], ...pairTracker(constraint, supply) };
  }
  return { concerns, ...(constraint.kind === 'distinct' ? distinctTracker() : togetherTracker()) };
}

/** How many of a request could be had in each place; null: it is not chosen here (a whole group). */
function supplyOf(candidates: readonly Candidate[], at: number): ReadonlyMap<string | null, number> | null {
  if (candidates.length === 0) return null;
  const supply = new Counts();
  for (const { group, positions, places } of candidates) {
    supply.add(places[at] as string | null, group.units.length * positions.length);
  }
  return supply.asMap();
}

type Rest = Omit<Tracker, 'concerns' | 'follows'>;

/** The first device says where all others have to be. */
function togetherTracker(): Rest {
  const taken = new Counts();
  return {
    limit: (place) => (place === null || (taken.size > 0 && taken.get(place) === 0) ? 0 : Infinity),
    take: (place, _requestIndex, count) => taken.add(place, count),
    isMet: () => true,
    isHopeful: () => true,
    key: () => taken.key(),
  };
}

function distinctTracker(): Rest {
  const taken = new Counts();
  return {
    limit: (place) => (place === null ? Infinity : 1 - taken.get(place)),
    take: (place, _requestIndex, count) => taken.add(place, count),
    isMet: () => true,
    isHopeful: () => true,
    key: () => taken.key(),
  };
}

/** In every place there are enough of the second request for those of the first. */
function pairTracker(
  { requests, per }: TopologyConstraint & { readonly kind: 'pair' },
  supply: ReadonlyMap<string | null, number> | null,
): Rest {
  const [many, few] = [new Counts(), new Counts()];
  const missing = (): number => {
    let sum = 0;
    for (const [place, count] of many) sum += Math.max(0, Math.ceil(count / per) - few.get(place));
    return sum;
  };
  const isMany = (requestIndex: number): boolean => requestIndex === requests[0];
  return {
    limit: (place, requestIndex) =>
      isMany(requestIndex) && supply ? per * (supply.get(place) ?? 0) - many.get(place) : Infinity,
    take: (place, requestIndex, count) => (isMany(requestIndex) ? many : few).add(place, count),
    isMet: () => missing() === 0,
    isHopeful: (requestIndex, need) => isMany(requestIndex) || missing() <= need,
    key: () => `${many.key()}/${few.key()}`,
  };
}

/** How often each place was taken; one that is not taken any more is forgotten. */
class Counts {
  private readonly counts = new Map<string | null, number>();

  get size(): number {
    return this.counts.size;
  }

  get(place: string | null): number {
    return this.counts.get(place) ?? 0;
  }

  add(place: string | null, count: number): void {
    const now = this.get(place) + count;
    if (now === 0) this.counts.delete(place);
    else this.counts.set(place, now);
  }

  asMap(): ReadonlyMap<string | null, number> {
    return this.counts;
  }

  key(): string {
    return [...this.counts]
      .map(([place, count]) => `${place}=${count}`)
      .sort()
      .join();
  }

  [Symbol.iterator](): IterableIterator<[string | null, number]> {
    return this.counts.entries();
  }
}
