import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Devices on which passthrough is enabled ahead of use. */
export class DeviceClaims1764400000000 implements MigrationInterface {
  name = 'DeviceClaims1764400000000';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of UP) await runner.query(statement);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE device_claim_devices`);
    await runner.query(`DROP TABLE device_claims`);
    await runner.query(`ALTER TABLE hosts DROP COLUMN device_claims_revision`);
  }
}

const UP = [
  `ALTER TABLE hosts ADD COLUMN device_claims_revision bigint NOT NULL DEFAULT 0`,
  `CREATE TABLE device_claims (
     id uuid NOT NULL,
     host_id uuid NOT NULL,
     address text NOT NULL,
     state text NOT NULL,
     ends boolean NOT NULL DEFAULT false,
     step text,
     errno text,
     held_by text,
     message text,
     created_at timestamptz NOT NULL DEFAULT now(),
     asked_at timestamptz NOT NULL DEFAULT now(),
     sent_at timestamptz NOT NULL DEFAULT now(),
     answered_at timestamptz,
     CONSTRAINT device_claims_pkey PRIMARY KEY (id),
     CONSTRAINT device_claims_host_id_fkey FOREIGN KEY (host_id) REFERENCES hosts (id) ON DELETE CASCADE,
     CONSTRAINT device_claims_state_check CHECK (state IN ('pending', 'enabled', 'refused', 'blocked', 'releasing'))
   )`,
  `CREATE INDEX device_claims_host_id_idx ON device_claims (host_id)`,
  `CREATE INDEX device_claims_unanswered_idx ON device_claims (sent_at) WHERE answered_at IS NULL`,
  `CREATE TABLE device_claim_devices (
     host_id uuid NOT NULL,
     address text NOT NULL,
     claim_id uuid NOT NULL,
     position integer NOT NULL,
     vendor_id text NOT NULL,
     product_id text NOT NULL,
     original_driver text,
     CONSTRAINT device_claim_devices_pkey PRIMARY KEY (host_id, address),
     CONSTRAINT device_claim_devices_claim_id_fkey FOREIGN KEY (claim_id) REFERENCES device_claims (id) ON DELETE CASCADE
   )`,
  `CREATE INDEX device_claim_devices_claim_id_idx ON device_claim_devices (claim_id)`,
];
