import type { Address } from '../pci/address.js';
import { LEVELS } from '../pci/topology.js';
import type { Candidate } from './candidates.js';
import type { ConstraintState } from './constraint-state.js';
import { deviceClasses, type DeviceClass } from './device-classes.js';
import { kindOf, leftBehind } from './left-behind.js';
import type { DeviceRequest } from './request.js';
import type { HostSnapshot } from './snapshot.js';
import { homesOf, type Homes, type Twins } from './twins.js';

/** How many steps one search may take on one host; far above what real hosts need. */
export const SEARCH_STEPS_MAX = 50_000;
/** How many more it may take to find something better than the first that it found. */
const BETTER_STEPS_MAX = 2_000;
/** From so many steps on it is remembered which rests cannot be served. */
const MEMO_FROM_STEP = 500;

/** So many devices of a candidate go to a request. */
export interface Take {
  readonly candidate: Candidate;
  readonly requestIndex: number;
  readonly count: number;
}

export interface Task {
  readonly host: HostSnapshot;
  readonly requests: readonly DeviceRequest[];
  /** Of each request, best first. */
  readonly candidates: readonly (readonly Candidate[])[];
  readonly constraints: ConstraintState;
}

export type SearchResult =
  /** `isBest`: nothing better exists; false: it was not looked for to the end. */
  | { readonly outcome: 'found'; readonly takes: readonly Take[]; readonly isBest: boolean }
  | { readonly outcome: 'none' }
  | { readonly outcome: 'budget' };

/**
 * Depth-first over requests (scarcest first), and for each over how many devices come from which candidate, best
 * first. Only counts are kept: units of a class are interchangeable, an opened unit is always used before another one is
 * opened, and of mirror images (`twins.ts`) one is tried. Rests that cannot be served are remembered, so that hopeless
 * cases end.
 *
 * The best by `valueOf` wins, within a budget; "none" is a proof.
 */
export function searchDevices(task: Task): SearchResult {
  return new Search(task).run();
}

/** How much of a class is left while a search goes on. */
interface ClassState {
  /** Untouched units. */
  free: number;
  /** For each position: units already opened whose member there is unused. */
  readonly open: number[];
}

/** Better is greater, the first that differs decides. */
type Value = readonly number[];

class Search {
  private readonly takes: Take[] = [];
  private best: { readonly takes: readonly Take[]; readonly value: Value } | null = null;
  private steps = 0;
  private stepsMax = SEARCH_STEPS_MAX;
  private readonly states = new Map<DeviceClass, ClassState>();
  private readonly takenPfs = new Map<Address, number>();
  private readonly takenParents = new Map<Address, number>();
  private readonly hopelessRests = new Set<string>();
  /** What was taken below each switch so far. */
  private readonly histories = new Map<string, string>();
  private readonly homes: Homes;
  private readonly twins: readonly Twins[];
  private readonly order: readonly number[];
  private readonly sets: (freeUnits: (group: DeviceClass) => number) => number;
  /** The most utility that each request can have from one device. */
  private readonly utilityMax: readonly number[];

  constructor(private readonly task: Task) {
    const { host, candidates, requests } = task;
    for (const { group } of candidates.flat()) {
      if (!this.states.has(group)) {
        this.states.set(group, { free: group.units.length, open: group.members.map(() => 0) });
      }
    }
    const classes = [...this.states.keys()];
    this.homes = homesOf(host, classes);
    this.twins = candidates.map(this.homes.twinsOf);
    this.sets = leftBehind(host, alikeOf(host, classes));
    this.utilityMax = candidates.map((list) => Math.max(0, ...list.map(({ utility }) => utility)));
    const slack = (index: number): number => this.available(index) - (requests[index]?.count ?? 0);
    const { constraints } = task;
    this.order = [...requests.keys()].sort(
      (a, b) => constraints.turnOf(a) - constraints.turnOf(b) || slack(a) - slack(b),
    );
  }

  run(): SearchResult {
    try {
      this.serve(0);
    } catch (error) {
      if (error !== BUDGET) throw error;
      if (!this.best) return { outcome: 'budget' };
      return { outcome: 'found', takes: this.best.takes, isBest: false };
    }
    return this.best ? { outcome: 'found', takes: this.best.takes, isBest: true } : { outcome: 'none' };
  }

  /** Serves the requests from place `at` of the order on. @returns whether they can be served */
  private serve(at: number): boolean {
    const index = this.order[at];
    if (index === undefined) return this.task.constraints.isMet() && this.keep();
    if (this.order.slice(at).some((later) => this.available(later) < this.need(later))) return false;
    const rest = this.steps > MEMO_FROM_STEP ? this.restKey(at) : null;
    if (rest !== null && this.hopelessRests.has(rest)) return false;
    const befores: string[] = [];
    const found = this.choose({ at, index, befores, counts: [] }, 0, this.need(index));
    if (!found && rest !== null) this.hopelessRests.add(rest);
    return found;
  }

  private need(index: number): number {
    return this.task.requests[index]?.count ?? 0;
  }

  /** Takes what is still needed from the candidates from `from` on. */
  private choose(turn: Turn, from: number, need: number): boolean {
    if (++this.steps > this.stepsMax) throw BUDGET;
    const { index } = turn;
    if (!this.task.constraints.isHopeful(index, need)) return false;
    if (need === 0) return this.serve(turn.at + 1);
    const candidate = this.task.candidates[index]?.[from];
    if (!candidate || this.available(index, from) < need || this.isNoBetter(turn, need)) return false;
    const most = Math.min(need, this.capacity(candidate, index), this.twinLimit(turn, from, candidate));
    const least = Math.max(0, need - this.available(index, from + 1));
    let found = false;
    for (let count = most; count >= least; count--) {
      turn.counts[from] = count;
      const undo = this.take(candidate, index, count);
      if (this.choose(turn, from + 1, need - count)) found = true;
      undo();
    }
    return found;
  }

  /** As many at most as of its twin, if the same was taken below both before. */
  private twinLimit({ index, befores, counts }: Turn, from: number, { group }: Candidate): number {
    const history = this.histories.get(this.homes.homeOf(group)) ?? '';
    befores[from] = history;
    const twin = this.twins[index]?.[from] ?? -1;
    return twin >= 0 && befores[twin] === history ? (counts[twin] as number) : Infinity;
  }

  private available(index: number, from = 0): number {
    let sum = 0;
    const candidates = this.task.candidates[index] ?? [];
    for (let i = from; i < candidates.length; i++) sum += this.capacity(candidates[i] as Candidate, index);
    return sum;
  }

  private capacity(candidate: Candidate, index: number): number {
    const { group, positions } = candidate;
    const state = this.states.get(group) as ClassState;
    const open = positions.reduce((sum, position) => sum + (state.open[position] ?? 0), 0);
    const all = open + (this.excluded(group) ? 0 : state.free * positions.length);
    return Math.min(all, this.task.constraints.limit(index, candidate));
  }

  private excluded(group: DeviceClass): boolean {
    return (
      group.pfs.some((pf) => (this.takenParents.get(pf) ?? 0) > 0) ||
      group.parents.some((parent) => (this.takenPfs.get(parent) ?? 0) > 0)
    );
  }

  /** @returns the undoing */
  private take(candidate: Candidate, requestIndex: number, count: number): () => void {
    if (count === 0) return () => undefined;
    const { group, positions } = candidate;
    const state = this.states.get(group) as ClassState;
    const before = { free: state.free, open: [...state.open] };
    let left = count;
    for (const position of positions) left -= use(state, position, left);
    const opened = Math.ceil(left / positions.length);
    state.free -= opened;
    state.open.forEach((open, position) => (state.open[position] = open + opened));
    for (const position of positions) left -= use(state, position, Math.min(left, opened));
    this.exclude(group, opened);
    this.task.constraints.take(requestIndex, candidate, count);
    const home = this.homes.homeOf(group);
    const history = this.histories.get(home) ?? '';
    const what = `${requestIndex}:${positions.join()}:${this.homes.lookOf(group)}`;
    this.histories.set(home, `${history}${what}:${count};`);
    this.takes.push({ candidate, requestIndex, count });
    return () => {
      state.free = before.free;
      before.open.forEach((open, position) => (state.open[position] = open));
      this.exclude(group, -opened);
      this.task.constraints.take(requestIndex, candidate, -count);
      this.histories.set(home, history);
      this.takes.pop();
    };
  }

  private exclude(group: DeviceClass, units: number): void {
    for (const pf of group.pfs) this.takenPfs.set(pf, (this.takenPfs.get(pf) ?? 0) + units);
    for (const pf of group.parents) this.takenParents.set(pf, (this.takenParents.get(pf) ?? 0) + units);
  }

  /** What decides whether the requests from `at` on can be served. */
  private restKey(at: number): string {
    const classes = [...this.states.values()].map(({ free, open }) => `${free}.${open.join('.')}`);
    const out = [...this.states.keys()].map((group) => (this.excluded(group) ? 'x' : '.'));
    return `${at} ${classes.join()} ${out.join('')} ${this.task.constraints.key()}`;
  }

  /** A leaf: everything is served. */
  private keep(): true {
    const value = this.valueOf();
    if (!this.best || isGreater(value, this.best.value)) this.best = { takes: [...this.takes], value };
    this.stepsMax = Math.min(this.stepsMax, this.steps + BETTER_STEPS_MAX);
    return true;
  }

  /** Whether not even the best alternatives from here on could beat what was found. */
  private isNoBetter({ at, index }: Turn, need: number): boolean {
    if (!this.best) return false;
    let utility = need * (this.utilityMax[index] ?? 0);
    for (const later of this.order.slice(at + 1)) utility += this.need(later) * (this.utilityMax[later] ?? 0);
    let rank = 0;
    for (const { candidate, count } of this.takes) {
      utility += count * candidate.utility;
      rank += count * candidate.rank;
    }
    const [bestUtility = 0, bestRank = 0] = this.best.value;
    return utility < bestUtility || (utility === bestUtility && -rank < bestRank);
  }

  /**
   * Better alternatives, nearer to the guest's cells, on one NUMA node, nothing taken along for nothing, no whole PF
   * broken into, close together, good sets left behind: in this order.
   */
  private valueOf(): Value {
    const level = this.spread();
    let [utility, rank, wasted] = [0, 0, 0];
    const broken = new Set<Address>();
    for (const { candidate, count } of this.takes) {
      utility += count * candidate.utility;
      rank += count * candidate.rank;
    }
    for (const [group, { free, open }] of this.states) {
      for (const unused of open) wasted += unused;
      if (free < group.units.length) for (const pf of group.breaks) broken.add(pf);
    }
    const sets = this.sets((group) => this.states.get(group)?.free ?? group.units.length);
    return [utility, -rank, level < LEVELS.length ? 0 : -1, -wasted, -broken.size, -level, sets];
  }

  /** Index of the level that all are within; `LEVELS.length`: across NUMA nodes. */
  private spread(): number {
    const { topology } = this.task.host;
    const [first, ...others] = this.takes.map(({ candidate: { group, positions } }) =>
      topology.get(group.members[positions[0] as number]?.address ?? ''),
    );
    const levels = others.map((near) => LEVELS.findIndex((level) => near && first && first[level] === near[level]));
    return levels.reduce((farthest, level) => Math.max(farthest, level < 0 ? LEVELS.length : level), 0);
  }
}

/** One request's turn in the search. */
interface Turn {
  /** Place in the order, and index of the request. */
  readonly at: number;
  readonly index: number;
  /** For each candidate: what was taken below its switch before it, and how many it gives. */
  readonly befores: string[];
  readonly counts: number[];
}

/** All classes of the host that are of a kind with these. */
function alikeOf(host: HostSnapshot, classes: readonly DeviceClass[]): DeviceClass[] {
  const kinds = new Set(classes.map(kindOf));
  const others = deviceClasses(host).filter((group) => !classes.includes(group) && kinds.has(kindOf(group)));
  // classes that were made for slots or cards are others of the same devices: then those alone
  const own = new Set(classes.flatMap(({ units }) => units.map((unit) => unit[0]?.address)));
  return [...classes, ...others.filter(({ units }) => !units.some((unit) => own.has(unit[0]?.address)))];
}

function isGreater(a: Value, b: Value): boolean {
  for (const [at, part] of a.entries()) {
    const difference = part - (b[at] as number);
    if (difference !== 0) return difference > 0;
  }
  return false;
}

/** Uses members of opened units at one position. @returns how many */
function use(state: ClassState, position: number, want: number): number {
  const used = Math.min(want, state.open[position] ?? 0);
  state.open[position] = (state.open[position] ?? 0) - used;
  return used;
}

const BUDGET = Symbol('search budget');
