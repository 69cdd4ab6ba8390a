import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * What schedulers saw and decided, in order, so that it can be decided again.
 *
 * Bodies are `json`, not `jsonb`: they are read back as they were written, to the letter, and cost less to write. The
 * one index finds where replaying can begin; from there on entries are read by primary key.
 */
export class DecisionJournal1763800001000 implements MigrationInterface {
  name = 'DecisionJournal1763800001000';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of UP) await runner.query(statement);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE journal_entries`);
    await runner.query(`DROP TABLE journal_facts`);
  }
}

const UP = [
  `CREATE TABLE journal_facts (
     hash text NOT NULL,
     body json NOT NULL,
     named_at timestamptz NOT NULL DEFAULT now(),
     CONSTRAINT journal_facts_pkey PRIMARY KEY (hash)
   )`,
  `CREATE INDEX journal_facts_named_at_idx ON journal_facts (named_at)`,
  `CREATE TABLE journal_entries (
     run uuid NOT NULL,
     seq bigint NOT NULL,
     kind text NOT NULL,
     at timestamptz NOT NULL,
     body json NOT NULL,
     CONSTRAINT journal_entries_pkey PRIMARY KEY (run, seq),
     CONSTRAINT journal_entries_kind_check CHECK (kind IN ('base', 'policy', 'host', 'decision'))
   )`,
  `CREATE INDEX journal_entries_bases_idx ON journal_entries (at, run, seq) WHERE kind = 'base'`,
];
