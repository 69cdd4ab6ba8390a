import { affinityRank } from './affinity.js';
import { isGraded, utilityOf } from './alternatives.js';
import { deviceClasses, matchingPositions, type DeviceClass } from './device-classes.js';
import type { DeviceRequest } from './request.js';
import type { HostSnapshot, SnapshotDevice } from './snapshot.js';

/** Members of one class at positions that the same requests want: one choice for a request. */
export interface Candidate {
  readonly group: DeviceClass;
  readonly positions: readonly number[];
  readonly rank: number;
  /** Of the best alternative that takes them; 0 when all are as good. */
  readonly utility: number;
}

/**
 * What one of a server's requests may take on a host, best first.
 *
 * @param index  of the request
 * @param cells  host NUMA nodes of the guest, null when nothing asks for affinity
 */
export function candidatesFor(
  host: HostSnapshot,
  requests: readonly DeviceRequest[],
  index: number,
  cells: readonly number[] | null,
): Candidate[] {
  const request = requests[index] as DeviceRequest;
  const graded = isGraded(request);
  const candidates: Candidate[] = [];
  for (const group of deviceClasses(host)) {
    const alike = new Map<string, { positions: number[]; rank: number; utility: number }>();
    for (const position of matchingPositions(group, request)) {
      const member = group.members[position] as SnapshotDevice;
      const rank = affinityRank(member.numaNode, request.numaPolicy, cells, host.numaCells);
      if (rank === null) continue;
      // members that the same requests want are one choice, so that a unit is used up before the next is opened
      const utility = graded ? utilityOf(request, member) : 0;
      const key = `${rank}:${utility}:${requests.map((other) => matchingPositions(group, other).includes(position)).join()}`;
      const merged = alike.get(key);
      if (merged) merged.positions.push(position);
      else alike.set(key, { positions: [position], rank, utility });
    }
    candidates.push(...[...alike.values()].map((choice) => ({ group, ...choice })));
  }
  return candidates.sort((a, b) => bestFirst(a, b, request.count));
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
    Number(a.group.breaksFreePf) - Number(b.group.breaksFreePf) ||
    a.group.units.length - b.group.units.length
  );
}

/** Companions that a unit of the class would bring along for nothing. */
function wasted({ group, positions }: Candidate, count: number): number {
  return group.members.length - Math.min(positions.length, count);
}
