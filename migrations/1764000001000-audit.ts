import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The audit: what changed devices and what was decided, as a chain of hashes.
 *
 * Transactions write into `audit_pending`, which nobody locks; the sealer moves that into `audit_entries`. Bodies are `json`, not
 * `jsonb`: the hash is of their text. Nothing refers to hosts, devices or servers: the audit outlives them. For the same reason
 * records of decisions are `json` from here on; that costs less to write, too, and nothing looks into them by SQL.
 */
export class Audit1764000001000 implements MigrationInterface {
  name = 'Audit1764000001000';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of UP) await runner.query(statement);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE decisions ALTER COLUMN record TYPE jsonb USING record::jsonb`);
    for (const table of ['audit_anchors', 'audit_entries', 'audit_pending']) await runner.query(`DROP TABLE ${table}`);
  }
}

const NOTHING_BEFORE = '0'.repeat(64);

const UP = [
  `ALTER TABLE decisions ALTER COLUMN record TYPE json USING record::json`,
  `CREATE TABLE audit_pending (
     id bigint GENERATED ALWAYS AS IDENTITY,
     at timestamptz NOT NULL DEFAULT clock_timestamp(),
     writer text NOT NULL,
     body json NOT NULL,
     CONSTRAINT audit_pending_pkey PRIMARY KEY (id)
   )`,
  `CREATE TABLE audit_entries (
     seq bigint NOT NULL,
     at timestamptz NOT NULL,
     writer text NOT NULL,
     body json NOT NULL,
     subjects uuid[] NOT NULL,
     previous_hash text NOT NULL,
     hash text NOT NULL,
     CONSTRAINT audit_entries_pkey PRIMARY KEY (seq)
   )`,
  `CREATE INDEX audit_entries_subjects_idx ON audit_entries USING gin (subjects)`,
  `CREATE TABLE audit_anchors (
     name text NOT NULL,
     seq bigint NOT NULL,
     hash text NOT NULL,
     at timestamptz NOT NULL DEFAULT now(),
     CONSTRAINT audit_anchors_pkey PRIMARY KEY (name),
     CONSTRAINT audit_anchors_name_check CHECK (name IN ('start', 'head'))
   )`,
  `INSERT INTO audit_anchors (name, seq, hash) VALUES ('start', 0, '${NOTHING_BEFORE}'), ('head', 0, '${NOTHING_BEFORE}')`,
];
