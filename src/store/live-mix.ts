import { underPressure } from '../placement/mix-pressure.js';
import { needsMix } from '../placement/placement-policies.js';
import { mixOf } from '../placement/request-mix.js';
import type { PlacementPolicy, Snapshot } from '../placement/snapshot.js';
import type { Tx } from './database.js';
import { readRecentRequests } from './request-mix.store.js';

/** How many of the youngest servers are looked at. */
const REQUESTS_MAX = 5000;
/**
 * A mix is learnt anew after so many decisions, or when it is older than this and is needed; not more often than this, because what
 * is known of hosts is known for one mix.
 */
const DECISIONS_MAX = 250;
const AGE_MAX_MS = 60_000;
const AGE_MIN_MS = 5_000;

/**
 * What is typically asked for, learnt from the servers that there are. It is learnt before a batch, never within one, and is part of
 * the snapshot that is decided on (and recorded with it): the same snapshot still gives the same answer.
 */
export class LiveMix {
  private mix: PlacementPolicy['mix'];
  private decisions = 0;
  private learntAtMs = -Infinity;

  /** @param clock milliseconds */
  constructor(private readonly clock: () => number = Date.now) {}

  /** The policy with the mix, if one of its policies looks at it. @param deciding how many servers are about to be decided */
  async addTo(tx: Tx, { hosts, policy }: Snapshot, deciding: number): Promise<PlacementPolicy> {
    if (!policy.placementPolicies || !needsMix(policy.placementPolicies)) return policy;
    this.decisions += deciding;
    const nowMs = this.clock();
    const ageMs = nowMs - this.learntAtMs;
    const isOld = ageMs > AGE_MAX_MS || (this.decisions > DECISIONS_MAX && ageMs > AGE_MIN_MS);
    if (this.mix === undefined || isOld) {
      this.mix = underPressure(mixOf(await readRecentRequests(tx, REQUESTS_MAX)), hosts, policy);
      this.decisions = 0;
      this.learntAtMs = nowMs;
    }
    return { ...policy, mix: this.mix };
  }
}
