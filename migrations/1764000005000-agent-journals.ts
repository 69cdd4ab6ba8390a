import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What the agents' journals said when they were asked last: `berth check` compares the ledger with it. */
export class AgentJournals1764000005000 implements MigrationInterface {
  name = 'AgentJournals1764000005000';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of UP) await runner.query(statement);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP INDEX claims_split_from_idx`);
    await runner.query(`DROP TABLE agent_journals`);
  }
}

const UP = [
  `CREATE TABLE agent_journals (
     host_id uuid NOT NULL,
     epoch bigint NOT NULL,
     asked_at timestamptz NOT NULL,
     at timestamptz NOT NULL DEFAULT now(),
     claims jsonb NOT NULL,
     CONSTRAINT agent_journals_pkey PRIMARY KEY (host_id),
     CONSTRAINT agent_journals_host_id_fkey FOREIGN KEY (host_id) REFERENCES hosts (id) ON DELETE CASCADE
   )`,
  `CREATE INDEX claims_split_from_idx ON claims (split_from) WHERE split_from IS NOT NULL`,
];
