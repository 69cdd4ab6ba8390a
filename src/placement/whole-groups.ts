import { aliasMatches } from '../pci/alias/alias-match.js';
import type { AliasGroup } from '../pci/alias/alias-fields.js';
import type { Address } from '../pci/address.js';
import { affinityRank } from './affinity.js';
import { utilityOf } from './alternatives.js';
import { isFree } from './device-classes.js';
import type { DeviceRequest } from './request.js';
import type { HostSnapshot, SnapshotDevice } from './snapshot.js';

/** A slot or card that can be handed over whole. */
export interface WholeGroup {
  /** The member that the request means: of several, the best, then the first. The group counts once all the same. */
  readonly device: SnapshotDevice;
  /** All members. */
  readonly members: readonly SnapshotDevice[];
  /** What goes with it: the members, and what shares an IOMMU group with one of them. In address order. */
  readonly taken: readonly SnapshotDevice[];
  readonly utility: number;
  readonly rank: number;
}

/** The kind of group that a request takes; null when it takes single devices. All specs of an alias say the same. */
export function groupKind({ specs }: DeviceRequest): AliasGroup | null {
  return specs[0]?.group ?? null;
}

/**
 * The groups that a request could have if it were alone, best first: higher utility, nearer, fewer devices that come along
 * for nothing, lower address.
 *
 * @param cells host NUMA nodes of the guest, null when nothing asks for affinity
 */
export function wholeGroups(
  host: HostSnapshot,
  request: DeviceRequest,
  cells: readonly number[] | null,
): readonly WholeGroup[] {
  const kind = groupKind(request);
  if (kind === null) return [];
  const byAddress = new Map(host.devices.map((device) => [device.address, device]));
  const best = new Map<Address, WholeGroup>();
  for (const device of host.devices) {
    if (!aliasMatches(request.specs, device)) continue;
    const rank = affinityRank(device.numaNode, request.numaPolicy, cells, host.numaCells);
    const members = groupMembers(host, device, kind);
    if (rank === null || !members) continue;
    const key = members[0] as Address;
    const utility = utilityOf(request, device);
    const earlier = best.get(key);
    if (earlier && (earlier.utility > utility || (earlier.utility === utility && earlier.rank <= rank))) continue;
    const parts = takenWith(host, members, byAddress);
    if (parts) best.set(key, { device, ...parts, utility, rank });
  }
  return [...best.values()].sort(bestFirst);
}

/** Array sorting is stable: equally good ones stay in address order. */
function bestFirst(a: WholeGroup, b: WholeGroup): number {
  return b.utility - a.utility || a.rank - b.rank || a.taken.length - b.taken.length;
}

function groupMembers(host: HostSnapshot, device: SnapshotDevice, kind: AliasGroup): readonly Address[] | null {
  const group = host.groups[kind].get(device.address);
  if (!group) return [device.address];
  return group.blockedBy === null ? group.members : null;
}

/** The members and all that has to go with them; null when something of it is not free. */
export function takenWith(
  host: HostSnapshot,
  addresses: readonly Address[],
  byAddress: ReadonlyMap<Address, SnapshotDevice>,
): Pick<WholeGroup, 'members' | 'taken'> | null {
  const taken = new Map<Address, SnapshotDevice>();
  for (const address of addresses) {
    const unit = host.units.get(address);
    if (!unit || unit.blockedBy !== null) return null;
    for (const member of unit.members) {
      const device = byAddress.get(member);
      if (!device || !isFree(device)) return null;
      taken.set(member, device);
    }
  }
  for (const { parentAddress } of taken.values()) if (parentAddress !== null && taken.has(parentAddress)) return null;
  const inOrder = [...taken.values()].sort((a, b) => (a.address < b.address ? -1 : 1));
  return { members: addresses.map((address) => taken.get(address) as SnapshotDevice), taken: inOrder };
}
