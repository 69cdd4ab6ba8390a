import { ApiProperty } from '@nestjs/swagger';
import { applyDecorators } from '@nestjs/common';
import { IsObject, ValidateBy } from 'class-validator';
import { TextParameter } from '../fields.js';
import { HARD_LIMIT_MAX, limitsProblem, RESOURCES_MAX } from './quota-resources.js';

const DESCRIPTION =
  'By resource: `servers`, `vcpus`, `memory_mb`, `disk_gb`, `devices`, `alias:NAME`, `class:RESOURCE_CLASS`, `class:VENDOR:PRODUCT`; ' +
  '-1 is no limit, also where the default is one.';

/** Limits by resource. With `removable`, null stands for one to remove. */
function LimitsField({ removable }: { readonly removable: boolean }): PropertyDecorator {
  const more = removable
    ? ' What is left out stays; null removes a limit.'
    : ' What is left out has no limit of its own.';
  return applyDecorators(
    ApiProperty({
      type: 'object',
      required: true,
      maxProperties: RESOURCES_MAX,
      additionalProperties: { type: 'integer', minimum: -1, maximum: HARD_LIMIT_MAX, nullable: removable },
      example: { 'alias:gpu': 8, 'class:10de:20b0': 4, servers: 100 },
      description: `${DESCRIPTION}${more}`,
    } as never),
    IsObject({ message: 'has to be an object of limits by resource' }),
    ValidateBy({
      name: 'limits',
      validator: {
        validate: (value) => limitsProblem(value, removable) === null,
        defaultMessage: (args) => limitsProblem(args?.value, removable) ?? '',
      },
    }),
  );
}

export class QuotasBody {
  @LimitsField({ removable: false }) limits: Record<string, number>;
}

export class QuotasChangeBody {
  @LimitsField({ removable: true }) limits: Record<string, number | null>;
}

export class QuotasQuery {
  @TextParameter({ description: '`*`: the defaults of every project. The project of the request when left out.' })
  project_id?: string;
}

const NULLABLE_COUNT = { type: 'integer', nullable: true } as const;

export class QuotaView {
  @ApiProperty({ type: String, example: 'alias:gpu' }) readonly resource: string;
  @ApiProperty({ type: 'integer', description: 'What holds: its own, else the default; -1: no limit.' })
  readonly hard_limit: number;
  @ApiProperty({ ...NULLABLE_COUNT, description: 'Of this project; null: as the default.' })
  readonly own_limit: number | null;
  @ApiProperty({ ...NULLABLE_COUNT, description: 'Of every project; null: none.' })
  readonly default_limit: number | null;
  @ApiProperty({
    ...NULLABLE_COUNT,
    description: 'What its servers hold, with what is still being given back; null of the defaults.',
  })
  readonly used: number | null;
}

export class QuotasView {
  @ApiProperty({ type: String }) readonly project_id: string;
  @ApiProperty({ type: [QuotaView], description: 'All that is limited or used.' })
  readonly quotas: readonly QuotaView[];
  @ApiProperty({
    type: [String],
    description: 'What is odd: a limit below what is used, an alias that does not exist.',
  })
  readonly hints: readonly string[];
}
