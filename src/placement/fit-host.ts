import type { ChosenDevice, Reason } from './decision.js';
import { explainDevices } from './explain-devices.js';
import { guestCellPlacements } from './guest-cells.js';
import { requestLabel, type DeviceRequest, type GuestCell, type PlacementRequest } from './request.js';
import { selectDevices } from './select-devices.js';
import type { HostSnapshot } from './snapshot.js';

/** How many ways to put guest cells on host cells are tried on one host. */
const CELL_CHOICES_MAX = 512;

export type Fit =
  | {
      readonly fits: true;
      readonly devices: readonly ChosenDevice[];
      /** Host cells of the guest's cells in order; null when nothing asked for affinity. */
      readonly numaCells: readonly number[] | null;
    }
  | {
      readonly fits: false;
      readonly filter: 'PciPassthroughFilter' | 'NUMATopologyFilter';
      readonly reasons: readonly Reason[];
    };

/**
 * Devices and NUMA nodes of one host for a server; or why there are none. Exact: see `selectDevices`.
 *
 * A guest with NUMA cells of its own is tried on every choice of host cells that holds it. A guest without is tried on
 * every single node: if an alias or flavor says `required` or `socket`, the devices have to fit that node (Nova ignores the
 * policy there; `docs/decisions/0004`), otherwise one node is merely preferred, so that devices come close together.
 * Of the choices that fit, the one with the better alternatives wins, then the one with the nearest devices, then the node
 * that has the fewest devices left over.
 */
export function fitHost(host: HostSnapshot, request: PlacementRequest): Fit {
  if (request.devices.length === 0 && request.guestCells === null) return { fits: true, devices: [], numaCells: null };
  const anywhere = selectDevices(host, request.devices, null);
  if (anywhere.outcome !== 'feasible') {
    return { fits: false, filter: 'PciPassthroughFilter', reasons: explainDevices(host, request.devices, anywhere) };
  }
  const strict = request.guestCells !== null || request.devices.some(needsAffinity);
  const choices = cellChoices(host, request.guestCells);
  const best = bestChoice(host, request.devices, choices, strict);
  // nearness that nobody insists on does not outweigh a better alternative
  const isWorse = !strict && best !== null && best.utility < anywhere.utility;
  if (best && !isWorse) return { fits: true, devices: best.devices, numaCells: best.cells };
  if (!strict) return { fits: true, devices: anywhere.devices, numaCells: null };
  return { fits: false, filter: 'NUMATopologyFilter', reasons: [affinityReason(host, request, choices)] };
}

function needsAffinity(request: DeviceRequest): boolean {
  return request.numaPolicy === 'required' || request.numaPolicy === 'socket';
}

interface CellFit {
  readonly cells: readonly number[];
  readonly devices: readonly ChosenDevice[];
  readonly utility: number;
  readonly distance: number;
  readonly leftOver: number;
}

function bestChoice(
  host: HostSnapshot,
  requests: readonly DeviceRequest[],
  choices: readonly (readonly number[])[],
  strict: boolean,
): CellFit | null {
  // a soft choice is held to one node as if it were required: the fall-back is "anywhere"
  const asked = strict ? requests : requests.map((request) => ({ ...request, numaPolicy: 'required' as const }));
  let best: CellFit | null = null;
  for (const cells of choices) {
    const selection = selectDevices(host, asked, cells);
    if (selection.outcome !== 'feasible') continue;
    const leftOver = host.devices.filter(
      (device) => device.status === 'available' && device.numaNode !== null && cells.includes(device.numaNode),
    ).length;
    const { devices, utility, distance } = selection;
    const fit = { cells, devices, utility, distance, leftOver };
    if (!best || isBetter(fit, best)) best = fit;
  }
  return best;
}

function isBetter(a: CellFit, b: CellFit): boolean {
  return (b.utility - a.utility || a.distance - b.distance || a.leftOver - b.leftOver) < 0;
}

/** Ordered choices of distinct host cells for the guest's cells; for a guest without cells, each node alone. */
function cellChoices(host: HostSnapshot, guestCells: readonly GuestCell[] | null): (readonly number[])[] {
  if (guestCells === null) return nodesOf(host).map((id) => [id]);
  const choices: (readonly number[])[] = [];
  for (const choice of guestCellPlacements(host.numaCells, guestCells)) {
    choices.push(choice);
    if (choices.length === CELL_CHOICES_MAX) break;
  }
  return choices;
}

/** Whether a guest's NUMA cells find distinct host cells that are large enough. */
export function guestCellsFit(host: HostSnapshot, guestCells: readonly GuestCell[]): boolean {
  return guestCellPlacements(host.numaCells, guestCells).next().done !== true;
}

/** The host's NUMA nodes, also those that only devices name. */
function nodesOf(host: HostSnapshot): number[] {
  const nodes = new Set(host.numaCells.map((cell) => cell.id));
  for (const device of host.devices) if (device.numaNode !== null) nodes.add(device.numaNode);
  return [...nodes].sort((a, b) => a - b);
}

function affinityReason(
  host: HostSnapshot,
  request: PlacementRequest,
  choices: readonly (readonly number[])[],
): Reason {
  const asked = request.devices.map((device) => `${requestLabel(device)} (${device.numaPolicy})`).join(', ');
  if (choices.length === 0) {
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
    details: { nodes },
  };
}

function freeOnNode(host: HostSnapshot, requests: readonly DeviceRequest[], node: number): number {
  return requests.reduce((sum, request) => {
    const enough = (count: number): boolean =>
      selectDevices(host, [{ ...request, count, numaPolicy: 'required' }], [node]).outcome === 'feasible';
    let count = 0;
    while (count < host.devices.length && enough(count + 1)) count++;
    return sum + count;
  }, 0);
}
