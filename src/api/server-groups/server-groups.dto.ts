import { ApiProperty } from '@nestjs/swagger';
import type { GroupMember, ServerGroupRow } from '../../store/server-groups.store.js';
import { CountField, TextField, WordField } from '../fields.js';

export const POLICIES = ['affinity', 'anti-affinity', 'soft-affinity', 'soft-anti-affinity'] as const;
export const PER_HOST_MAX = 1000;

export class ServerGroupBody {
  @TextField({ example: 'database' }) name: string;
  @WordField({ words: POLICIES }) policy: (typeof POLICIES)[number];
  @CountField({
    min: 1,
    max: PER_HOST_MAX,
    optional: true,
    description: 'With anti-affinity only: how many members one host may have; 1 when left out.',
  })
  max_server_per_host?: number;
}

export class ServerGroupMemberView {
  @ApiProperty({ type: String, format: 'uuid' }) readonly id: string;
  @ApiProperty({ type: String }) readonly name: string;
  @ApiProperty({ type: String }) readonly status: string;
  @ApiProperty({ type: String, nullable: true }) readonly host: string | null;
}

/** A server group in a list. */
export class ServerGroupSummaryView {
  @ApiProperty({ type: String, format: 'uuid' }) readonly id: string;
  @ApiProperty({ type: String }) readonly name: string;
  @ApiProperty({ type: String }) readonly project_id: string;
  @ApiProperty({ type: String, description: 'Who made it; empty: that was not written down.' })
  readonly user_id: string;
  @ApiProperty({ type: String, enum: [...POLICIES] }) readonly policy: string;
  @ApiProperty({ type: 'integer', description: 'Of anti-affinity.' }) readonly max_server_per_host: number;
  @ApiProperty({ type: 'integer' }) readonly member_count: number;
  @ApiProperty({ type: String, format: 'date-time' }) readonly created_at: Date;
}

export class ServerGroupView extends ServerGroupSummaryView {
  @ApiProperty({ type: [ServerGroupMemberView], description: 'Oldest first; the first thousand.' })
  readonly members: readonly ServerGroupMemberView[];
}

export class ServerGroupPageView {
  @ApiProperty({ type: [ServerGroupSummaryView] }) readonly server_groups: readonly ServerGroupSummaryView[];
  @ApiProperty({ type: String, nullable: true }) readonly next: string | null;
}

export function serverGroupSummaryView(row: ServerGroupRow): ServerGroupSummaryView {
  const { id, name, project_id, user_id, policy, max_server_per_host, member_count, created_at } = row;
  return { id, name, project_id, user_id, policy, max_server_per_host, member_count, created_at };
}

export function serverGroupView(row: ServerGroupRow, members: readonly GroupMember[]): ServerGroupView {
  return {
    ...serverGroupSummaryView(row),
    members: members.map(({ id, name, status, host }) => ({ id, name, status, host })),
  };
}
