import {
  DEVICES_PER_SERVER_MAX,
  type DeviceRequest,
  type PlacementRequest,
  type TopologyConstraint,
} from './request.js';
import type { HostSnapshot } from './snapshot.js';
import { freeCount } from './supply.js';

/** How many combinations of counts are tried when several requests leave theirs open. */
const COUNT_CHOICES_MAX = 256;

/** A request with nothing left open: so many devices, and all of these constraints met. */
export interface WishVersion {
  readonly requests: readonly DeviceRequest[];
  readonly constraints: readonly TopologyConstraint[];
}

/** What has to be there: the least of every request, and the constraints that are not merely preferred. */
export function leastVersion({ devices, constraints = [] }: PlacementRequest): WishVersion {
  return { requests: devices, constraints: constraints.filter(({ weight }) => weight === null) };
}

/**
 * What a server would like on a host, best first, down to the least that has to be there: more devices before fewer, and for
 * as many devices the preferred constraints of the greatest weight together.
 */
export function* wishVersions(host: HostSnapshot, request: PlacementRequest): Generator<WishVersion> {
  for (const counts of countChoices(host, request.devices)) {
    const requests = request.devices.map((device, at) => ({ ...device, count: counts[at] as number }));
    for (const constraints of constraintChoices(request.constraints ?? [])) yield { requests, constraints };
  }
}

/** Sets of constraints: those that have to be met, with every set of the preferred ones, heaviest first. */
function constraintChoices(constraints: readonly TopologyConstraint[]): (readonly TopologyConstraint[])[] {
  const soft = constraints.filter(({ weight }) => weight !== null);
  const sets = Array.from({ length: 2 ** soft.length }, (_unused, bits) => {
    const kept = soft.filter((_rule, at) => (bits & (1 << at)) !== 0);
    return { kept, weight: kept.reduce((sum, rule) => sum + (rule.weight ?? 0), 0) };
  });
  return sets
    .sort((a, b) => b.weight - a.weight || b.kept.length - a.kept.length)
    .map(({ kept }) => constraints.filter((rule) => rule.weight === null || kept.includes(rule)));
}

/**
 * Counts for all requests, greatest sum first. When there are too many combinations, all counts go up together; the least
 * is always among them.
 */
function countChoices(host: HostSnapshot, devices: readonly DeviceRequest[]): (readonly number[])[] {
  const ranges = devices.map((device) => {
    const most = Math.min(device.countMax ?? device.count, Math.max(device.count, freeCount(host, device)));
    return { least: device.count, most };
  });
  const combinations = ranges.reduce((product, { least, most }) => product * (most - least + 1), 1);
  const choices = combinations <= COUNT_CHOICES_MAX ? everyChoice(ranges) : evenChoices(ranges);
  return choices.filter((counts) => sumOf(counts) <= DEVICES_PER_SERVER_MAX).sort((a, b) => sumOf(b) - sumOf(a));
}

interface Range {
  readonly least: number;
  readonly most: number;
}

function everyChoice(ranges: readonly Range[]): number[][] {
  let choices: number[][] = [[]];
  for (const { least, most } of ranges) {
    const counts = Array.from({ length: most - least + 1 }, (_unused, more) => most - more);
    choices = choices.flatMap((before) => counts.map((count) => [...before, count]));
  }
  return choices;
}

function evenChoices(ranges: readonly Range[]): number[][] {
  const widest = Math.max(...ranges.map(({ least, most }) => most - least));
  return Array.from({ length: widest + 1 }, (_unused, more) =>
    ranges.map(({ least, most }) => Math.min(most, least + widest - more)),
  );
}

function sumOf(counts: readonly number[]): number {
  return counts.reduce((sum, count) => sum + count, 0);
}
