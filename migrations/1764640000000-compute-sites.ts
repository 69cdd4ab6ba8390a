import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What clients of Nova want to know of hosts, aggregates and server groups, and Berth did not. */
export class ComputeSites1764640000000 implements MigrationInterface {
  name = 'ComputeSites1764640000000';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of UP) await runner.query(statement);
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const statement of DOWN) await runner.query(statement);
  }
}

const UP = [
  `ALTER TABLE hosts
     ADD COLUMN number bigserial,
     ADD COLUMN forced_down boolean NOT NULL DEFAULT false,
     ADD COLUMN ip_address text,
     ADD COLUMN booted_at timestamptz`,
  `CREATE INDEX hosts_number_idx ON hosts (number)`,
  `ALTER TABLE aggregates ADD COLUMN number bigserial`,
  `CREATE INDEX aggregates_number_idx ON aggregates (number)`,
  `ALTER TABLE server_groups ADD COLUMN user_id text NOT NULL DEFAULT ''`,
];

const DOWN = [
  `ALTER TABLE server_groups DROP COLUMN user_id`,
  `ALTER TABLE aggregates DROP COLUMN number`,
  `ALTER TABLE hosts DROP COLUMN number, DROP COLUMN forced_down, DROP COLUMN ip_address, DROP COLUMN booted_at`,
];
