import { candidatesFor } from './candidates.js';
import { constraintText } from './constraint-text.js';
import type { Reason } from './decision.js';
import { classesFor } from './explain-devices-states.js';
import { requestLabel, type DeviceRequest, type PlacementRequest, type TopologyConstraint } from './request.js';
import { selectDevices } from './select-devices.js';
import type { HostSnapshot } from './snapshot.js';
import type { WishVersion } from './wish-versions.js';

/** How many places the details of a reason list. */
const PLACES_KEPT = 64;

/** Why there are enough devices, but no choice of them meets the constraints. */
export function constraintReason(host: HostSnapshot, least: WishVersion): Reason {
  const blamed = blamedOf(host, least);
  const texts = blamed.map((constraint) => {
    const best = bestPlace(placesOf(host, least, constraint), constraint, least.requests);
    return `"${constraintText(constraint, least.requests)}" cannot be met${best}`;
  });
  const message = texts.join('; ');
  const concerned = [...new Set(blamed.flatMap(({ requests }) => requests))].sort((a, b) => a - b);
  const places = blamed.map((constraint) => placesOf(host, least, constraint).slice(0, PLACES_KEPT));
  return {
    code: 'device.topology',
    message,
    details: {
      constraints: blamed.map((constraint) => constraintText(constraint, least.requests)),
      classes: classesFor(
        host,
        concerned.map((index) => least.requests[index] as DeviceRequest),
      ),
    },
    // places are told by the addresses of bridges
    names: [{ host: host.name, message, details: { places } }],
  };
}

/** The constraints without any one of which there would be a choice; all of them, if no single one is to blame. */
function blamedOf(host: HostSnapshot, { requests, constraints }: WishVersion): readonly TopologyConstraint[] {
  if (constraints.length === 1) return constraints;
  const guilty = constraints.filter((constraint) => {
    const others = constraints.filter((other) => other !== constraint);
    return selectDevices(host, { requests, constraints: others, cells: null }).outcome === 'feasible';
  });
  return guilty.length > 0 ? guilty : constraints;
}

interface Place {
  readonly place: string | null;
  /** Free devices there for each of the constraint's requests, in its order. */
  readonly free: readonly number[];
}

function placesOf(host: HostSnapshot, least: WishVersion, constraint: TopologyConstraint): Place[] {
  const places = new Map<string | null, number[]>();
  for (const [at, index] of constraint.requests.entries()) {
    const wanted = { requests: least.requests, cells: null, constraints: [constraint] };
    for (const { group, positions, places: of } of candidatesFor(host, wanted, index)) {
      const place = of[0] ?? null;
      const free = places.get(place) ?? constraint.requests.map(() => 0);
      free[at] = (free[at] as number) + group.units.length * positions.length;
      places.set(place, free);
    }
  }
  return [...places].map(([place, free]) => ({ place, free }));
}

/** ": of 3 neighbourhoods the best has 2 of 2 gpu and 0 of 2 nic". */
function bestPlace(
  places: readonly Place[],
  constraint: TopologyConstraint,
  requests: readonly DeviceRequest[],
): string {
  const named = places.filter(({ place }) => place !== null);
  if (constraint.kind === 'distinct') return `: the free devices are in ${named.length} different places`;
  const wanted = constraint.requests.map((index) => requests[index]?.count ?? 0);
  const scoreOf = ({ free }: Place): number =>
    free.reduce((sum, count, at) => sum + Math.min(count, wanted[at] as number) / (wanted[at] || 1), 0);
  const [best] = [...named].sort((a, b) => scoreOf(b) - scoreOf(a));
  if (!best) return ': no free device has a place of that kind';
  const parts = constraint.requests.map((index, at) => {
    const request = requests[index] as DeviceRequest;
    return `${best.free[at]} of ${wanted[at]} for ${requestLabel(request)}`;
  });
  return `: of ${named.length} place${named.length === 1 ? '' : 's'} the best has ${parts.join(' and ')} free`;
}

/** Why devices that would fit otherwise are not near enough to the guest. */
export function affinityReason(host: HostSnapshot, request: PlacementRequest, choices: number): Reason {
  const asked = request.devices.map((device) => `${requestLabel(device)} (${device.numaPolicy})`).join(', ');
  if (choices === 0) {
    return {
      code: 'numa.no_cell_fits',
      message:
        request.guestCells === null
          ? `${asked}: the host does not say which NUMA node its devices are on`
          : `no ${request.guestCells.length} NUMA node(s) of the host hold the guest's cells`,
      details: { numa_cells: host.numaCells },
    };
  }
  const nodes = nodesOf(host).map((node) => ({ node, free: freeOnNode(host, request.devices, node) }));
  const free = nodes.map(({ node, free: count }) => `node ${node} has ${count} free`).join(', ');
  return {
    code: 'numa.not_together',
    message: `${asked} has to fit the guest's NUMA node; ${free}`,
    details: { nodes, classes: classesFor(host, request.devices) },
  };
}

/** The host's NUMA nodes, also those that only devices name. */
export function nodesOf(host: HostSnapshot): number[] {
  const nodes = new Set(host.numaCells.map((cell) => cell.id));
  for (const device of host.devices) if (device.numaNode !== null) nodes.add(device.numaNode);
  return [...nodes].sort((a, b) => a - b);
}

/** How many devices of the node serve the requests, each request counted alone. */
function freeOnNode(host: HostSnapshot, requests: readonly DeviceRequest[], node: number): number {
  return requests.reduce((sum, request) => {
    const enough = (count: number): boolean => {
      const alone = [{ ...request, count, numaPolicy: 'required' as const }];
      return selectDevices(host, { requests: alone, cells: [node], constraints: [] }).outcome === 'feasible';
    };
    let count = 0;
    while (count < host.devices.length && enough(count + 1)) count++;
    return sum + count;
  }, 0);
}
