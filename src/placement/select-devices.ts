import { bestAlternative, isGraded } from './alternatives.js';
import { candidatesFor, placesOf, type Wanted } from './candidates.js';
import { mergeEqual } from './equal-requests.js';
import { groupChoices, type GroupChoice, type GroupPick } from './choose-groups.js';
import { findCompetition, type Competition } from './competition.js';
import { ConstraintState } from './constraint-state.js';
import type { ChosenDevice } from './decision.js';
import type { DeviceClass } from './device-classes.js';
import type { DeviceRequest } from './request.js';
import { searchDevices, type Take } from './search.js';
import type { HostSnapshot, SnapshotDevice } from './snapshot.js';
import { groupKind } from './whole-groups.js';

export type Selection =
  | {
      readonly outcome: 'feasible';
      readonly devices: readonly ChosenDevice[];
      /** Sum of the affinity ranks of the requested devices: 0 when all are local. */
      readonly distance: number;
      /** Sum of the utilities of the alternatives taken. */
      readonly utility: number;
      /** false: something better may exist, it was not looked for to the end. */
      readonly isBest: boolean;
    }
  /**
   * `competition`: requests that together want more than there is; null when something else is the cause: PF↔VF exclusion,
   * whole groups, or constraints.
   */
  | { readonly outcome: 'infeasible'; readonly competition: Competition | null }
  | { readonly outcome: 'budget' };

/**
 * Which devices of a host serve all requests of a server together.
 *
 * Exact within its step budget: it never says infeasible when some choice would do, whatever the order of requests and
 * devices. A class with a PF excludes classes with VFs of that PF, and the reverse; a unit is taken whole, its unused
 * members come along as companions. Whole slots and cards are chosen first, every way that differs, until the rest can be
 * served as well. Of all choices the best is taken (`search.ts` says what is better), except that for groups the first way
 * that does is.
 */
export function selectDevices(host: HostSnapshot, wanted: Wanted): Selection {
  const { requests, cells, constraints } = wanted;
  if (requests.every((request) => groupKind(request) === null)) return selectSingles(host, wanted, []);
  const singles = requests.map((request) => (groupKind(request) === null ? request : { ...request, ...NOTHING }));
  let gaveUp = false;
  for (const choice of groupChoices(host, requests, cells)) {
    const rest = choice && selectSingles(choice.host, { requests: singles, cells, constraints }, choice.picks);
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
    isBest: false,
  };
}

type Feasible = Extract<Selection, { outcome: 'feasible' }>;

/** @param picks groups that were chosen before: constraints count them */
function selectSingles(host: HostSnapshot, asked: Wanted, picks: readonly GroupPick[]): Selection {
  const { wanted, origins } = mergeEqual(asked);
  const candidates = wanted.requests.map((_request, index) => candidatesFor(host, wanted, index));
  const competition = findCompetition(wanted.requests, candidates);
  if (competition) {
    const requests = competition.requests.flatMap((index) => origins[index] ?? []).sort((a, b) => a - b);
    return { outcome: 'infeasible', competition: { ...competition, requests } };
  }
  const constraints = new ConstraintState(wanted.constraints, candidates);
  for (const { device, requestIndex } of picks) {
    const index = origins.findIndex((indexes) => indexes.includes(requestIndex));
    const places = placesOf(host, wanted.constraints, index, device);
    if (constraints.limit(index, { places }) < 1) return { outcome: 'infeasible', competition: null };
    constraints.take(index, { places }, 1);
  }
  const result = searchDevices({ host, requests: wanted.requests, candidates, constraints });
  if (result.outcome === 'budget') return { outcome: 'budget' };
  if (result.outcome === 'none') return { outcome: 'infeasible', competition: null };
  return { outcome: 'feasible', ...materialize(result.takes, asked.requests, origins), isBest: result.isBest };
}

/**
 * From counts to devices: units in address order, opened ones first, exactly as the search counted them.
 *
 * @param origins of each request of the search the requests that it is made of: they are served one after another
 */
function materialize(
  takes: readonly Take[],
  requests: readonly DeviceRequest[],
  origins: readonly (readonly number[])[],
): { devices: ChosenDevice[]; distance: number; utility: number } {
  const seats = origins.map((indexes) =>
    indexes.flatMap((index) => Array.from({ length: requests[index]?.count ?? 0 }, () => index)),
  );
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
      slots[position] = chosen(device, requests, seats[requestIndex]?.shift() as number);
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
