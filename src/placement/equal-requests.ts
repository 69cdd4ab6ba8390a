import type { Wanted } from './candidates.js';
import type { DeviceRequest, TopologyConstraint } from './request.js';

/** Requests with those that ask for the same put together. */
export interface MergedRequests {
  readonly wanted: Wanted;
  /** For each of them the indexes of the requests that it is made of. */
  readonly origins: readonly (readonly number[])[];
}

/**
 * Puts requests together that nothing tells apart: six requests for one GPU each are one for six, and a search does not try who
 * gets which. They may still be of different aliases or ports; and they come in an order that does not depend on the one they
 * were given in.
 */
export function mergeEqual({ requests, cells, constraints }: Wanted): MergedRequests {
  const keys = requests.map(keyOf);
  const byKey = new Map<string, number[]>();
  for (const index of requests.keys()) {
    const key = `${keys[index]} ${rolesOf(index, constraints)}`;
    const others = byKey.get(key);
    if (others) others.push(index);
    else byKey.set(key, [index]);
  }
  const keyAt = ([index = 0]: readonly number[]): string => keys[index] ?? '';
  const origins = [...byKey.values()].sort((a, b) => (keyAt(a) < keyAt(b) ? -1 : Number(keyAt(a) !== keyAt(b))));
  const merged = origins.map((indexes) => {
    const count = indexes.reduce((sum, index) => sum + (requests[index]?.count ?? 0), 0);
    return { ...(requests[indexes[0] as number] as DeviceRequest), count };
  });
  const placeOf = new Map(origins.flatMap((indexes, place) => indexes.map((index) => [index, place] as const)));
  return {
    origins,
    wanted: {
      cells,
      requests: merged,
      constraints: constraints.map((rule) => ({
        ...rule,
        requests: [...new Set(rule.requests.map((index) => placeOf.get(index) as number))],
      })),
    },
  };
}

function keyOf({ specs, numaPolicy, share }: DeviceRequest): string {
  return JSON.stringify([specs, numaPolicy, share]);
}

/** In which constraints a request is, and as what. */
function rolesOf(index: number, constraints: readonly TopologyConstraint[]): string {
  return constraints
    .map(({ kind, requests }) => (kind === 'pair' ? requests.indexOf(index) : requests.includes(index)))
    .join();
}
