import { sizeOf } from './fragmentation.js';
import { needOf, stockOf, takesKind, WHOLE, type DeviceKind, type HostStock } from './host-stock.js';
import type { Demand, RequestMix, TypicalRequest } from './request-mix.js';
import type { HostSnapshot, PlacementPolicy } from './snapshot.js';

/** A shape for which less than this part of the idle devices is left weighs no more than if it were this part. */
const SUPPLY_MIN = 0.001;
/** How sharply scarcity counts; found by trying on the traces of `bench:packing`. */
const SHARPNESS = 1.4;

/**
 * The mix with pressures: the popularity of each shape divided by (a power of) the part of the idle devices that could
 * still go to requests of this shape. What only few hosts have, and sets that are nearly used up, weigh more, as everything else that
 * could be taken instead is plenty.
 */
export function underPressure(mix: RequestMix, hosts: readonly HostSnapshot[], policy: PlacementPolicy): RequestMix {
  const stocks = hosts.map((host) => stockOf(host, policy));
  const supplies = mix.shapes.map(() => 0);
  let idle = 0;
  for (const stock of stocks) {
    idle += idleOf(stock, mix);
    const counts = new Map<Demand, number>();
    for (const [at, shape] of mix.shapes.entries()) {
      supplies[at] = (supplies[at] as number) + timesOn(stock, shape, counts) * sizeOf(shape);
    }
  }
  return {
    shapes: mix.shapes.map((shape, at) => {
      if (shape.devices.length === 0 || idle === 0) return shape;
      const part = Math.max(SUPPLY_MIN, (supplies[at] as number) / idle);
      return { ...shape, pressure: shape.popularity / part ** SHARPNESS };
    }),
  };
}

function idleOf({ rests, kinds }: HostStock, { shapes }: RequestMix): number {
  let idle = 0;
  for (const [at, rest] of rests.entries()) {
    if (
      rest > 0 &&
      shapes.some(({ devices }) => devices.some((demand) => takesKind(demand, kinds[at] as DeviceKind)))
    ) {
      idle += rest;
    }
  }
  return idle;
}

/** How many requests of the shape a host could still take, if it took no others. */
function timesOn(stock: HostStock, { vcpus, devices }: TypicalRequest, counts: Map<Demand, number>): number {
  let times = vcpus === 0 ? Infinity : Math.floor(stock.vcpus / vcpus);
  for (const demand of devices) {
    if (times <= 0) return 0;
    let count = counts.get(demand);
    if (count === undefined) counts.set(demand, (count = placesOn(stock, demand)));
    times = Math.min(times, Math.floor(count / demand.count));
  }
  return Number.isFinite(times) ? Math.max(0, times) : 0;
}

/** How often the host's devices hold what the demand needs of one. */
function placesOn({ rests, kinds }: HostStock, demand: Demand): number {
  const need = needOf(demand);
  let places = 0;
  for (const [at, rest] of rests.entries()) {
    if (rest < need || !takesKind(demand, kinds[at] as DeviceKind)) continue;
    places += need === WHOLE ? 1 : Math.floor(rest / need);
  }
  return places;
}
