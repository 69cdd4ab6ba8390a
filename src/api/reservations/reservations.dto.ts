import { ApiProperty, OmitType } from '@nestjs/swagger';
import { Type } from 'class-transformer';
import { IsObject, IsOptional, ValidateNested } from 'class-validator';
import { WINDOWS_MAX } from '../../placement/reservation-windows.js';
import { ON_END, type OnEnd, RESERVATION_STATUSES } from '../../store/entities/reservation.entities.js';
import { CountField, TextField, TimeField, WordField } from '../fields.js';
import { PageQuery } from '../page.js';
import { ServerWishesBody } from '../servers/servers.dto.js';

const ADMINS_ONLY = 'null: for administrators only.';

export const SERVERS_MAX = 100;

export class RecurrenceBody {
  @WordField({ words: ['day', 'week'], description: 'A day has 24 hours, a week seven days.' }) every: 'day' | 'week';
  @TimeField({ optional: true, description: 'No window begins later. One of `until` and `count` has to be said.' })
  until?: string;
  @CountField({ min: 1, max: WINDOWS_MAX, optional: true, description: 'So many windows in all.' }) count?: number;
}

/** What one server would ask for, for how many, and when. */
export class ReservationBody extends OmitType(ServerWishesBody, ['reservation'] as const) {
  @TextField({ example: 'training on Mondays' }) name: string;
  @CountField({ min: 1, max: SERVERS_MAX, optional: true, description: 'For so many servers; 1 when left out.' })
  count?: number;
  @TimeField({ optional: true, example: '2026-03-02T08:00:00+01:00', description: 'Now, when left out.' })
  starts_at?: string;
  @TimeField({ example: '2026-03-02T18:00:00+01:00', description: 'At most 366 days after `starts_at`.' })
  ends_at: string;

  @ApiProperty({ type: RecurrenceBody, required: false })
  @IsOptional()
  @IsObject({ message: 'has to be an object' })
  @ValidateNested()
  @Type(() => RecurrenceBody)
  recurrence?: RecurrenceBody;

  @WordField({
    words: ON_END,
    optional: true,
    description: 'What becomes of its servers when a window ends; `keep` when left out: they go on.',
  })
  on_end?: OnEnd;
}

export class ReservationChangeBody {
  @TextField({ optional: true }) name?: string;
  @TimeField({ optional: true, description: 'Later or earlier, but in the future; of a reservation with one window.' })
  ends_at?: string;
  @WordField({ words: ON_END, optional: true }) on_end?: OnEnd;
}

export class ReservationsQuery extends PageQuery {
  @WordField({ words: RESERVATION_STATUSES, optional: true }) status?: (typeof RESERVATION_STATUSES)[number];
}

export class ReservedDeviceView {
  @ApiProperty({ type: String, format: 'uuid' }) readonly id: string;
  @ApiProperty({ type: String, nullable: true, example: '0000:83:00.0', description: ADMINS_ONLY }) readonly address:
    string | null;
  @ApiProperty({ type: String, nullable: true, description: ADMINS_ONLY }) readonly host: string | null;
  @ApiProperty({ type: 'integer', description: 'For which of the servers, from 1.' }) readonly server: number;
  @ApiProperty({ type: String, nullable: true, description: 'null: a port asked for it, or it only comes along.' })
  readonly alias: string | null;
  @ApiProperty({ type: String, format: 'uuid', nullable: true, description: 'The server that has it now.' })
  readonly in_use_by: string | null;
}

export class ReservationFaultView {
  @ApiProperty({ type: String }) readonly code: string;
  @ApiProperty({ type: String }) readonly message: string;
}

export class ReservationWindowView {
  @ApiProperty({ type: String, format: 'date-time' }) readonly starts_at: Date;
  @ApiProperty({ type: String, format: 'date-time' }) readonly ends_at: Date;
  @ApiProperty({ type: String, enum: ['planned', 'kept', 'active', 'ended'] }) readonly status: string;
  @ApiProperty({ type: ReservationFaultView, nullable: true, description: 'Why it has not all that was asked for.' })
  readonly fault: ReservationFaultView | null;
  @ApiProperty({ type: [ReservedDeviceView] }) readonly devices: readonly ReservedDeviceView[];
}

export class ReservationRecurrenceView {
  @ApiProperty({ type: String, enum: ['day', 'week'] }) readonly every: string;
  @ApiProperty({ type: String, nullable: true }) readonly until: string | null;
  @ApiProperty({ type: 'integer', nullable: true }) readonly count: number | null;
}

export class ReservationSummaryView {
  @ApiProperty({ type: String, format: 'uuid' }) readonly id: string;
  @ApiProperty({ type: String }) readonly name: string;
  @ApiProperty({ type: String }) readonly project_id: string;
  @ApiProperty({ type: String, enum: [...RESERVATION_STATUSES] }) readonly status: string;
  @ApiProperty({ type: 'integer' }) readonly count: number;
  @ApiProperty({ type: [String], description: 'Of one server.', example: ['gpu:2'] })
  readonly devices_asked: readonly string[];
  @ApiProperty({ type: String, format: 'date-time', description: 'Of the first window.' }) readonly starts_at: Date;
  @ApiProperty({ type: String, format: 'date-time' }) readonly ends_at: Date;
  @ApiProperty({ type: ReservationRecurrenceView, nullable: true })
  readonly recurrence: ReservationRecurrenceView | null;
  @ApiProperty({ type: String, enum: [...ON_END] }) readonly on_end: string;
  @ApiProperty({ type: String, format: 'date-time' }) readonly created_at: Date;
}

export class ReservationEventView {
  @ApiProperty({ type: String }) readonly event: string;
  @ApiProperty({ type: String }) readonly message: string;
  @ApiProperty({ type: String, format: 'date-time' }) readonly created_at: Date;
}

export class ReservationView extends ReservationSummaryView {
  @ApiProperty({ type: [ReservationWindowView], description: 'In order.' })
  readonly windows: readonly ReservationWindowView[];
  @ApiProperty({ type: [ReservationEventView], description: 'The latest hundred, oldest first.' })
  readonly events: readonly ReservationEventView[];
}

export class ReservationPageView {
  @ApiProperty({ type: [ReservationSummaryView] }) readonly reservations: readonly ReservationSummaryView[];
  @ApiProperty({ type: String, nullable: true }) readonly next: string | null;
}
