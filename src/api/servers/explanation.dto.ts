import { ApiProperty } from '@nestjs/swagger';
import { DISTANCES, type Distance } from '../../pci/topology.js';
import { FlagParameter } from '../fields.js';
import { ConstraintOutcomeView, HostRejectionView, type View, ViewQuery, VIEWS } from '../placements/decision.view.js';
import { SmallestChangesView } from './explanation-changes.js';

export class ExplanationQuery extends ViewQuery {
  @FlagParameter({ description: 'Whether to look for the smallest changes when it was rejected; true when left out.' })
  changes?: boolean;
}

export class FilterCountView {
  @ApiProperty({ type: String, example: 'PciPassthroughFilter' }) readonly filter: string;
  @ApiProperty({ type: 'integer', description: 'How many hosts it turned down.' }) readonly host_count: number;
}

export class ComparedScoreView {
  @ApiProperty({ type: 'integer', description: '1: the winner.' }) readonly rank: number;
  @ApiProperty({ type: String, nullable: true, description: 'null for a project.' }) readonly host: string | null;
  @ApiProperty({ type: Number }) readonly total: number;
  @ApiProperty({ type: Number, description: "The winner's total less this one." }) readonly delta: number;
  @ApiProperty({
    type: String,
    nullable: true,
    description: 'The weigher that set the winner farthest apart from it; null: none did, the order of names decided.',
  })
  readonly decided_by: string | null;
  @ApiProperty({
    type: 'object',
    description: 'By weigher. `delta`: how much of its part the winner is ahead. Values of hosts are for admins.',
    additionalProperties: {
      type: 'object',
      required: ['raw', 'normalized', 'weighted', 'delta'],
      properties: {
        raw: { type: 'number', nullable: true },
        normalized: { type: 'number' },
        weighted: { type: 'number' },
        delta: { type: 'number' },
      },
    },
  })
  readonly parts: Readonly<Record<string, ComparedPart>>;
}

export interface ComparedPart {
  readonly raw: number | null;
  readonly normalized: number;
  readonly weighted: number;
  readonly delta: number;
}

export class ExplainedConstraintView extends ConstraintOutcomeView {
  @ApiProperty({ type: String, example: 'gpu,nic within PXB' }) readonly text: string;
}

/** The latest decision about a server, told. */
export class ExplanationView {
  @ApiProperty({ type: String, format: 'uuid' }) readonly server_id: string;
  @ApiProperty({ type: String }) readonly server_name: string;
  @ApiProperty({ type: String }) readonly status: string;
  @ApiProperty({ type: String, enum: [...VIEWS] }) readonly view: View;
  @ApiProperty({ type: String, format: 'uuid', nullable: true, description: 'null: nothing was decided yet.' })
  readonly decision_id: string | null;
  @ApiProperty({ type: 'integer', nullable: true }) readonly attempt: number | null;
  @ApiProperty({ type: String, format: 'date-time', nullable: true }) readonly decided_at: Date | null;
  @ApiProperty({ type: String, enum: ['placed', 'rejected'], nullable: true })
  readonly outcome: 'placed' | 'rejected' | null;
  @ApiProperty({ type: String, nullable: true, description: 'null: nowhere, or for a project.' })
  readonly host: string | null;
  @ApiProperty({ type: [String], description: 'All of it in words.' }) readonly sentences: readonly string[];
  @ApiProperty({ type: 'integer' }) readonly hosts_considered: number;
  @ApiProperty({ type: [FilterCountView], description: 'Most hosts first.' })
  readonly filters: readonly FilterCountView[];
  @ApiProperty({ type: [HostRejectionView], description: 'Hosts with equal reasons are one group; the largest first.' })
  readonly rejections: readonly HostRejectionView[];
  @ApiProperty({ type: [ComparedScoreView], description: 'The winner, then the hosts that come next.' })
  readonly scores: readonly ComparedScoreView[];
  @ApiProperty({ type: String, enum: [...DISTANCES], nullable: true }) readonly spread: Distance | null;
  @ApiProperty({ type: [ExplainedConstraintView] }) readonly constraints: readonly ExplainedConstraintView[];
  @ApiProperty({
    type: SmallestChangesView,
    nullable: true,
    description: 'Of a rejection: what would make it fit, on the hosts as they are now.',
  })
  readonly changes: SmallestChangesView | null;
}
