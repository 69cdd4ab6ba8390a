import { Check, Column, Entity, Exclusion, ForeignKey, Index, PrimaryColumn } from 'typeorm';
import type { PlacementRequest } from '../../placement/request.js';
import { DeviceEntity } from './inventory.entities.js';
import type { Fault } from './workload.entities.js';

export const RESERVATION_STATUSES = ['pending', 'active', 'ended', 'cancelled', 'degraded'] as const;
export type ReservationStatus = (typeof RESERVATION_STATUSES)[number];
/** `kept`: it begins soon, nobody gets its devices any more; `active`: who comes with the reservation does. */
export type WindowStatus = 'planned' | 'kept' | 'active' | 'ended';
/** What becomes of the servers that came with a reservation when its window ends. */
export const ON_END = ['keep', 'delete'] as const;
export type OnEnd = (typeof ON_END)[number];

/** As it was asked for; the windows are rows of their own. */
export interface RecurrenceColumn {
  readonly every: 'day' | 'week';
  readonly until: string | null;
  readonly count: number | null;
}

@Entity('reservations')
@Check('reservations_count_check', `count >= 1`)
@Check('reservations_time_check', `starts_at < ends_at`)
@Check('reservations_on_end_check', `on_end IN ('keep', 'delete')`)
@Check('reservations_status_check', `status IN ('pending', 'active', 'ended', 'cancelled', 'degraded')`)
@Index('reservations_created_at_idx', ['created_at', 'id'])
export class ReservationEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'reservations_pkey' }) id: string;
  @Column('text') name: string;
  @Column('text') project_id: string;
  /** Of one server. */
  @Column('jsonb') request: PlacementRequest;
  /** So many servers' worth. */
  @Column('integer') count: number;
  /** Of the first window. */
  @Column('timestamptz') starts_at: Date;
  @Column('timestamptz') ends_at: Date;
  @Column('jsonb', { nullable: true }) recurrence: RecurrenceColumn | null;
  @Column('text') on_end: OnEnd;
  @Column('text') status: ReservationStatus;
  @Column('timestamptz', { default: () => 'now()' }) created_at: Date;
  @Column('timestamptz', { default: () => 'now()' }) updated_at: Date;
}

@Entity('reservation_windows')
@Check('reservation_windows_time_check', `starts_at < ends_at`)
@Check('reservation_windows_status_check', `status IN ('planned', 'kept', 'active', 'ended')`)
@Index('reservation_windows_reservation_id_idx', ['reservation_id', 'starts_at'], { unique: true })
@Index('reservation_windows_open_idx', ['starts_at'], { where: `status <> 'ended'` })
@Index('reservation_windows_kept_idx', ['reservation_id'], { where: `status IN ('kept', 'active')` })
export class ReservationWindowEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'reservation_windows_pkey' }) id: string;
  @Column('uuid')
  @ForeignKey(() => ReservationEntity, { name: 'reservation_windows_reservation_id_fkey', onDelete: 'CASCADE' })
  reservation_id: string;
  @Column('timestamptz') starts_at: Date;
  @Column('timestamptz') ends_at: Date;
  @Column('text') status: WindowStatus;
  /** Why it has not all that was asked for; null: it has. */
  @Column('jsonb', { nullable: true }) fault: Fault | null;
  /** When its devices were given back, which is a little after `ends_at`. */
  @Column('timestamptz', { nullable: true }) ended_at: Date | null;
}

@Entity('reservation_devices')
@Exclusion(
  'reservation_devices_no_overlap',
  `USING gist (uuid_range(device_id, device_id, '[]') WITH &&, during WITH &&)`,
)
@Index('reservation_devices_device_id_idx', ['device_id'])
export class ReservationDeviceEntity {
  @Column('uuid')
  @ForeignKey(() => ReservationEntity, { name: 'reservation_devices_reservation_id_fkey', onDelete: 'CASCADE' })
  reservation_id: string;
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'reservation_devices_pkey' })
  @ForeignKey(() => ReservationWindowEntity, { name: 'reservation_devices_window_id_fkey', onDelete: 'CASCADE' })
  window_id: string;
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'reservation_devices_pkey' })
  @ForeignKey(() => DeviceEntity, { name: 'reservation_devices_device_id_fkey' })
  device_id: string;
  @Column('tstzrange') during: string;
  /** For which of the servers, from 0. */
  @Column('integer') server: number;
  @Column('text', { nullable: true }) alias: string | null;
  /** null: it comes along. */
  @Column('integer', { nullable: true }) request_index: number | null;
}

@Entity('reservation_events')
@Index('reservation_events_reservation_id_idx', ['reservation_id', 'id'])
export class ReservationEventEntity {
  @PrimaryColumn('bigint', {
    generated: 'identity',
    generatedIdentity: 'ALWAYS',
    primaryKeyConstraintName: 'reservation_events_pkey',
  })
  id: number;
  @Column('uuid')
  @ForeignKey(() => ReservationEntity, { name: 'reservation_events_reservation_id_fkey', onDelete: 'CASCADE' })
  reservation_id: string;
  @Column('text') event: string;
  @Column('text') message: string;
  @Column('timestamptz', { default: () => 'clock_timestamp()' }) created_at: Date;
}
