import { ApiProperty, OmitType } from '@nestjs/swagger';
import {
  CountField,
  DISK_GB_MAX,
  IdsField,
  ListField,
  RAM_MB_MAX,
  TextField,
  TextParameter,
  VCPUS_MAX,
} from '../fields.js';
import { PageQuery } from '../page.js';
import { ServerWishesBody } from '../servers/servers.dto.js';
import { DecisionView } from './decision.view.js';

/** Placements of one call. */
export const PLACEMENTS_MAX = 1_000;
export const KEY_LENGTH_MAX = 255;

const OWN_SIZE = 'Without flavor only; 0 when left out: the orchestrator looks after it.';

/** What a placement asks for: as a server, but it is never stopped for others, and has no size unless it says so. */
export class PlacementWishesBody extends OmitType(ServerWishesBody, ['preemptible', 'vcpus', 'ram_mb', 'disk_gb']) {
  @CountField({ min: 0, max: VCPUS_MAX, optional: true, description: OWN_SIZE }) vcpus?: number;
  @CountField({ min: 0, max: RAM_MB_MAX, optional: true, description: OWN_SIZE }) ram_mb?: number;
  @CountField({ min: 0, max: DISK_GB_MAX, optional: true, description: OWN_SIZE }) disk_gb?: number;
}

export class PlacementBody extends PlacementWishesBody {
  @TextField({
    max: KEY_LENGTH_MAX,
    optional: true,
    example: 'pod-7f3c',
    description:
      'Idempotency key of this one, 1 to 255 visible ASCII characters: asked for again with the same wishes, the same placement is answered.',
  })
  key?: string;
  @TextField({ optional: true, description: 'For people; the key when left out.' }) name?: string;
}

export class PlacementsBody {
  @ListField({ of: () => PlacementBody, min: 1, max: PLACEMENTS_MAX })
  placements: PlacementBody[];
}

export class ReleasedIdsBody {
  @IdsField({ max: PLACEMENTS_MAX, description: 'Of placements.' }) ids: string[];
}

export class NativePlacementsQuery extends PageQuery {
  @TextParameter({ description: 'Name or id.' }) host?: string;
  @TextParameter() project_id?: string;
}

export class PlacedHostView {
  @ApiProperty({ type: String, format: 'uuid' }) readonly id: string;
  @ApiProperty({ type: String }) readonly name: string;
}

export class PlacedDeviceView {
  @ApiProperty({ type: String, format: 'uuid' }) readonly id: string;
  @ApiProperty({ type: String, example: '0000:83:00.0' }) readonly address: string;
  @ApiProperty({
    type: String,
    nullable: true,
    description: 'null: a port asked for it, or it came along with its group.',
  })
  readonly alias: string | null;
  @ApiProperty({ type: 'integer', nullable: true, description: 'Which of the wishes it serves, from 0.' })
  readonly request_index: number | null;
}

export const OUTCOMES = ['placed', 'rejected'] as const;

export class PlacementAnswerView {
  @ApiProperty({ type: String, nullable: true }) readonly key: string | null;
  @ApiProperty({ enum: OUTCOMES }) readonly outcome: (typeof OUTCOMES)[number];
  @ApiProperty({ type: Boolean, required: false, description: 'It was there already, under this key.' })
  readonly replayed?: boolean;
  @ApiProperty({ type: String, format: 'uuid', required: false }) readonly id?: string;
  @ApiProperty({ type: PlacedHostView, nullable: true, required: false }) readonly host?: PlacedHostView | null;
  @ApiProperty({ type: [PlacedDeviceView], required: false }) readonly devices?: readonly PlacedDeviceView[];
  @ApiProperty({
    type: String,
    required: false,
    description: 'Of one that was rejected.',
    example: 'placement.no_valid_host',
  })
  readonly code?: string;
  @ApiProperty({ type: String, required: false }) readonly message?: string;
  @ApiProperty({
    type: DecisionView,
    required: false,
    description: 'Why no host serves, of the first one of its kind in the call.',
  })
  readonly decision?: DecisionView;
}

export class PlacementAnswersView {
  @ApiProperty({ type: [PlacementAnswerView], description: 'In the order of the call.' })
  readonly placements: readonly PlacementAnswerView[];
}

export const PLACEMENT_STATES = ['preparing', 'ready', 'failed', 'releasing', 'released'] as const;

export class PlacementView {
  @ApiProperty({ type: String, format: 'uuid' }) readonly id: string;
  @ApiProperty({ type: String, nullable: true }) readonly key: string | null;
  @ApiProperty({ type: String }) readonly name: string;
  @ApiProperty({ type: String }) readonly project_id: string;
  @ApiProperty({
    enum: PLACEMENT_STATES,
    description:
      '`ready`: the devices are bound. `failed`: the agent could not bind them, `fault` says why; delete it.',
  })
  readonly state: (typeof PLACEMENT_STATES)[number];
  @ApiProperty({ type: PlacedHostView, nullable: true }) readonly host: PlacedHostView | null;
  @ApiProperty({ type: [PlacedDeviceView] }) readonly devices: readonly PlacedDeviceView[];
  @ApiProperty({ type: 'object', additionalProperties: true, nullable: true }) readonly fault: object | null;
  @ApiProperty({ type: String, format: 'date-time' }) readonly created_at: Date;
}

export class PlacementPageView {
  @ApiProperty({ type: [PlacementView] }) readonly placements: readonly PlacementView[];
  @ApiProperty({ type: String, nullable: true }) readonly next: string | null;
}

export const RELEASE_OUTCOMES = ['releasing', 'released', 'unknown'] as const;

export class ReleaseAnswerView {
  @ApiProperty({ type: String, format: 'uuid' }) readonly id: string;
  @ApiProperty({ enum: RELEASE_OUTCOMES, description: '`releasing`: the agent gives the devices back.' })
  readonly outcome: (typeof RELEASE_OUTCOMES)[number];
}

export class ReleaseAnswersView {
  @ApiProperty({ type: [ReleaseAnswerView], description: 'In the order of the call.' })
  readonly placements: readonly ReleaseAnswerView[];
}

export class PlacementDecisionView {
  @ApiProperty({ type: String, format: 'date-time' }) readonly decided_at: Date;
  @ApiProperty({ type: String }) readonly host: string;
  @ApiProperty({ type: 'integer', description: "The host's generation that was decided on." })
  readonly generation: number;
  @ApiProperty({ type: Number, nullable: true, description: "The host's score." }) readonly score: number | null;
  @ApiProperty({ type: 'integer', description: 'So many equal requests were decided together.' })
  readonly class_size: number;
  @ApiProperty({ type: DecisionView, description: 'On the first of these: the other hosts, and why they were not it.' })
  readonly first: DecisionView;
}
