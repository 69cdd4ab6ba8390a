import type { DeviceRequest, PlacementRequest } from './request.js';

/** What of a device request a shape is made of. */
export type Demand = Pick<DeviceRequest, 'specs' | 'count' | 'share'>;

/** Requests that ask for the same, as one: what the cluster has to keep room for. */
export interface TypicalRequest {
  readonly vcpus: number;
  readonly devices: readonly Demand[];
  /** The part of all requests that it is; of all shapes together 1. */
  readonly popularity: number;
  /** The same, heavier for what is scarce among what is free; see `underPressure`. */
  readonly pressure: number;
}

/** What is typically asked for. A value: whoever learns anew makes a new one. */
export interface RequestMix {
  /** The most popular first. */
  readonly shapes: readonly TypicalRequest[];
}

/** Rarer shapes than the first so many are left out. */
const SHAPES_MAX = 128;

export interface MixRules {
  /** Stops when the shapes are so much of all requests. */
  readonly coverage: number;
  /** Whether requests without devices are part of it. */
  readonly withPlain: boolean;
}

/** The shapes of requests by popularity; equal ones in the order in which they first came. Memory and disk are left aside. */
export function mixOf(
  requests: Iterable<Pick<PlacementRequest, 'vcpus' | 'devices'>>,
  { coverage, withPlain }: MixRules = { coverage: 1, withPlain: false },
): RequestMix {
  const shapes = new Map<string, { readonly vcpus: number; readonly devices: readonly Demand[]; count: number }>();
  let total = 0;
  for (const { vcpus, devices: asked } of requests) {
    if (!withPlain && asked.length === 0) continue;
    const devices = asked.map(({ specs, count, share }): Demand => ({ specs, count, ...(share && { share }) }));
    const key = JSON.stringify([vcpus, devices]);
    const shape = shapes.get(key);
    if (shape) shape.count++;
    else shapes.set(key, { vcpus, devices, count: 1 });
    total++;
  }
  const chosen: { readonly vcpus: number; readonly devices: readonly Demand[]; readonly count: number }[] = [];
  let covered = 0;
  for (const shape of [...shapes.values()].sort((a, b) => b.count - a.count)) {
    if (covered >= coverage * total || chosen.length === SHAPES_MAX) break;
    chosen.push(shape);
    covered += shape.count;
  }
  return {
    shapes: chosen.map(({ vcpus, devices, count }) => {
      const popularity = count / covered;
      return { vcpus, devices, popularity, pressure: popularity };
    }),
  };
}
