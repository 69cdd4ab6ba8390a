import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Tokens that Berth issues itself, to users of an htpasswd file. The tokens themselves are nowhere. */
export class IdentityTokens1764500000000 implements MigrationInterface {
  name = 'IdentityTokens1764500000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(
      `CREATE TABLE identity_tokens (
         token_hash text NOT NULL,
         user_name text NOT NULL,
         credential_hash text NOT NULL,
         issued_at timestamptz NOT NULL DEFAULT now(),
         expires_at timestamptz NOT NULL,
         CONSTRAINT identity_tokens_pkey PRIMARY KEY (token_hash)
       )`,
    );
    await runner.query(`CREATE INDEX identity_tokens_expires_at_idx ON identity_tokens (expires_at)`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE identity_tokens`);
  }
}
