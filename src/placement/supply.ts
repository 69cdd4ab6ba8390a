import { aliasMatches } from '../pci/alias/alias-match.js';
import { isGraded, utilityOf } from './alternatives.js';
import { deviceClasses } from './device-classes.js';
import { hostLike } from './host-shape.js';
import type { DeviceRequest } from './request.js';
import { shareSupply } from './shares.js';
import type { HostSnapshot } from './snapshot.js';
import { groupKind, wholeGroups } from './whole-groups.js';

/** How many free devices, or whole groups, of a host satisfy a request, affinity left aside. An upper bound of what it can get. */
export function freeCount(host: HostSnapshot, request: DeviceRequest): number {
  if (request.share !== undefined) return shareSupply(host, request);
  const like = hostLike(host);
  let counts = freeCounts.get(request);
  if (!counts) freeCounts.set(request, (counts = new WeakMap()));
  let count = counts.get(like);
  if (count === undefined) counts.set(like, (count = countFree(like, request)));
  return count;
}

/** By request and by the host that stands for those like it. */
const freeCounts = new WeakMap<DeviceRequest, WeakMap<HostSnapshot, number>>();

function countFree(host: HostSnapshot, request: DeviceRequest): number {
  if (groupKind(request) !== null) return wholeGroups(host, request, null).length;
  let count = 0;
  for (const { units, members } of deviceClasses(host)) {
    for (const member of members) if (aliasMatches(request.specs, member)) count += units.length;
  }
  return count;
}

/** The sum of utilities of the best that a request could have on a host. An upper bound; 0 when all is as good. */
export function bestUtility(host: HostSnapshot, request: DeviceRequest): number {
  if (!isGraded(request)) return 0;
  let sum = 0;
  let missing = request.count;
  for (const { utility, count } of suppliesOf(hostLike(host), request).sort((a, b) => b.utility - a.utility)) {
    const taken = Math.min(missing, count);
    sum += taken * utility;
    missing -= taken;
  }
  return sum;
}

interface Supply {
  readonly utility: number;
  readonly count: number;
}

function suppliesOf(host: HostSnapshot, request: DeviceRequest): Supply[] {
  if (groupKind(request) !== null) {
    return wholeGroups(host, request, null).map(({ utility }) => ({ utility, count: 1 }));
  }
  return deviceClasses(host).flatMap(({ units, members }) =>
    members
      .filter((member) => aliasMatches(request.specs, member))
      .map((member) => ({ utility: utilityOf(request, member), count: units.length })),
  );
}
