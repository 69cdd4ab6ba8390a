import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Devices that are kept for a time. `reservation_devices_no_overlap` is what makes it impossible that two reservations keep one
 * device at one time, whatever the code does. A device is in it as a range of one id, of a range type of our own: so GiST, which
 * has ranges but no plain equality of ids, needs no extension.
 */
export class Reservations1764000003000 implements MigrationInterface {
  name = 'Reservations1764000003000';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of UP) await runner.query(statement);
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const statement of DOWN) await runner.query(statement);
  }
}

const UP = [
  `CREATE TYPE uuid_range AS RANGE (subtype = uuid)`,
  `CREATE TABLE reservations (
     id uuid NOT NULL,
     name text NOT NULL,
     project_id text NOT NULL,
     request jsonb NOT NULL,
     count integer NOT NULL,
     starts_at timestamptz NOT NULL,
     ends_at timestamptz NOT NULL,
     recurrence jsonb,
     on_end text NOT NULL,
     status text NOT NULL,
     created_at timestamptz NOT NULL DEFAULT now(),
     updated_at timestamptz NOT NULL DEFAULT now(),
     CONSTRAINT reservations_pkey PRIMARY KEY (id),
     CONSTRAINT reservations_count_check CHECK (count >= 1),
     CONSTRAINT reservations_time_check CHECK (starts_at < ends_at),
     CONSTRAINT reservations_on_end_check CHECK (on_end IN ('keep', 'delete')),
     CONSTRAINT reservations_status_check CHECK (status IN ('pending', 'active', 'ended', 'cancelled', 'degraded'))
   )`,
  `CREATE INDEX reservations_created_at_idx ON reservations (created_at, id)`,
  `CREATE TABLE reservation_windows (
     id uuid NOT NULL,
     reservation_id uuid NOT NULL,
     starts_at timestamptz NOT NULL,
     ends_at timestamptz NOT NULL,
     status text NOT NULL,
     fault jsonb,
     ended_at timestamptz,
     CONSTRAINT reservation_windows_pkey PRIMARY KEY (id),
     CONSTRAINT reservation_windows_reservation_id_fkey FOREIGN KEY (reservation_id)
       REFERENCES reservations (id) ON DELETE CASCADE,
     CONSTRAINT reservation_windows_time_check CHECK (starts_at < ends_at),
     CONSTRAINT reservation_windows_status_check CHECK (status IN ('planned', 'kept', 'active', 'ended'))
   )`,
  `CREATE UNIQUE INDEX reservation_windows_reservation_id_idx ON reservation_windows (reservation_id, starts_at)`,
  `CREATE INDEX reservation_windows_open_idx ON reservation_windows (starts_at) WHERE status <> 'ended'`,
  `CREATE INDEX reservation_windows_kept_idx ON reservation_windows (reservation_id) WHERE status IN ('kept', 'active')`,
  `CREATE TABLE reservation_devices (
     reservation_id uuid NOT NULL,
     window_id uuid NOT NULL,
     device_id uuid NOT NULL,
     during tstzrange NOT NULL,
     server integer NOT NULL,
     alias text,
     request_index integer,
     CONSTRAINT reservation_devices_pkey PRIMARY KEY (window_id, device_id),
     CONSTRAINT reservation_devices_reservation_id_fkey FOREIGN KEY (reservation_id)
       REFERENCES reservations (id) ON DELETE CASCADE,
     CONSTRAINT reservation_devices_window_id_fkey FOREIGN KEY (window_id)
       REFERENCES reservation_windows (id) ON DELETE CASCADE,
     CONSTRAINT reservation_devices_device_id_fkey FOREIGN KEY (device_id) REFERENCES devices (id),
     CONSTRAINT reservation_devices_no_overlap
       EXCLUDE USING gist (uuid_range(device_id, device_id, '[]') WITH &&, during WITH &&)
   )`,
  `CREATE INDEX reservation_devices_device_id_idx ON reservation_devices (device_id)`,
  `CREATE TABLE reservation_events (
     id bigint GENERATED ALWAYS AS IDENTITY,
     reservation_id uuid NOT NULL,
     event text NOT NULL,
     message text NOT NULL,
     created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
     CONSTRAINT reservation_events_pkey PRIMARY KEY (id),
     CONSTRAINT reservation_events_reservation_id_fkey FOREIGN KEY (reservation_id)
       REFERENCES reservations (id) ON DELETE CASCADE
   )`,
  `CREATE INDEX reservation_events_reservation_id_idx ON reservation_events (reservation_id, id)`,
  `CREATE INDEX servers_reservation_idx ON servers ((request ->> 'reservation')) WHERE request ->> 'reservation' IS NOT NULL`,
];

/** The older program knows no reservations: what is kept goes back to all. */
const DOWN = [
  `DROP INDEX servers_reservation_idx`,
  `DROP TABLE reservation_events`,
  `DROP TABLE reservation_devices`,
  `DROP TABLE reservation_windows`,
  `DROP TABLE reservations`,
  `DROP TYPE uuid_range`,
  `UPDATE hosts SET generation = generation + 1, changed_xid = (pg_current_xact_id()::text)::bigint`,
];
