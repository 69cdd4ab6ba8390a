import { roomOn } from './capacity.js';
import type { PlacementRequest } from './request.js';
import type { HostSnapshot, PlacementPolicy } from './snapshot.js';
import { type AliasMix, hostFragments } from './stranded.js';

/** What servers are moved for. */
export type DefragmentGoal =
  /** That so many copies of a request fit, beside all that is there. It looks at no server group. */
  | { readonly kind: 'fit'; readonly request: PlacementRequest; readonly count: number }
  /** That the next server of these mixes can use more of what is free. */
  | { readonly kind: 'mix'; readonly mixes: readonly AliasMix[] };

/** What a host is worth to the goal: what all are worth together is what a plan makes more of. */
export class Worth {
  private readonly known = new WeakMap<HostSnapshot, number>();
  /** What is enough. */
  readonly wanted: number;

  constructor(
    private readonly goal: DefragmentGoal,
    private readonly policy: PlacementPolicy,
  ) {
    this.wanted = goal.kind === 'fit' ? goal.count : 0;
  }

  of(host: HostSnapshot): number {
    const known = this.known.get(host);
    if (known !== undefined) return known;
    const worth = this.judge(host);
    this.known.set(host, worth);
    return worth;
  }

  /** Copies that fit; or, below zero, the free devices that the next server is expected not to be able to use. */
  private judge(host: HostSnapshot): number {
    const { goal, policy } = this;
    if (goal.kind === 'fit') {
      // without devices nothing else may end the count
      const max = goal.request.devices.length === 0 ? goal.count : host.devices.length;
      return roomOn(host, policy, goal.request, max);
    }
    return -goal.mixes.reduce((sum, mix) => sum + hostFragments(host, policy, mix).unusable, 0);
  }
}

/** What one host could be worth more, at best, when so many of its servers leave: index 0 for one, 1 for two, 2 for all. */
export type Potential = readonly [number, number, number];

/**
 * No plan has fewer moves than this: from each host the best servers leave, and where they go costs nothing. Three or more
 * leaving a host are taken for all. A server that comes never makes more fit.
 *
 * @returns null when even that is not enough within `movesMax`
 */
export function fewestMoves(potentials: readonly Potential[], need: number, movesMax: number): number | null {
  // most[j]: the most that can be won with j moves
  const most = new Float64Array(movesMax + 1);
  for (const potential of potentials) {
    for (let moves = movesMax; moves > 0; moves--) {
      for (const [at, gain] of potential.entries()) {
        if (at < moves) most[moves] = Math.max(most[moves] as number, (most[moves - at - 1] as number) + gain);
      }
    }
  }
  const fewest = most.findIndex((gain) => gain >= need);
  return fewest < 0 ? null : fewest;
}
