import { fitHost, type Fit, type HostFit } from './fit-host.js';
import { guestCellsOf } from './guest-cells.js';
import { freeCells } from './host-cells.js';
import { hostLike, shapeOf, stateOf } from './host-shape.js';
import type { PlacementRequest } from './request.js';
import { shareRequestOf } from './shares.js';
import type { HostSnapshot, PlacementPolicy, SnapshotDevice } from './snapshot.js';

/** How many answers are remembered for one kind of request; forgetting costs time, never truth. */
const ANSWERS_MAX = 20_000;

/**
 * What hosts give to one kind of request. Hosts that are built alike and have the same devices free give the same, so of
 * ten thousand equal hosts one is looked at.
 */
export class Fits {
  /** By the host that stands for those like it; and, where guests have cells, by what is free of those. */
  private readonly answers = new Map<HostSnapshot | string, Answer>();
  private readonly needsCells: boolean;

  constructor(
    private readonly request: PlacementRequest,
    private readonly policy: PlacementPolicy,
  ) {
    this.needsCells = guestCellsOf(request) !== null;
  }

  of(host: HostSnapshot): Fit {
    // which device gives a share may depend on the vCPUs that are left
    if (shareRequestOf(this.request)) return fitHost(host, this.request, this.policy);
    const key = this.keyOf(host);
    const known = this.answers.get(key);
    if (known) return known.fit.fits ? moved(known.fit, known.places, host) : known.fit;
    const fit = fitHost(host, this.request, this.policy);
    if (this.answers.size >= ANSWERS_MAX) this.answers.clear();
    this.answers.set(key, { fit, places: fit.fits ? placesOf(fit, host) : [] });
    return fit;
  }

  private keyOf(host: HostSnapshot): HostSnapshot | string {
    if (!this.needsCells) return hostLike(host);
    const cells = JSON.stringify(freeCells(host, this.request, this.policy));
    return `${shapeOf(host).number} ${stateOf(host)} ${cells}`;
  }
}

/** What a host gave, and where among its devices those are that it gave. */
interface Answer {
  readonly fit: Fit;
  readonly places: readonly number[];
}

function placesOf({ devices }: HostFit, host: HostSnapshot): number[] {
  return devices.map(({ deviceId }) => host.devices.findIndex(({ id }) => id === deviceId));
}

/** The same devices of another host of the shape. */
function moved(fit: HostFit, places: readonly number[], { devices }: HostSnapshot): HostFit {
  const own = (at: number): string => (devices[places[at] as number] as SnapshotDevice).id;
  return { ...fit, devices: fit.devices.map((device, at) => ({ ...device, deviceId: own(at) })) };
}
