import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Public keys of users, kept for clients; nothing is made of them. */
export class Keypairs1764601000000 implements MigrationInterface {
  name = 'Keypairs1764601000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(
      `CREATE TABLE keypairs (
         user_id text NOT NULL,
         name text NOT NULL,
         id bigserial NOT NULL,
         type text NOT NULL,
         public_key text NOT NULL,
         fingerprint text NOT NULL,
         created_at timestamptz NOT NULL DEFAULT now(),
         CONSTRAINT keypairs_pkey PRIMARY KEY (user_id, name),
         CONSTRAINT keypairs_type_check CHECK (type IN ('ssh', 'x509'))
       )`,
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE keypairs`);
  }
}
