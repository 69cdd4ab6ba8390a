import { ApiProperty } from '@nestjs/swagger';
import { fromWireDevice } from '../../messages/wire-device.js';
import { DEVICE_TYPES, isBridge } from '../../pci/device.js';
import { DEVICE_STATUSES } from '../../pci/device-state.js';
import {
  GROUP_STATES,
  iommuGroups,
  iommuProblem,
  IOMMU_STATES,
  type GroupState,
  type IommuGroup,
  type IommuState,
} from '../../pci/iommu-groups.js';
import type { DeviceRow, HostRow } from '../../store/inventory-views.store.js';
import { HolderView } from '../device-specs/device-specs.dto.js';
import { CountParameter, WordField } from '../fields.js';

/** The most groups in one answer, and the most members of one group in it. */
export const GROUPS_SHOWN_MAX = 1000;
export const MEMBERS_SHOWN_MAX = 300;
const GROUP_MAX = 1_000_000;

export class IommuGroupsQuery {
  @CountParameter({ min: 0, max: GROUP_MAX }) group?: number;
  @WordField({ words: GROUP_STATES, optional: true }) state?: GroupState;
}

export class GroupMemberView {
  @ApiProperty({ type: String, example: '0000:83:00.0' }) readonly address: string;
  @ApiProperty({ type: String }) readonly vendor_id: string;
  @ApiProperty({ type: String }) readonly product_id: string;
  @ApiProperty({ type: String, description: 'Six hex digits.' }) readonly class_code: string;
  @ApiProperty({ type: String, enum: [...DEVICE_TYPES] }) readonly device_type: string;
  @ApiProperty({ type: String, nullable: true, description: 'As last reported.' }) readonly driver: string | null;
  @ApiProperty({ type: Boolean, description: 'Never handed over, and does no harm.' }) readonly bridge: boolean;
  @ApiProperty({ type: Boolean }) readonly offered: boolean;
  @ApiProperty({ type: String, enum: [...DEVICE_STATUSES] }) readonly status: string;
  @ApiProperty({ type: HolderView, nullable: true, description: 'The server that has it.' })
  readonly server: HolderView | null;
  @ApiProperty({ type: [String], description: 'What the host itself needs it for: `default_route`, …' })
  readonly protection: readonly string[];
}

export class GroupBlockerView {
  @ApiProperty({ type: String, nullable: true, description: 'The member that is in the way.' })
  readonly address: string | null;
  @ApiProperty({ type: String }) readonly reason: string;
  @ApiProperty({ type: String, description: 'What to do about it.' }) readonly remedy: string;
}

export class IommuGroupView {
  @ApiProperty({ type: 'integer' }) readonly group: number;
  @ApiProperty({
    type: String,
    enum: [...GROUP_STATES],
    description:
      '`viable`: can be handed over whole, now or when its members are free. `protected`: the host needs a member itself. ' +
      '`blocked`: something else keeps it. `not_offered`: nobody offers a member. `bridges`: there is nothing to offer.',
  })
  readonly state: GroupState;
  @ApiProperty({ type: GroupBlockerView, nullable: true }) readonly blocker: GroupBlockerView | null;
  @ApiProperty({ type: [GroupMemberView], description: `In address order; at most ${MEMBERS_SHOWN_MAX}.` })
  readonly members: readonly GroupMemberView[];
  @ApiProperty({ type: 'integer' }) readonly members_count: number;
}

export class HostIommuView {
  @ApiProperty({ type: String, enum: [...IOMMU_STATES] }) readonly state: IommuState;
  @ApiProperty({ type: String, nullable: true, description: 'Why nothing can be handed over; null: the IOMMU is on.' })
  readonly problem: string | null;
  @ApiProperty({ type: String, nullable: true }) readonly remedy: string | null;
}

export class IommuGroupsView {
  @ApiProperty({ type: String }) readonly host: string;
  @ApiProperty({ type: String, format: 'uuid' }) readonly host_id: string;
  @ApiProperty({ type: 'integer', description: "The host's, when this was true of it." }) readonly generation: number;
  @ApiProperty({ type: HostIommuView }) readonly iommu: HostIommuView;
  @ApiProperty({ type: [IommuGroupView], description: 'By number.' }) readonly groups: readonly IommuGroupView[];
  @ApiProperty({ type: 'integer', description: 'Groups that match and are not shown, because they are too many.' })
  readonly left_out: number;
  @ApiProperty({
    type: 'integer',
    description: 'Devices without a group, bridges left out: they cannot be handed over.',
  })
  readonly ungrouped_count: number;
}

/** @param rows all devices of the host that are present */
export function iommuGroupsView(
  host: HostRow,
  rows: readonly DeviceRow[],
  { group, state }: IommuGroupsQuery,
): IommuGroupsView {
  const { groups, ungrouped } = iommuGroups(
    rows.map((row) => ({
      ...fromWireDevice(row.facts),
      row,
      // one that was withdrawn while in use goes on to hold its group
      offered: row.facts.offer !== null || row.server_id !== null,
    })),
  );
  const wanted = groups.filter((one) => one.group === (group ?? one.group) && one.state === (state ?? one.state));
  // an older agent does not say: that there are groups says enough
  const iommu = host.iommu?.state ?? (groups.length > 0 ? 'on' : 'none');
  const problem = iommuProblem(iommu);
  return {
    host: host.name,
    host_id: host.id,
    generation: host.generation,
    iommu: { state: iommu, problem: problem?.reason ?? null, remedy: problem?.remedy ?? null },
    groups: wanted.slice(0, GROUPS_SHOWN_MAX).map(groupView),
    left_out: Math.max(0, wanted.length - GROUPS_SHOWN_MAX),
    ungrouped_count: ungrouped.length,
  };
}

function groupView({ group, state, blocker, members }: IommuGroup<{ readonly row: DeviceRow }>): IommuGroupView {
  return {
    group,
    state,
    blocker: blocker && { address: blocker.address, reason: blocker.reason, remedy: blocker.remedy },
    members: members.slice(0, MEMBERS_SHOWN_MAX).map(({ row }) => memberView(row)),
    members_count: members.length,
  };
}

function memberView({ facts, offered, status, server_id, server_name }: DeviceRow): GroupMemberView {
  const { address, vendor_id, product_id, class_code, device_type, driver, protection } = facts;
  return {
    ...{ address, vendor_id, product_id, class_code, device_type, driver },
    bridge: isBridge({ classCode: class_code }),
    offered,
    status,
    server: server_id === null || server_name === null ? null : { id: server_id, name: server_name },
    protection: protection?.reasons.map(({ code }) => code) ?? [],
  };
}
