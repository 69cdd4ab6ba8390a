import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Numbers of claims and lives of agents, which fence late messages; servers that are to leave a host; hosts that are gone. */
export class Evacuation1764000004000 implements MigrationInterface {
  name = 'Evacuation1764000004000';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of UP) await runner.query(statement);
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const statement of DOWN) await runner.query(statement);
  }
}

const UP = [
  `ALTER TABLE claims ADD COLUMN number bigserial, ADD COLUMN epoch bigint`,
  `CREATE TABLE agent_lives (
     host_name text NOT NULL, epoch bigint NOT NULL, incarnation uuid NOT NULL,
     CONSTRAINT agent_lives_pkey PRIMARY KEY (host_name))`,
  `CREATE TABLE removed_hosts (
     id uuid NOT NULL, name text NOT NULL, changed_xid bigint NOT NULL, removed_at timestamptz NOT NULL DEFAULT now(),
     CONSTRAINT removed_hosts_pkey PRIMARY KEY (id))`,
  `CREATE INDEX removed_hosts_changed_xid_idx ON removed_hosts (changed_xid)`,
  `CREATE TABLE evacuations (
     host_id uuid NOT NULL, server_id uuid NOT NULL, state text NOT NULL, problem text, reason text,
     waits boolean NOT NULL, force boolean NOT NULL, asked_at timestamptz NOT NULL DEFAULT now(),
     CONSTRAINT evacuations_pkey PRIMARY KEY (host_id, server_id),
     CONSTRAINT evacuations_host_id_fkey FOREIGN KEY (host_id) REFERENCES hosts (id) ON DELETE CASCADE,
     CONSTRAINT evacuations_server_id_fkey FOREIGN KEY (server_id) REFERENCES servers (id),
     CONSTRAINT evacuations_state_check CHECK (state IN ('open', 'left', 'stuck', 'needs_owner')))`,
  `CREATE INDEX evacuations_open_idx ON evacuations (host_id) WHERE state = 'open'`,
];

const DOWN = [
  `DROP TABLE evacuations`,
  `DROP TABLE removed_hosts`,
  `DROP TABLE agent_lives`,
  `ALTER TABLE claims DROP COLUMN number, DROP COLUMN epoch`,
];
