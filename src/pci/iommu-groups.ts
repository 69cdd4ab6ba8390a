import type { Address } from './address.js';
import { isBridge } from './device.js';
import { groupBlocker, inGroups, type GroupBlocker, type GroupDevice } from './iommu.js';

/** `on`: there are IOMMU groups. `off`: the machine has one that is not used. `none`: nothing tells of one. */
export const IOMMU_STATES = ['on', 'off', 'none'] as const;
export type IommuState = (typeof IOMMU_STATES)[number];

/**
 * What can become of a group. `viable`: it can be handed over, now or when its members are free. `protected`: the host needs a member.
 * `blocked`: something else keeps it. `not_offered`: no device_spec entry means a member. `bridges`: it has no other members.
 */
export const GROUP_STATES = ['viable', 'protected', 'blocked', 'not_offered', 'bridges'] as const;
export type GroupState = (typeof GROUP_STATES)[number];

export interface IommuGroup<Device> {
  readonly group: number;
  readonly state: GroupState;
  /** In address order, with bridges. */
  readonly members: readonly Device[];
  /** What keeps it from being handed over, and what to do; null when nothing does. */
  readonly blocker: GroupBlocker | null;
}

/** The IOMMU groups of a host by number, and the endpoints that have none. */
export function iommuGroups<Device extends GroupDevice>(
  devices: readonly Device[],
): { readonly groups: readonly IommuGroup<Device>[]; readonly ungrouped: readonly Address[] } {
  const { groups, alone } = inGroups(devices);
  return {
    groups: [...groups]
      .sort(([a], [b]) => a - b)
      .map(([group, members]) => ({ group, members, ...stateOf(group, members) })),
    ungrouped: alone.filter((device) => !isBridge(device)).map(({ address }) => address),
  };
}

function stateOf(group: number, members: readonly GroupDevice[]): Pick<IommuGroup<never>, 'state' | 'blocker'> {
  if (members.every(isBridge)) return { state: 'bridges', blocker: null };
  const blocker = groupBlocker(group, members);
  const culprit = members.find(({ address }) => address === blocker?.address);
  if (culprit?.protection && !culprit.protection.overridden && !culprit.offered) return { state: 'protected', blocker };
  // that a group which nobody wants would not be viable is no fault of it
  if (!members.some(({ offered }) => offered)) return { state: 'not_offered', blocker: null };
  return { state: blocker ? 'blocked' : 'viable', blocker };
}

/** Why nothing of the host can be handed over, and what to do; null when its IOMMU is on. */
export function iommuProblem(state: IommuState): Pick<GroupBlocker, 'reason' | 'remedy'> | null {
  if (state === 'on') return null;
  if (state === 'off') {
    const remedy = 'boot the kernel with intel_iommu=on (Intel) or without amd_iommu=off (AMD)';
    return { reason: 'this host has an IOMMU, and its kernel has it off', remedy };
  }
  const remedy = 'turn on VT-d or AMD-Vi in its firmware; a machine that has neither cannot pass devices through';
  return { reason: 'this host has no IOMMU', remedy };
}
