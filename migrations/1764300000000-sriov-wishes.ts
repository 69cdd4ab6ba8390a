import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What administrators wish of the VFs of hosts, and what agents say of VFs that something is said of. */
export class SriovWishes1764300000000 implements MigrationInterface {
  name = 'SriovWishes1764300000000';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of UP) await runner.query(statement);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE sriov_wishes`);
    await runner.query(`ALTER TABLE hosts DROP COLUMN sriov, DROP COLUMN sriov_revision`);
  }
}

const UP = [
  `ALTER TABLE hosts ADD COLUMN sriov jsonb, ADD COLUMN sriov_revision bigint NOT NULL DEFAULT 0`,
  `CREATE TABLE sriov_wishes (
     host_id uuid NOT NULL,
     address text NOT NULL,
     revision bigint NOT NULL,
     vendor_id text NOT NULL,
     product_id text NOT NULL,
     vf_count integer NOT NULL,
     autoprobe boolean,
     vfs jsonb,
     state text NOT NULL,
     holds boolean NOT NULL,
     step text,
     errno text,
     message text,
     vf_problems jsonb NOT NULL DEFAULT '[]',
     asked_at timestamptz NOT NULL DEFAULT now(),
     sent_at timestamptz NOT NULL DEFAULT now(),
     answered_at timestamptz,
     CONSTRAINT sriov_wishes_pkey PRIMARY KEY (host_id, address),
     CONSTRAINT sriov_wishes_host_id_fkey FOREIGN KEY (host_id) REFERENCES hosts (id) ON DELETE CASCADE,
     CONSTRAINT sriov_wishes_state_check CHECK (state IN ('applying', 'applied', 'refused')),
     CONSTRAINT sriov_wishes_vf_count_check CHECK (vf_count BETWEEN 0 AND 65535)
   )`,
  `CREATE INDEX sriov_wishes_applying_idx ON sriov_wishes (sent_at) WHERE state = 'applying'`,
];
