import { spreadOf, type Distance } from '../pci/topology.js';
import { outcomesOf } from './constraints.js';
import type { ChosenDevice, ConstraintOutcome, Reason } from './decision.js';
import { explainDevices } from './explain-devices.js';
import { affinityReason, constraintReason, nodesOf } from './explain-nearness.js';
import { guestCellPlacements, guestCellsOf } from './guest-cells.js';
import { freeCells } from './host-cells.js';
import type { DeviceRequest, PlacementRequest } from './request.js';
import { selectDevices, type Selection } from './select-devices.js';
import { shareChoices, shareRequestOf, withoutShare, withShareUsed } from './shares.js';
import type { HostSnapshot, PlacementPolicy, SnapshotDevice } from './snapshot.js';
import { leastVersion, wishVersions, type WishVersion } from './wish-versions.js';

/** How many ways to put guest cells on host cells are tried on one host. */
const CELL_CHOICES_MAX = 512;

/** What a host gives a server. */
export interface HostFit {
  readonly fits: true;
  readonly devices: readonly ChosenDevice[];
  /** Host cells of the guest's cells in order; null when nothing asked for affinity. */
  readonly numaCells: readonly number[] | null;
  readonly spread?: Distance | null;
  readonly constraints?: readonly ConstraintOutcome[];
  /** false: something better may exist on this host, it was not looked for to the end. */
  readonly isBest?: boolean;
}

export type Fit =
  | HostFit
  | {
      readonly fits: false;
      readonly filter: 'PciPassthroughFilter' | 'NUMATopologyFilter';
      readonly reasons: readonly Reason[];
    };

/**
 * Devices and NUMA nodes of one host for a server; or why there are none. Exact: see `selectDevices`.
 *
 * Of what the request leaves open the most wished version that fits is taken (`wish-versions.ts`). A guest with NUMA cells of its
 * own is tried on every choice of host cells that holds it. For a guest without, if an alias or flavor says `required` or
 * `socket`, the devices have to fit one node (Nova ignores the policy there; `docs/decisions/0004`); otherwise one node is
 * merely preferred, so that devices come close together.
 * Of the choices of cells that fit, the one with the better alternatives wins, then the one with the nearest devices, then the
 * one that has the fewest devices left over.
 */
export function fitHost(host: HostSnapshot, request: PlacementRequest, policy: PlacementPolicy): Fit {
  if (shareRequestOf(request)) return fitWithShare(host, request, policy);
  const { devices } = request;
  const guestCells = guestCellsOf(request);
  if (devices.length === 0 && guestCells === null) return { fits: true, devices: [], numaCells: null };
  const least = leastVersion(request);
  const anywhere = selectDevices(host, { ...least, cells: null });
  if (anywhere.outcome !== 'feasible') return notAnywhere(host, least, anywhere);
  const isStrict = guestCells !== null || devices.some(needsAffinity);
  const choices = isStrict ? cellChoices(host, request, policy) : [null];
  let gaveUp = false;
  for (const version of wishVersions(host, request)) {
    const best = bestChoice(host, version, choices);
    if (best !== null && best !== 'budget') return fitOf(host, request, best);
    gaveUp ||= best === 'budget';
  }
  const reasons = gaveUp
    ? explainDevices(host, devices, { outcome: 'budget' })
    : [affinityReason(host, request, choices.length)];
  return { fits: false, filter: 'NUMATopologyFilter', reasons };
}

/** A share of the best device that still leaves what else is wanted. */
function fitWithShare(host: HostSnapshot, request: PlacementRequest, policy: PlacementPolicy): Fit {
  const isAlone = request.devices.length === 1 && guestCellsOf(request) === null;
  let refusal: Fit | null = null;
  for (const chosen of shareChoices(host, request, policy)) {
    if (isAlone) return { fits: true, devices: [chosen], numaCells: null, spread: null };
    const fit = fitHost(withShareUsed(host, chosen.address, chosen.share), withoutShare(request), policy);
    if (fit.fits) return { ...fit, devices: [...fit.devices, chosen] };
    refusal ??= fit;
  }
  const reasons = explainDevices(host, request.devices, null);
  return refusal ?? { fits: false, filter: 'PciPassthroughFilter', reasons };
}

type Feasible = Extract<Selection, { outcome: 'feasible' }>;

function notAnywhere(host: HostSnapshot, least: WishVersion, selection: Exclude<Selection, Feasible>): Fit {
  const refused = (...reasons: Reason[]): Fit => ({ fits: false, filter: 'PciPassthroughFilter', reasons });
  const { requests, constraints } = least;
  if (constraints.length === 0 || selection.outcome === 'budget') {
    return refused(...explainDevices(host, requests, selection));
  }
  const free = selectDevices(host, { requests, constraints: [], cells: null });
  if (free.outcome !== 'feasible') return refused(...explainDevices(host, requests, free));
  return refused(constraintReason(host, least));
}

function needsAffinity(request: DeviceRequest): boolean {
  return request.numaPolicy === 'required' || request.numaPolicy === 'socket';
}

interface CellFit extends Omit<Feasible, 'outcome'> {
  readonly cells: readonly number[] | null;
  readonly leftOver: number;
}

function bestChoice(
  host: HostSnapshot,
  version: WishVersion,
  choices: readonly (readonly number[] | null)[],
): CellFit | 'budget' | null {
  let best: CellFit | null = null;
  let gaveUp = false;
  for (const cells of choices) {
    const selection = selectDevices(host, { ...version, cells });
    gaveUp ||= selection.outcome === 'budget';
    if (selection.outcome !== 'feasible') continue;
    const fit = { ...selection, cells, leftOver: choices.length > 1 ? leftOver(host, cells) : 0 };
    if (!best || isBetter(fit, best)) best = fit;
  }
  return best ?? (gaveUp ? 'budget' : null);
}

function leftOver(host: HostSnapshot, cells: readonly number[] | null): number {
  const isNear = (node: number | null): boolean => node !== null && (cells?.includes(node) ?? true);
  const isThere = ({ status, reservation }: SnapshotDevice): boolean => status === 'available' && !reservation;
  return host.devices.filter((device) => isThere(device) && isNear(device.numaNode)).length;
}

function isBetter(a: CellFit, b: CellFit): boolean {
  return (b.utility - a.utility || a.distance - b.distance || a.leftOver - b.leftOver) < 0;
}

function fitOf(host: HostSnapshot, request: PlacementRequest, { devices, cells, isBest }: CellFit): HostFit {
  const asked = devices.filter(({ requestIndex }) => requestIndex !== null).map(({ address }) => address);
  return {
    fits: true,
    devices,
    numaCells: cells ?? commonNode(host, asked),
    spread: asked.length > 1 ? spreadOf(host.topology, asked) : null,
    ...(request.constraints && { constraints: outcomesOf(request.constraints, host, devices) }),
    ...(!isBest && { isBest }),
  };
}

/** The NUMA node of all of the devices; null when there are several, or one is not known. */
function commonNode(host: HostSnapshot, addresses: readonly string[]): readonly number[] | null {
  const nodes = new Set(
    host.devices.filter(({ address }) => addresses.includes(address)).map(({ numaNode }) => numaNode),
  );
  const [node] = nodes;
  return nodes.size === 1 && node !== undefined && node !== null ? [node] : null;
}

/** Ordered choices of distinct host cells for the guest's cells; for a guest without cells, each node alone. */
function cellChoices(host: HostSnapshot, request: PlacementRequest, policy: PlacementPolicy): (readonly number[])[] {
  const guestCells = guestCellsOf(request);
  if (guestCells === null) return nodesOf(host).map((id) => [id]);
  const choices: (readonly number[])[] = [];
  for (const choice of guestCellPlacements(freeCells(host, request, policy), guestCells)) {
    choices.push(choice);
    if (choices.length === CELL_CHOICES_MAX) break;
  }
  return choices;
}
