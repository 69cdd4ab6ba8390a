import { ApiProperty } from '@nestjs/swagger';
import type { Decision, HostRejection, HostScore, Placement, Reason } from '../../placement/decision.js';

const FREE_FORM = { type: 'object', additionalProperties: true } as const;

export class ReasonView {
  @ApiProperty({ type: String, example: 'device.all_in_use' }) readonly code: string;
  @ApiProperty({ type: String }) readonly message: string;
  @ApiProperty(FREE_FORM) readonly details: Readonly<Record<string, unknown>>;
}

export class HostRejectionView {
  @ApiProperty({ type: String, example: 'PciPassthroughFilter' }) readonly filter: string;
  @ApiProperty({ type: [String], description: 'At most 20; `host_count` has the full number.' })
  readonly hosts: readonly string[];
  @ApiProperty({ type: 'integer' }) readonly host_count: number;
  @ApiProperty({ type: [ReasonView] }) readonly reasons: readonly ReasonView[];
}

export class ChosenDeviceView {
  @ApiProperty({ type: String, format: 'uuid' }) readonly device_id: string;
  @ApiProperty({ type: String }) readonly address: string;
  @ApiProperty({ type: String, nullable: true, description: 'null: a port asked for it, or it only comes along.' })
  readonly alias: string | null;
  @ApiProperty({ type: String, nullable: true, description: 'Name of the port that asked for it.' })
  readonly port: string | null;
  @ApiProperty({
    type: 'integer',
    nullable: true,
    description: 'null: comes along, for its IOMMU group, slot or card.',
  })
  readonly request_index: number | null;
  @ApiProperty({
    type: 'integer',
    nullable: true,
    description: 'Which of the alternatives of its alias it is, where they have utilities.',
  })
  readonly alternative: number | null;
}

export class HostScoreView {
  @ApiProperty({ type: String }) readonly host: string;
  @ApiProperty({ type: Number }) readonly total: number;
  @ApiProperty({
    type: 'object',
    description: 'By weigher.',
    additionalProperties: {
      type: 'object',
      required: ['raw', 'normalized', 'weighted'],
      properties: { raw: { type: 'number' }, normalized: { type: 'number' }, weighted: { type: 'number' } },
    },
  })
  readonly parts: HostScore['parts'];
}

/** What was decided, and why. */
export class DecisionView {
  @ApiProperty({ type: String, enum: ['placed', 'rejected'] }) readonly outcome: 'placed' | 'rejected';
  @ApiProperty({ type: String, nullable: true }) readonly host: string | null;
  @ApiProperty({ type: String, format: 'uuid', nullable: true }) readonly host_id: string | null;
  @ApiProperty({ type: 'integer', nullable: true, description: "The host's generation that was decided on." })
  readonly generation: number | null;
  @ApiProperty({ type: [ChosenDeviceView] }) readonly devices: readonly ChosenDeviceView[];
  @ApiProperty({
    type: 'array',
    items: { type: 'integer' },
    nullable: true,
    description: "Host NUMA nodes of the guest's, in order.",
  })
  readonly numa_cells: readonly number[] | null;
  @ApiProperty({ type: [HostScoreView], description: 'The winner first.' }) readonly scores: readonly HostScoreView[];
  @ApiProperty({ type: String, nullable: true, description: 'Of a rejection: the commonest cause.' })
  readonly message: string | null;
  @ApiProperty({ type: [HostRejectionView] }) readonly rejections: readonly HostRejectionView[];
  @ApiProperty({ type: 'integer' }) readonly hosts_considered: number;
}

export function decisionView(decision: Decision): DecisionView {
  return {
    outcome: decision.outcome,
    ...(decision.outcome === 'placed' ? placed(decision) : NOWHERE),
    message: decision.outcome === 'rejected' ? decision.message : null,
    rejections: decision.rejections.map(rejectionView),
    hosts_considered: decision.hostsConsidered,
  };
}

type Where = Pick<DecisionView, 'host' | 'host_id' | 'generation' | 'devices' | 'numa_cells' | 'scores'>;

const NOWHERE: Where = { host: null, host_id: null, generation: null, devices: [], numa_cells: null, scores: [] };

function placed(placement: Placement): Where {
  return {
    host: placement.hostName,
    host_id: placement.hostId,
    generation: placement.generation,
    devices: placement.devices.map((device) => ({
      device_id: device.deviceId,
      address: device.address,
      alias: device.alias,
      port: device.port ?? null,
      request_index: device.requestIndex,
      alternative: device.alternative ?? null,
    })),
    numa_cells: placement.numaCells,
    scores: placement.scores.map(({ host, total, parts }) => ({ host, total, parts })),
  };
}

export function rejectionView(rejection: HostRejection): HostRejectionView {
  return {
    filter: rejection.filter,
    hosts: rejection.hosts,
    host_count: rejection.hostCount,
    reasons: rejection.reasons.map(reasonView),
  };
}

function reasonView({ code, message, details }: Reason): ReasonView {
  return { code, message, details };
}
