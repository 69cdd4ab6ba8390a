import { ApiProperty } from '@nestjs/swagger';
import type { AggregateRow } from '../../store/aggregates.store.js';
import { TextField, TextMapField } from '../fields.js';

export class AggregateBody {
  @TextField({ example: 'fast-nics' }) name: string;
  @TextField({ optional: true, example: 'room-2', description: 'Of all its hosts.' }) availability_zone?: string;
  @TextMapField({ optional: true, example: { ssd: 'true' }, description: 'What filters and weighers look at.' })
  metadata?: Record<string, string>;
}

/** What is left out stays as it is. */
export class AggregateChangeBody {
  @TextField({ optional: true }) name?: string;
  @ApiProperty({ nullable: true })
  @TextField({ optional: true, description: 'null: it says nothing of zones any more.' })
  availability_zone?: string | null;
  @TextMapField({ optional: true, removable: true, description: 'Keys to set; null removes one. Others stay.' })
  metadata?: Record<string, string | null>;
}

export class AggregateView {
  @ApiProperty({ type: String, format: 'uuid' }) readonly id: string;
  @ApiProperty({ type: String }) readonly name: string;
  @ApiProperty({ type: String, nullable: true }) readonly availability_zone: string | null;
  @ApiProperty({ type: 'object', additionalProperties: { type: 'string' } })
  readonly metadata: Readonly<Record<string, string>>;
  @ApiProperty({ type: [String], description: 'Names, the first thousand; `GET /v1/hosts?aggregate=` has all.' })
  readonly hosts: readonly string[];
  @ApiProperty({ type: 'integer' }) readonly host_count: number;
  @ApiProperty({ type: 'integer', description: 'Counts its changes, those of its hosts among them.' })
  readonly generation: number;
  @ApiProperty({ type: String, format: 'date-time' }) readonly created_at: Date;
  @ApiProperty({ type: String, format: 'date-time' }) readonly updated_at: Date;
}

export class AggregatePageView {
  @ApiProperty({ type: [AggregateView] }) readonly aggregates: readonly AggregateView[];
  @ApiProperty({ type: String, nullable: true }) readonly next: string | null;
}

export function aggregateView(row: AggregateRow): AggregateView {
  const { id, name, availability_zone, metadata, hosts, host_count, generation, created_at, updated_at } = row;
  return { id, name, availability_zone, metadata, hosts, host_count, generation, created_at, updated_at };
}
