import type { DeviceClass } from './device-classes.js';
import type { HostSnapshot } from './snapshot.js';

/** The neighbourhoods whose free devices are worth more together. */
const SET_LEVELS = ['PIX', 'PHB', 'NODE'] as const;

/**
 * How good the sets are that a choice leaves behind: for each kind of device and each switch, host bridge and NUMA node
 * the square of what is free there, added up. Two free below one switch count more than one below each of two, so a
 * choice that empties a broken set is better than one that breaks a whole one.
 *
 * @param classes those of which something may be taken, or that are of the same kind
 */
export function leftBehind(
  host: HostSnapshot,
  classes: readonly DeviceClass[],
): (freeUnits: (group: DeviceClass) => number) => number {
  const buckets = new Map<string, number>();
  const bucketsOf = classes.map((group) => {
    const near = host.topology.get(group.members[0]?.address ?? '');
    const kind = kindOf(group);
    return SET_LEVELS.map((level) => {
      const key = `${kind} ${level} ${near?.[level]}`;
      const bucket = buckets.get(key) ?? buckets.size;
      buckets.set(key, bucket);
      return bucket;
    });
  });
  const sums = new Float64Array(buckets.size);
  return (freeUnits) => {
    sums.fill(0);
    for (let at = 0; at < classes.length; at++) {
      const free = freeUnits(classes[at] as DeviceClass);
      for (const bucket of bucketsOf[at] as readonly number[]) sums[bucket] = (sums[bucket] as number) + free;
    }
    return sums.reduce((total, sum) => total + sum * sum, 0);
  };
}

/** Classes of one kind serve the same purposes. */
export function kindOf({ members }: DeviceClass): string {
  return members.map(({ vendorId, productId, deviceType }) => `${vendorId}:${productId} ${deviceType}`).join('|');
}
