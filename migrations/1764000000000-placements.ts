import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Placements for orchestrators that have no servers here, and what makes large batches cheap.
 *
 * A placement is a row of `servers` with its idempotency key in it. What was decided on many placements of a kind at once is written
 * once (`decision_classes`); there is no foreign key to it, as neither is ever deleted without the other.
 *
 * Who follows the hosts reads only what may have changed: `hosts.facts_generation` is the generation at which anything but who has what
 * was changed last, and `hosts.revision` counts what changes nothing for a decision, as that a claim is confirmed.
 * Rows that are updated in place again and again have room for it on their page.
 */
export class Placements1764000000000 implements MigrationInterface {
  name = 'Placements1764000000000';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of UP) await runner.query(statement);
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const statement of DOWN) await runner.query(statement);
  }
}

const UP = [
  `ALTER TABLE servers ADD COLUMN kind text NOT NULL DEFAULT 'server', ADD COLUMN placement_key text,
     ADD COLUMN placement_hash text, ADD COLUMN decision_class_id uuid`,
  `ALTER TABLE servers ADD CONSTRAINT servers_kind_check CHECK (kind IN ('server', 'placement'))`,
  `CREATE UNIQUE INDEX servers_one_placement_per_key ON servers (project_id, placement_key) WHERE placement_key IS NOT NULL`,
  `CREATE TABLE decision_classes (
     id uuid NOT NULL,
     record json NOT NULL,
     created_at timestamptz NOT NULL DEFAULT now(),
     CONSTRAINT decision_classes_pkey PRIMARY KEY (id)
   )`,
  `ALTER TABLE hosts ADD COLUMN revision bigint NOT NULL DEFAULT 0, ADD COLUMN facts_generation bigint NOT NULL DEFAULT 0`,
  `UPDATE hosts SET facts_generation = generation`,
  `ALTER TABLE hosts SET (fillfactor = 50)`,
  `ALTER TABLE devices SET (fillfactor = 80)`,
];

/** The older program knows servers only: placements that hold something are servers to it, and are deleted like these. */
const DOWN = [
  `ALTER TABLE devices RESET (fillfactor)`,
  `ALTER TABLE hosts RESET (fillfactor)`,
  `ALTER TABLE hosts DROP COLUMN facts_generation, DROP COLUMN revision`,
  `DROP TABLE decision_classes`,
  `DROP INDEX servers_one_placement_per_key`,
  `ALTER TABLE servers DROP CONSTRAINT servers_kind_check`,
  `ALTER TABLE servers DROP COLUMN decision_class_id, DROP COLUMN placement_hash, DROP COLUMN placement_key, DROP COLUMN kind`,
];
