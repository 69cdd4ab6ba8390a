import { ApiProperty } from '@nestjs/swagger';
import { Type } from 'class-transformer';
import {
  ArrayMaxSize,
  ArrayMinSize,
  ArrayUnique,
  IsArray,
  IsObject,
  IsOptional,
  IsString,
  Matches,
  MaxLength,
  ValidateNested,
} from 'class-validator';
import { COPIES_MAX } from '../../placement/capacity.js';
import { MOVES_MAX } from '../../placement/defragment.js';
import { CountField, IdsField, NAME_LENGTH_MAX, PLAIN_TEXT } from '../fields.js';
import { ServerWishesBody } from '../servers/servers.dto.js';

const KEPT_MAX = 10_000;
const ALIASES_MAX = 16;
const TRIALS_MAX = 1_000_000;

/** That so many servers like this fit beside those that are there. */
export class GoalBody extends ServerWishesBody {
  @CountField({ min: 1, max: COPIES_MAX, optional: true, description: '1 when left out.' }) count?: number;
}

export class DefragmentationBody {
  @ApiProperty({
    type: GoalBody,
    required: false,
    description: 'What has to fit. Without: that the next server, of the mix there is, can use more of what is free.',
  })
  @IsOptional()
  @IsObject({ message: 'has to be an object' })
  @ValidateNested()
  @Type(() => GoalBody)
  goal?: GoalBody;

  @ApiProperty({ type: [String], required: false, description: 'Without goal: for which aliases; needed then.' })
  @IsOptional()
  @ArrayMinSize(1, { message: 'is empty' })
  @ArrayMaxSize(ALIASES_MAX, { message: `has more than ${ALIASES_MAX} names` })
  @ArrayUnique({ message: 'names an alias twice' })
  @IsString({ each: true, message: 'has to be a list of names' })
  @MaxLength(NAME_LENGTH_MAX, { each: true, message: `has a name of more than ${NAME_LENGTH_MAX} characters` })
  @Matches(PLAIN_TEXT, { each: true, message: 'has a control character in it' })
  @IsArray({ message: 'has to be a list of names' })
  aliases?: string[];

  @IdsField({ max: KEPT_MAX, optional: true, description: 'Servers that must not be moved.' }) keep?: string[];

  @CountField({ min: 1, max: MOVES_MAX, optional: true, description: '100 when left out.' }) moves_max?: number;

  @CountField({
    min: 1,
    max: TRIALS_MAX,
    optional: true,
    description: 'How many hosts are judged and moves decided before the search gives up; 50000 when left out.',
  })
  trials_max?: number;
}

export class MoveView {
  @ApiProperty({ type: String, format: 'uuid' }) readonly server_id: string;
  @ApiProperty({ type: String }) readonly server_name: string;
  @ApiProperty({ type: String }) readonly from_host: string;
  @ApiProperty({ type: String }) readonly to_host: string;
  @ApiProperty({ type: [String], description: 'Addresses on the host that it leaves.' })
  readonly gives_back: readonly string[];
  @ApiProperty({
    type: [String],
    description: 'Addresses on the host that it comes to; they are free before it leaves.',
  })
  readonly takes: readonly string[];
  @ApiProperty({ type: 'integer' }) readonly memory_mb: number;
}

export class PlanCostView {
  @ApiProperty({ type: 'integer' }) readonly moves: number;
  @ApiProperty({ type: 'integer' }) readonly devices: number;
  @ApiProperty({ type: 'integer' }) readonly memory_mb: number;
}

/** Servers that the plan leaves where they are, by why. */
export class StayingView {
  @ApiProperty({ type: 'integer', description: 'On their way, or being released.' }) readonly not_settled: number;
  @ApiProperty({ type: 'integer', description: 'As the request says.' }) readonly kept: number;
  @ApiProperty({ type: 'integer' }) readonly request_unknown: number;
  @ApiProperty({ type: 'integer', description: 'They have to be where others are, or others where they are.' })
  readonly affinity: number;
}

export class DefragmentationPlanView {
  @ApiProperty({ type: String, enum: ['nothing_to_do', 'reached', 'improved', 'no_gain'] })
  readonly outcome: 'nothing_to_do' | 'reached' | 'improved' | 'no_gain';
  @ApiProperty({
    type: Number,
    description:
      'With a goal: how many fit. Without: the expected number of free devices that the next server cannot use.',
  })
  readonly before: number;
  @ApiProperty({ type: Number }) readonly after: number;
  @ApiProperty({ type: Number, description: 'How many more fit, or how many more free devices can be used.' })
  readonly gain: number;
  @ApiProperty({ type: [MoveView], description: 'In the order in which they can be carried out.' })
  readonly moves: readonly MoveView[];
  @ApiProperty({ type: PlanCostView }) readonly cost: PlanCostView;
  @ApiProperty({
    type: 'integer',
    nullable: true,
    description:
      'No plan that reaches the goal has fewer moves; null: not known, or no plan reaches it within `moves_max`.',
  })
  readonly moves_at_least: number | null;
  @ApiProperty({ type: 'integer' }) readonly trials: number;
  @ApiProperty({ type: Boolean, description: 'The search gave up at `trials_max`: there may be a better plan.' })
  readonly cut_short: boolean;
  @ApiProperty({ type: StayingView }) readonly staying: StayingView;
}
