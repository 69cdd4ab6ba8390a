import { aliasMatches } from '../pci/alias/alias-match.js';
import type { PlacementRequest } from './request.js';
import type { HostSnapshot } from './snapshot.js';

/** How many devices each of a request's device requests could have on a host at most, whatever is done to holds. */
export interface DeviceBounds {
  /** Of nobody. */
  readonly free: readonly number[];
  /** Server id → of that server. */
  readonly byServer: ReadonlyMap<string, readonly number[]>;
}

export function deviceBounds({ devices }: HostSnapshot, request: PlacementRequest): DeviceBounds {
  const none = request.devices.map(() => 0);
  const free = [...none];
  const byServer = new Map<string, number[]>();
  for (const device of devices) {
    if (device.missing) continue;
    const owner = device.owner?.serverId;
    const counts = owner === undefined ? free : (byServer.get(owner) ?? [...none]);
    if (owner !== undefined) byServer.set(owner, counts);
    for (const [at, { specs }] of request.devices.entries()) {
      if (aliasMatches(specs, device)) counts[at] = (counts[at] as number) + 1;
    }
  }
  return { free, byServer };
}

/** Whether a request surely finds too few devices, also once these servers are gone. */
export function isHopeless(
  { free, byServer }: DeviceBounds,
  { devices }: PlacementRequest,
  without: readonly string[],
): boolean {
  return devices.some(({ count }, at) => {
    const freed = without.reduce((sum, server) => sum + (byServer.get(server)?.[at] ?? 0), 0);
    return (free[at] ?? 0) + freed < count;
  });
}
