import { affinityRank } from './affinity.js';
import { isGraded, utilityOf } from './alternatives.js';
import { placeFor } from './constraints.js';
import { deviceClasses, matchingPositions, type DeviceClass, type Piece } from './device-classes.js';
import type { DeviceRequest, TopologyConstraint } from './request.js';
import type { HostSnapshot, SnapshotDevice } from './snapshot.js';

/** Members of one class at positions that the same requests want: one choice for a request. */
export interface Candidate {
  readonly group: DeviceClass;
  readonly positions: readonly number[];
  readonly rank: number;
  /** Of the best alternative that takes them; 0 when all are as good. */
  readonly utility: number;
  /** For each constraint that the request is part of: where they are; undefined for the others. */
  readonly places: readonly (string | null | undefined)[];
}

/** What a server wants of one host, and what has to be kept to. */
export interface Wanted {
  readonly requests: readonly DeviceRequest[];
  /** Host NUMA nodes of the guest, null when nothing asks for affinity. */
  readonly cells: readonly number[] | null;
  /** All of them have to be met, whatever their weight. */
  readonly constraints: readonly TopologyConstraint[];
}

/** What one of a server's requests may take on a host, best first. */
export function candidatesFor(host: HostSnapshot, wanted: Wanted, index: number): Candidate[] {
  const { requests, cells, constraints } = wanted;
  const request = requests[index] as DeviceRequest;
  const graded = isGraded(request);
  const candidates: Candidate[] = [];
  for (const group of deviceClasses(host, piecesOf(constraints))) {
    const alike = new Map<string, Omit<Candidate, 'group'> & { positions: number[] }>();
    for (const position of matchingPositions(group, request)) {
      const member = group.members[position] as SnapshotDevice;
      const rank = affinityRank(member.numaNode, request.numaPolicy, cells, host.numaCells);
      if (rank === null) continue;
      const utility = graded ? utilityOf(request, member) : 0;
      const places = placesOf(host, constraints, index, member);
      // members that are as good to every request are one choice, so that a unit is used up before the next is opened
      const key = lookOf(host, wanted, group, position);
      const merged = alike.get(key);
      if (merged) merged.positions.push(position);
      else alike.set(key, { positions: [position], rank, utility, places });
    }
    for (const choice of alike.values()) candidates.push({ group, ...choice });
  }
  return candidates.sort((a, b) => bestFirst(a, b, request.count));
}

/** What any of the requests could look at in a member of a class. */
function lookOf(host: HostSnapshot, { requests, constraints }: Wanted, group: DeviceClass, position: number): string {
  const member = group.members[position] as SnapshotDevice;
  const wantedBy = requests.map((other) =>
    matchingPositions(group, other).includes(position) ? utilityOf(other, member) : null,
  );
  const places = constraints.map((constraint) => placeFor(constraint, host, member));
  return JSON.stringify([member.numaNode, host.topology.get(member.address)?.PIX, places, wantedBy]);
}

/** Where a device is, for each constraint that the request is part of. */
export function placesOf(
  host: HostSnapshot,
  constraints: readonly TopologyConstraint[],
  requestIndex: number,
  device: SnapshotDevice,
): Candidate['places'] {
  return constraints.map((constraint) =>
    constraint.requests.includes(requestIndex) ? placeFor(constraint, host, device) : undefined,
  );
}

function piecesOf(constraints: readonly TopologyConstraint[]): Piece[] {
  const named = (piece: Piece): boolean =>
    constraints.some((rule) => (rule.kind === 'same' || rule.kind === 'distinct') && rule.attribute === piece);
  return (['slot', 'card'] as const).filter(named);
}

/**
 * The better alternative before the worse, near before far, alone before with companions, a PF that is broken into already
 * before a whole one, the smaller class before the larger (large sets stay whole). The classes come in a fixed order, so one
 * snapshot has one answer.
 */
function bestFirst(a: Candidate, b: Candidate, count: number): number {
  return (
    b.utility - a.utility ||
    a.rank - b.rank ||
    wasted(a, count) - wasted(b, count) ||
    a.group.breaks.length - b.group.breaks.length ||
    a.group.units.length - b.group.units.length
  );
}

/** Companions that a unit of the class would bring along for nothing. */
function wasted({ group, positions }: Candidate, count: number): number {
  return group.members.length - Math.min(positions.length, count);
}
