import { needOf, takesKind, WHOLE, type DeviceKind, type HostStock } from './host-stock.js';
import type { Demand, RequestMix, TypicalRequest } from './request-mix.js';

export type MixWeight = 'popularity' | 'pressure';

/** A shape with its demands by number. */
interface Shape {
  readonly vcpus: number;
  readonly demands: readonly number[];
  readonly weight: number;
}

/**
 * How much of what is idle on a host is of no use to a request that comes by, in thousandths of devices; on average over
 * the mix. Idle devices are no use to a request that the host cannot serve (too few vCPUs, too few devices), nor to one
 * that takes other devices, nor those with too little left to one that could be served.
 * Source: the fragment measure F(n) of Weng et al., "Beware of Fragmentation", USENIX ATC 2023. Memory is left aside, as there.
 */
export class Fragmentation {
  /** vCPUs for each device, over the whole mix: what idle devices will need. */
  readonly vcpusPerDevice: number;
  private readonly demands: readonly Demand[];
  private readonly shapes: readonly Shape[];
  private readonly takers = new WeakMap<DeviceKind, readonly number[]>();
  private readonly losses = new WeakMap<HostStock, number>();
  /** By demand: thousandths that it could use, and on how many devices. Made once, filled for each question. */
  private readonly usable: Float64Array;
  private readonly places: Float64Array;

  constructor({ shapes }: RequestMix, weight: MixWeight) {
    const numbers = new Map<string, number>();
    const demands: Demand[] = [];
    const numberOf = (demand: Demand): number => {
      const key = JSON.stringify([demand.specs, demand.count, demand.share]);
      if (!numbers.has(key)) numbers.set(key, demands.push(demand) - 1);
      return numbers.get(key) as number;
    };
    const total = shapes.reduce((sum, shape) => sum + shape[weight], 0);
    this.shapes = shapes.map((shape) => ({
      vcpus: shape.vcpus,
      demands: shape.devices.map(numberOf),
      weight: shape[weight] / total,
    }));
    this.demands = demands;
    this.vcpusPerDevice = vcpusPerDevice(shapes);
    this.usable = new Float64Array(demands.length);
    this.places = new Float64Array(demands.length);
  }

  /** What of a host's idle devices is of no use, on average. */
  lossOf({ vcpus, rests, kinds }: HostStock): number {
    const { usable, places, demands } = this;
    usable.fill(0);
    places.fill(0);
    let idle = 0;
    for (const [at, rest] of rests.entries()) {
      if (rest === 0) continue;
      const takers = this.takersOf(kinds[at] as DeviceKind);
      if (takers.length > 0) idle += rest;
      for (const number of takers) {
        if (needOf(demands[number] as Demand) > rest) continue;
        usable[number] = (usable[number] as number) + rest;
        places[number] = (places[number] as number) + 1;
      }
    }
    if (idle === 0) return 0;
    let loss = 0;
    for (const shape of this.shapes) loss += shape.weight * (idle - this.usedBy(shape, vcpus, idle));
    return loss;
  }

  /** The same, remembered: for what a host has, which is asked about for each kind of request. */
  lossNow(stock: HostStock): number {
    const known = this.losses.get(stock);
    if (known !== undefined) return known;
    const loss = this.lossOf(stock);
    this.losses.set(stock, loss);
    return loss;
  }

  /** Idle devices that the host's vCPUs will not reach for, at the mix's vCPUs for each; in thousandths. */
  strandedOf({ vcpus, rests, kinds }: HostStock): number {
    let idle = 0;
    for (const [at, rest] of rests.entries()) {
      if (rest > 0 && this.takersOf(kinds[at] as DeviceKind).length > 0) idle += rest;
    }
    return this.vcpusPerDevice === 0 ? 0 : Math.max(0, idle - (WHOLE * vcpus) / this.vcpusPerDevice);
  }

  /** What of the idle devices a request of the shape could use; 0 when the host cannot serve it. */
  private usedBy({ vcpus: wanted, demands }: Shape, vcpus: number, idle: number): number {
    if (wanted > vcpus) return 0;
    let used = 0;
    for (const number of demands) {
      if ((this.places[number] as number) < (this.demands[number] as Demand).count) return 0;
      used += this.usable[number] as number;
    }
    return Math.min(idle, used);
  }

  /** The demands that take devices of the kind. */
  private takersOf(kind: DeviceKind): readonly number[] {
    let takers = this.takers.get(kind);
    if (!takers) {
      takers = [...this.demands.keys()].filter((number) => takesKind(this.demands[number] as Demand, kind));
      this.takers.set(kind, takers);
    }
    return takers;
  }
}

function vcpusPerDevice(shapes: readonly TypicalRequest[]): number {
  let vcpus = 0;
  let thousandths = 0;
  for (const shape of shapes) {
    if (shape.devices.length === 0) continue;
    vcpus += shape.popularity * shape.vcpus;
    thousandths += shape.popularity * sizeOf(shape);
  }
  return thousandths === 0 ? 0 : (WHOLE * vcpus) / thousandths;
}

/** Thousandths of devices that a request of the shape takes. */
export function sizeOf({ devices }: Pick<TypicalRequest, 'devices'>): number {
  return devices.reduce((sum, demand) => sum + demand.count * needOf(demand), 0);
}
