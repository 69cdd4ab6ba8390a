import type { Address } from '../pci/address.js';
import { bestAlternative, isGraded } from './alternatives.js';
import { candidatesFor, type Candidate } from './candidates.js';
import { groupChoices, type GroupChoice } from './choose-groups.js';
import type { ChosenDevice } from './decision.js';
import type { DeviceClass } from './device-classes.js';
import { findCompetition, type Competition } from './competition.js';
import type { DeviceRequest } from './request.js';
import type { HostSnapshot, SnapshotDevice } from './snapshot.js';
import { groupKind } from './whole-groups.js';

/** How many steps one search may take on one host; far above what real hosts need. */
const SEARCH_STEPS_MAX = 50_000;

export type Selection =
  | {
      readonly outcome: 'feasible';
      readonly devices: readonly ChosenDevice[];
      /** Sum of the affinity ranks of the requested devices: 0 when all are local. */
      readonly distance: number;
      /** Sum of the utilities of the alternatives taken. */
      readonly utility: number;
    }
  /** `competition`: requests that together want more than there is; null when PF↔VF exclusion is the cause. */
  | { readonly outcome: 'infeasible'; readonly competition: Competition | null }
  | { readonly outcome: 'budget' };

/**
 * Which devices of a host serve all requests of a server together.
 *
 * Exact within its step budget: it never says infeasible when some choice would do, whatever the order of requests and
 * devices. A class with a PF excludes classes with VFs of that PF, and the reverse; a unit is taken whole, its unused
 * members come along as companions. Whole slots and cards are chosen first, every way that differs, until the rest can be
 * served as well. What is not promised is the best sum: each request takes the best that is left, the scarcest request first.
 *
 * @param cells host NUMA nodes of the guest, null when nothing asks for affinity
 */
export function selectDevices(
  host: HostSnapshot,
  requests: readonly DeviceRequest[],
  cells: readonly number[] | null,
): Selection {
  if (requests.every((request) => groupKind(request) === null)) return selectSingles(host, requests, cells);
  const singles = requests.map((request) => (groupKind(request) === null ? request : { ...request, ...NOTHING }));
  let gaveUp = false;
  for (const choice of groupChoices(host, requests, cells)) {
    const rest = choice && selectSingles(choice.host, singles, cells);
    if (choice && rest?.outcome === 'feasible') return withGroups(choice, rest, requests);
    gaveUp ||= rest === null || rest.outcome === 'budget';
  }
  return gaveUp ? { outcome: 'budget' } : { outcome: 'infeasible', competition: null };
}

/** A request that has been served keeps its place in the list. */
const NOTHING = { count: 0, specs: [] } as const;

function withGroups({ picks }: GroupChoice, rest: Feasible, requests: readonly DeviceRequest[]): Feasible {
  const sum = (part: 'rank' | 'utility'): number => picks.reduce((total, pick) => total + pick[part], 0);
  const devices = new Map(rest.devices.map((device) => [device.address, device]));
  for (const { members, device: wanted, requestIndex } of picks) {
    for (const device of members) {
      const asked = device.address === wanted.address;
      devices.set(device.address, asked ? chosen(device, requests, requestIndex) : companion(device));
    }
  }
  for (const device of picks.flatMap(({ taken }) => taken)) {
    if (!devices.has(device.address)) devices.set(device.address, companion(device));
  }
  return {
    outcome: 'feasible',
    devices: [...devices.values()].sort(inRequestOrder),
    distance: rest.distance + sum('rank'),
    utility: rest.utility + sum('utility'),
  };
}

type Feasible = Extract<Selection, { outcome: 'feasible' }>;

function selectSingles(
  host: HostSnapshot,
  requests: readonly DeviceRequest[],
  cells: readonly number[] | null,
): Selection {
  const candidates = requests.map((_request, index) => candidatesFor(host, requests, index, cells));
  const competition = findCompetition(requests, candidates);
  if (competition) return { outcome: 'infeasible', competition };
  const search = new Search(requests, candidates);
  const found = search.run();
  if (found === 'budget') return { outcome: 'budget' };
  if (!found) return { outcome: 'infeasible', competition: null };
  return { outcome: 'feasible', ...materialize(search.takes, requests) };
}

interface Take {
  readonly candidate: Candidate;
  readonly requestIndex: number;
  readonly count: number;
}

/** How much of a class is left while a search goes on. */
interface ClassState {
  /** Untouched units. */
  free: number;
  /** For each position: units already opened whose member there is unused. */
  readonly open: number[];
}

/**
 * Depth-first over requests (scarcest first), and for each over how many devices come from which candidate, best
 * first. Only counts are kept: units of a class are interchangeable, and an opened unit is always used before another
 * one is opened.
 */
class Search {
  readonly takes: Take[] = [];
  private steps = 0;
  private readonly states = new Map<DeviceClass, ClassState>();
  private readonly takenPfs = new Map<Address, number>();
  private readonly takenParents = new Map<Address, number>();
  private readonly order: readonly number[];

  constructor(
    private readonly requests: readonly DeviceRequest[],
    private readonly candidates: readonly (readonly Candidate[])[],
  ) {
    for (const { group } of candidates.flat()) {
      if (!this.states.has(group)) {
        this.states.set(group, { free: group.units.length, open: group.members.map(() => 0) });
      }
    }
    const slack = (index: number): number => this.available(index) - (requests[index]?.count ?? 0);
    this.order = requests.map((_request, index) => index).sort((a, b) => slack(a) - slack(b) || a - b);
  }

  run(): boolean | 'budget' {
    try {
      return this.serve(0);
    } catch (error) {
      if (error === BUDGET) return 'budget';
      throw error;
    }
  }

  /** Serves the requests from place `at` of the order on. */
  private serve(at: number): boolean {
    const index = this.order[at];
    if (index === undefined) return true;
    const hopeless = this.order.slice(at).some((later) => this.available(later) < (this.requests[later]?.count ?? 0));
    if (hopeless) return false;
    return this.choose(at, index, 0, this.requests[index]?.count ?? 0);
  }

  /** Takes what is still needed from the candidates from `from` on. */
  private choose(at: number, index: number, from: number, need: number): boolean {
    if (++this.steps > SEARCH_STEPS_MAX) throw BUDGET;
    if (need === 0) return this.serve(at + 1);
    const candidate = this.candidates[index]?.[from];
    if (!candidate || this.available(index, from) < need) return false;
    const most = Math.min(need, this.capacity(candidate));
    const least = Math.max(0, need - this.available(index, from + 1));
    for (let count = most; count >= least; count--) {
      const undo = this.take(candidate, index, count);
      if (this.choose(at, index, from + 1, need - count)) return true;
      undo();
    }
    return false;
  }

  private available(index: number, from = 0): number {
    let sum = 0;
    const candidates = this.candidates[index] ?? [];
    for (let i = from; i < candidates.length; i++) sum += this.capacity(candidates[i] as Candidate);
    return sum;
  }

  private capacity({ group, positions }: Candidate): number {
    const state = this.states.get(group) as ClassState;
    const open = positions.reduce((sum, position) => sum + (state.open[position] ?? 0), 0);
    return open + (this.excluded(group) ? 0 : state.free * positions.length);
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
    this.takes.push({ candidate, requestIndex, count });
    return () => {
      state.free = before.free;
      before.open.forEach((open, position) => (state.open[position] = open));
      this.exclude(group, -opened);
      this.takes.pop();
    };
  }

  private exclude(group: DeviceClass, units: number): void {
    for (const pf of group.pfs) this.takenPfs.set(pf, (this.takenPfs.get(pf) ?? 0) + units);
    for (const pf of group.parents) this.takenParents.set(pf, (this.takenParents.get(pf) ?? 0) + units);
  }
}

/** Uses members of opened units at one position. @returns how many */
function use(state: ClassState, position: number, want: number): number {
  const used = Math.min(want, state.open[position] ?? 0);
  state.open[position] = (state.open[position] ?? 0) - used;
  return used;
}

const BUDGET = Symbol('search budget');

/** From counts to devices: units in address order, opened ones first, exactly as the search counted them. */
function materialize(
  takes: readonly Take[],
  requests: readonly DeviceRequest[],
): { devices: ChosenDevice[]; distance: number; utility: number } {
  const opened = new Map<DeviceClass, (ChosenDevice | null)[][]>();
  let distance = 0;
  let utilities = 0;
  for (const { candidate, requestIndex, count } of takes) {
    const { group, positions, rank, utility } = candidate;
    const units = opened.get(group) ?? [];
    opened.set(group, units);
    for (let taken = 0; taken < count; taken++) {
      const { unit, position } = nextSlot(units, positions, group);
      const device = group.units[unit]?.[position];
      const slots = units[unit];
      if (!device || !slots) throw new Error('the search counted more units than the class has');
      slots[position] = chosen(device, requests, requestIndex);
      distance += rank;
      utilities += utility;
    }
  }
  return {
    devices: [...opened].flatMap(([group, units]) => withCompanions(group, units)).sort(inRequestOrder),
    distance,
    utility: utilities,
  };
}

function chosen(device: SnapshotDevice, requests: readonly DeviceRequest[], requestIndex: number): ChosenDevice {
  const request = requests[requestIndex] as DeviceRequest;
  const plain = { deviceId: device.id, address: device.address, alias: request.alias, requestIndex };
  if (!request.port && !isGraded(request)) return plain;
  return {
    ...plain,
    ...(request.port && { port: request.port.name }),
    ...(isGraded(request) && { alternative: bestAlternative(request, device) }),
  };
}

function companion({ id, address }: SnapshotDevice): ChosenDevice {
  return { deviceId: id, address, alias: null, requestIndex: null };
}

/** An unused member of an opened unit, else the first of a unit that is opened now. */
function nextSlot(
  units: (ChosenDevice | null)[][],
  positions: readonly number[],
  group: DeviceClass,
): { unit: number; position: number } {
  for (const position of positions) {
    const unit = units.findIndex((slots) => slots[position] === null);
    if (unit >= 0) return { unit, position };
  }
  return { unit: units.push(group.members.map(() => null)) - 1, position: positions[0] as number };
}

function withCompanions(group: DeviceClass, units: readonly (readonly (ChosenDevice | null)[])[]): ChosenDevice[] {
  return units.flatMap((slots, unit) =>
    slots.map((slot, position) => slot ?? companion(group.units[unit]?.[position] as SnapshotDevice)),
  );
}

/** Requested devices in request order, companions last; within that by address. */
function inRequestOrder(a: ChosenDevice, b: ChosenDevice): number {
  const last = Number.MAX_SAFE_INTEGER;
  return (a.requestIndex ?? last) - (b.requestIndex ?? last) || (a.address < b.address ? -1 : 1);
}
