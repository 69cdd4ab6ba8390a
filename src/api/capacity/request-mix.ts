import { BerthError } from '../../errors.js';
import { withExclusiveTags } from '../../pci/alias/alias.js';
import { bareRequest } from '../../placement/capacity.js';
import { type DeviceRequest, type PlacementRequest, requestLabel } from '../../placement/request.js';
import type { AliasMix } from '../../placement/stranded.js';
import type { VersionedAlias } from '../../store/catalog.store.js';
import type { Tx } from '../../store/database.js';
import { flavorsNaming } from '../../store/flavors.store.js';
import { type LiveShape, liveShapes } from '../../store/plans.store.js';
import type { RequestRules } from '../request-rules.js';
import { resolveRequest } from '../servers/resolve-request.js';

/** Of nobody's: hosts that are kept for some projects are not counted. */
const NO_PROJECT = 'default';

/** Kinds of servers of one alias that are looked at; rarer ones are left out. */
const SHAPES_MAX = 16;
const FLAVORS_MAX = 32;

/** What asks for an alias: live servers by how many there are, and flavors of which there is none yet. */
export interface LearntMix extends AliasMix {
  /** In the order of `shapes`. */
  readonly servers: readonly number[];
}

/** A request for one device of an alias, as placement takes it. */
export function oneOf({ name, numaPolicy, specs }: VersionedAlias, rules: RequestRules): DeviceRequest {
  return { alias: name, count: 1, specs: withExclusiveTags(specs, rules.exclusiveTags), numaPolicy };
}

/** Learns from the servers that are there which kinds of server the next one may be. */
export async function learnMix(tx: Tx, alias: VersionedAlias, rules: RequestRules): Promise<LearntMix> {
  const live = await liveShapes(tx, alias.name, SHAPES_MAX);
  const known = new Set(live.map(({ request }) => shapeKey(request)));
  const flavors = (await flavorShapes(tx, alias.name, rules)).filter((request) => !known.has(shapeKey(request)));
  const one = oneOf(alias, rules);
  const shapes: LiveShape[] = [...live, ...flavors.map((request) => ({ request, servers: 0 }))];
  if (shapes.length === 0) shapes.push({ request: bareRequest([one]), servers: 0 });
  shapes.sort((a, b) => smallestFirst(a.request, b.request));
  return {
    alias: one,
    shapes: shapes.map(({ request, servers }) => ({ request, weight: live.length === 0 ? 1 : servers })),
    servers: shapes.map(({ servers }) => servers),
  };
}

/** A flavor that the rules of today do not take any more is nobody's next server. */
async function flavorShapes(tx: Tx, alias: string, rules: RequestRules): Promise<PlacementRequest[]> {
  const requests: PlacementRequest[] = [];
  for (const flavor of (await flavorsNaming(tx, alias)).slice(0, FLAVORS_MAX)) {
    try {
      const { request } = await resolveRequest(
        tx,
        { name: flavor, projectId: NO_PROJECT, anyFlavor: true },
        { flavor },
        rules,
      );
      const { host: _site, ...shape } = request;
      requests.push(shape);
    } catch (error) {
      if (!(error instanceof BerthError)) throw error;
    }
  }
  return requests;
}

function shapeKey({ vcpus, memoryMb, diskGb, devices, guestCells }: PlacementRequest): string {
  return JSON.stringify([
    vcpus,
    memoryMb,
    diskGb,
    devices.map(requestLabel),
    devices.map((one) => one.numaPolicy),
    guestCells,
  ]);
}

function smallestFirst(a: PlacementRequest, b: PlacementRequest): number {
  const devices = (request: PlacementRequest): number => request.devices.reduce((sum, { count }) => sum + count, 0);
  return devices(a) - devices(b) || a.vcpus - b.vcpus || a.memoryMb - b.memoryMb || a.diskGb - b.diskGb;
}
