import { deviceSatisfies } from '../pci/alias/alias-match.js';
import type { DeviceRequest } from './request.js';
import type { SnapshotDevice } from './snapshot.js';

/** Whether some of a request's alternatives are better than others. */
export function isGraded({ specs }: DeviceRequest): boolean {
  return specs.some((spec) => spec.utility !== specs[0]?.utility);
}

/** Index of the best alternative that takes the device, the first of equal ones; -1 when none does. */
export function bestAlternative({ specs }: DeviceRequest, device: SnapshotDevice): number {
  let best = -1;
  for (const [index, spec] of specs.entries()) {
    if (best >= 0 && spec.utility <= (specs[best]?.utility ?? 0)) continue;
    if (deviceSatisfies(spec, device)) best = index;
  }
  return best;
}

/** How good the device is for the request; 0 when all its alternatives are as good. */
export function utilityOf(request: DeviceRequest, device: SnapshotDevice): number {
  return isGraded(request) ? (request.specs[bestAlternative(request, device)]?.utility ?? 0) : 0;
}
