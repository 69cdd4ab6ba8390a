import type { Dialect } from '../pci/dialect.js';
import type { ExcludedHost, PlacementRequest } from './request.js';
import { deviceBounds, isHopeless, type DeviceBounds } from './smallest-change-bounds.js';
import { adding, emptyCopy, hostChangesOf } from './smallest-change-host.js';
import { kindsOf, machinesOf, type HostKind } from './smallest-change-kinds.js';
import { relaxationsOf } from './smallest-change-request.js';
import { NOT_ASKED, type HostChange, type Relaxation, type Step } from './smallest-change-step.js';
import { SPENT, Trials } from './smallest-change-trials.js';
import type { HostSnapshot, Snapshot } from './snapshot.js';
import type { Steps } from './steps.js';

/** How many pairs are put in order before the first is tried. */
const PAIRS_MAX = 200_000;

export interface ChangeLimits {
  /** How many hosts are looked at, over all. */
  readonly trialsMax: number;
  readonly changesMax: number;
  /** Of one kind of step, or of one pair of kinds. */
  readonly perKindMax: number;
  /** A project can only change its request. */
  readonly about: 'request' | 'all';
}

/** What would have to be done, one step or two. */
export interface Change {
  readonly steps: readonly Step[];
  readonly cost: number;
  /** The request as it is then, and the host that is changed, or serves, as it is then: how the change was verified. */
  readonly request: PlacementRequest;
  readonly host: HostSnapshot;
  /** So many hosts are like that one. */
  readonly equalHosts: number;
  /** Name of the host on which it fits then. */
  readonly fitsOn: string;
}

export interface SmallestChanges {
  /** Name of a host on which it fits without any change; null: none. */
  readonly fitsOn: string | null;
  /** Cheapest first, all of one size. Empty: nothing of at most two steps does, if the answer is complete. */
  readonly changes: readonly Change[];
  readonly trials: number;
  /** False: the trials were used up before everything as small, or as cheap, was tried. */
  readonly complete: boolean;
}

/**
 * Looks for the smallest changes that make a request fit which fits nowhere: single steps; pairs where no single step does. Every
 * answer is verified by deciding on the changed host with the changed request.
 *
 * A change is tried on one host of each kind, alone. A step that cannot change what the filter says that turns the host
 * down is not tried there. The same trials are made on every machine, so the answer does not depend on time.
 *
 * @param excluded hosts that the server must not be tried on again
 */
export function smallestChanges(
  snapshot: Snapshot,
  request: PlacementRequest,
  excluded: readonly ExcludedHost[],
  limits: ChangeLimits,
): Steps<SmallestChanges> {
  return new Search(snapshot, request, excluded, limits).run();
}

/** A kind of host, or one that is to be added. */
interface Site {
  readonly host: HostSnapshot;
  readonly count: number;
  /** The filter that turns the host down as it is. */
  readonly turnedDownBy: string;
  readonly changes: readonly HostChange[];
  /** null: the host is there. */
  readonly adding: HostChange | null;
  /** null: not known in the nova dialect, which reads aliases otherwise. */
  readonly bounds: DeviceBounds | null;
}

type Candidate = Relaxation | HostChange;

interface Attempt {
  readonly sites: readonly Site[];
  readonly steps: readonly Candidate[];
}

class Search {
  private readonly kinds: readonly HostKind[];
  private readonly trials: Trials;
  private readonly found: Change[] = [];
  private readonly foundSlots = new Set<string>();
  private readonly foundKinds = new Map<string, number>();
  /** Which filter turns a site down after one step that does not do. */
  private readonly after = new Map<Candidate, Map<Site, string>>();
  private readonly relaxed = new Map<string, PlacementRequest>();
  private readonly compat: Dialect;
  private complete = true;

  constructor(
    snapshot: Snapshot,
    private readonly request: PlacementRequest,
    excluded: readonly ExcludedHost[],
    private readonly limits: ChangeLimits,
  ) {
    this.compat = snapshot.policy.compat;
    this.kinds = kindsOf(snapshot.hosts, request, excluded);
    const hosts = this.kinds.map(({ host }) => host);
    this.trials = new Trials(snapshot, hosts, excluded, limits.trialsMax);
  }

  *run(): Steps<SmallestChanges> {
    try {
      const sites = yield* this.sitesThatAre();
      if (!Array.isArray(sites)) return this.answer(sites.fitsOn);
      const relaxations = relaxationsOf(this.request);
      const added = this.limits.about === 'all' ? this.sitesToAdd(sites) : [];
      yield* this.tryAll(singles(sites, added, relaxations));
      if (this.found.length === 0) yield* this.tryAll(this.pairs(sites, added, relaxations));
    } catch (error) {
      if (error !== SPENT) throw error;
      this.complete = false;
    }
    return this.answer(null);
  }

  private answer(fitsOn: string | null): SmallestChanges {
    return { fitsOn, changes: this.found, trials: this.trials.spent, complete: this.complete };
  }

  /** One of each kind; or, when it fits as it is, where. */
  private *sitesThatAre(): Steps<Site[] | { readonly fitsOn: string }> {
    const sites: Site[] = [];
    for (const { host, count } of this.kinds) {
      yield;
      const turnedDownBy = this.trials.turnedDownBy(host, this.request);
      const fitsOn = turnedDownBy === null ? this.trials.decide(host, this.request) : null;
      if (fitsOn !== null) return { fitsOn };
      const changes = this.limits.about === 'all' ? hostChangesOf(host, this.request.host?.group?.id ?? null) : [];
      const bounds = this.boundsOf(host);
      sites.push({ host, count, turnedDownBy: turnedDownBy ?? NOT_ASKED, changes, adding: null, bounds });
    }
    return sites;
  }

  private sitesToAdd(sites: readonly Site[]): Site[] {
    return machinesOf(sites.map(({ host }) => host)).map(({ host: original, count }) => {
      const host = emptyCopy(original);
      // whether it does is asked when its turn comes: it costs most
      const turnedDownBy = NOT_ASKED;
      return { host, count, turnedDownBy, changes: [], adding: adding(original), bounds: this.boundsOf(host) };
    });
  }

  private boundsOf(host: HostSnapshot): DeviceBounds | null {
    return this.compat === 'nova' ? null : deviceBounds(host, this.request);
  }

  /** Cheapest first; what comes later is no better than what was found. */
  private *tryAll(attempts: readonly Attempt[]): Steps<void> {
    for (const { sites, steps } of inOrder(attempts)) {
      if (this.found.length >= this.limits.changesMax) return;
      const slots = steps.map(({ slot }) => slot).join('\n');
      const kinds = steps.map(({ kind }) => kind).join();
      if (this.foundSlots.has(slots) || (this.foundKinds.get(kinds) ?? 0) >= this.limits.perKindMax) continue;
      const change = yield* this.firstThatFits(sites, steps);
      if (!change) continue;
      this.foundSlots.add(slots);
      this.foundKinds.set(kinds, (this.foundKinds.get(kinds) ?? 0) + 1);
      this.found.push(change);
    }
  }

  private *firstThatFits(sites: readonly Site[], steps: readonly Candidate[]): Steps<Change | null> {
    const request = this.relaxedBy(steps);
    for (const site of sites) {
      if (!steps.some((step) => step.touches(site.turnedDownBy))) continue;
      if (isVain(site, steps, request)) {
        // it may still have cleared what was in the way before the devices
        if (steps.length === 1) this.remember(steps[0] as Candidate, site, NOT_ASKED);
        continue;
      }
      yield;
      const host = steps.reduce((changed, step) => ('change' in step ? step.change(changed) : changed), site.host);
      const turnedDownBy = this.trials.turnedDownBy(host, request);
      if (turnedDownBy !== null && steps.length === 1) this.remember(steps[0] as Candidate, site, turnedDownBy);
      if (turnedDownBy !== null && !this.trials.freesGroup(host, request)) continue;
      const fitsOn = this.trials.decide(host, request);
      if (fitsOn === null) continue;
      const cost = steps.reduce((sum, step) => sum + step.cost, 0);
      return { steps: steps.map(stepOf), cost, request, host, equalHosts: site.count, fitsOn };
    }
    return null;
  }

  /** One object for each version: what hosts give to it is remembered by that. */
  private relaxedBy(steps: readonly Candidate[]): PlacementRequest {
    const relaxations = steps.flatMap((step) => ('relax' in step ? step : []));
    if (relaxations.length === 0) return this.request;
    const key = relaxations.map(({ slot, cost }) => `${slot} ${cost}`).join('\n');
    const request = this.relaxed.get(key) ?? relaxations.reduce((changed, { relax }) => relax(changed), this.request);
    this.relaxed.set(key, request);
    return request;
  }

  private remember(step: Candidate, site: Site, turnedDownBy: string): void {
    const bySite = this.after.get(step) ?? new Map<Site, string>();
    this.after.set(step, bySite.set(site, turnedDownBy));
  }

  /** Two steps that concern one host and of which each may change what the other one leaves in the way. */
  private pairs(sites: readonly Site[], added: readonly Site[], relaxations: readonly Relaxation[]): Attempt[] {
    const attempts: Attempt[] = [];
    for (const site of [...sites, ...added]) {
      const steps: readonly Candidate[] = [...relaxations, ...(site.adding ? [site.adding] : site.changes)];
      for (const [at, a] of steps.entries()) {
        for (const b of steps.slice(at + 1)) {
          if (a.slot === b.slot || (site.adding && b !== site.adding)) continue;
          if (!b.touches(this.leftBy(a, site)) || !a.touches(this.leftBy(b, site))) continue;
          if (isVain(site, [a, b], this.relaxedBy([a, b]))) continue;
          if (attempts.length === PAIRS_MAX) {
            this.complete = false;
            return attempts;
          }
          attempts.push({ sites: [site], steps: [a, b] });
        }
      }
    }
    return attempts;
  }

  private leftBy(step: Candidate, site: Site): string {
    return this.after.get(step)?.get(site) ?? site.turnedDownBy;
  }
}

/** Whether there surely are too few devices, so that it need not be tried. A step that matters to other hosts always is. */
function isVain({ bounds }: Site, steps: readonly Candidate[], request: PlacementRequest): boolean {
  if (bounds === null || steps.some((step) => 'frees' in step && step.concernsAll)) return false;
  return isHopeless(
    bounds,
    request,
    steps.flatMap((step) => ('frees' in step && step.frees !== null ? step.frees : [])),
  );
}

function singles(sites: readonly Site[], added: readonly Site[], relaxations: readonly Relaxation[]): Attempt[] {
  return [
    ...relaxations.map((step) => ({ sites, steps: [step] })),
    ...sites.flatMap((site) => site.changes.map((step) => ({ sites: [site], steps: [step] }))),
    ...added.flatMap((site) => (site.adding ? [{ sites: [site], steps: [site.adding] }] : [])),
  ];
}

/** By cost, then by the importance of the servers that lose their place; array sorting is stable. */
function inOrder(attempts: readonly Attempt[]): readonly Attempt[] {
  return attempts
    .map((attempt) => ({ attempt, cost: sumOf(attempt, 'cost'), priority: sumOf(attempt, 'priority') }))
    .sort((a, b) => a.cost - b.cost || a.priority - b.priority)
    .map(({ attempt }) => attempt);
}

function sumOf({ steps }: Attempt, part: 'cost' | 'priority'): number {
  return steps.reduce((sum, step) => sum + (part === 'cost' ? step.cost : 'priority' in step ? step.priority : 0), 0);
}

function stepOf({ kind, about, sentence, details, cost }: Candidate): Step {
  return { kind, about, sentence, details, cost };
}
