import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What is done with servers after they were placed: their guests' states, who locked them, and who asked for what. */
export class ServerActions1764635000000 implements MigrationInterface {
  name = 'ServerActions1764635000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(
      `ALTER TABLE servers
         ADD COLUMN vm_state text NOT NULL DEFAULT 'active',
         ADD COLUMN action text,
         ADD COLUMN locked_by text,
         ADD COLUMN locked_reason text,
         DROP CONSTRAINT servers_status_check,
         ADD CONSTRAINT servers_status_check
           CHECK (status IN ('BUILD', 'ACTIVE', 'SHELVED', 'ERROR', 'DELETING', 'DELETED')),
         ADD CONSTRAINT servers_vm_state_check CHECK (vm_state IN ('active', 'stopped', 'paused', 'suspended', 'error')),
         ADD CONSTRAINT servers_action_check
           CHECK (action IN ('stop', 'start', 'reboot', 'reboot_hard', 'pause', 'unpause', 'suspend', 'resume', 'rebuild', 'unshelve',
                             'migrate', 'resize')),
         ADD CONSTRAINT servers_locked_by_check CHECK (locked_by IN ('owner', 'admin'))`,
    );
    await runner.query(
      `CREATE TABLE server_actions (
         id bigint GENERATED ALWAYS AS IDENTITY,
         server_id uuid NOT NULL,
         action text NOT NULL,
         request_id text NOT NULL,
         user_id text NOT NULL,
         project_id text NOT NULL,
         host_name text,
         started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
         asked_at timestamptz,
         finished_at timestamptz,
         result text,
         message text,
         CONSTRAINT server_actions_pkey PRIMARY KEY (id),
         CONSTRAINT server_actions_server_id_fkey FOREIGN KEY (server_id) REFERENCES servers (id),
         CONSTRAINT server_actions_result_check CHECK (result IN ('success', 'error'))
       )`,
    );
    await runner.query(`CREATE INDEX server_actions_server_id_idx ON server_actions (server_id, id)`);
    await runner.query(`CREATE INDEX server_actions_open_idx ON server_actions (server_id) WHERE finished_at IS NULL`);
    await runner.query(
      `CREATE INDEX server_actions_asked_idx ON server_actions (asked_at) WHERE finished_at IS NULL AND asked_at IS NOT NULL`,
    );
    await runner.query(
      `CREATE TABLE server_moves (
         id integer GENERATED ALWAYS AS IDENTITY,
         uuid uuid NOT NULL,
         server_id uuid NOT NULL,
         kind text NOT NULL,
         status text NOT NULL,
         source_host text,
         target_host text,
         flavor_id text,
         user_id text NOT NULL,
         project_id text NOT NULL,
         created_at timestamptz NOT NULL DEFAULT now(),
         updated_at timestamptz NOT NULL DEFAULT now(),
         CONSTRAINT server_moves_pkey PRIMARY KEY (id),
         CONSTRAINT server_moves_server_id_fkey FOREIGN KEY (server_id) REFERENCES servers (id),
         CONSTRAINT server_moves_kind_check CHECK (kind IN ('evacuation', 'migration', 'resize')),
         CONSTRAINT server_moves_status_check CHECK (status IN ('accepted', 'done', 'failed'))
       )`,
    );
    await runner.query(`CREATE INDEX server_moves_server_id_idx ON server_moves (server_id, id)`);
    await runner.query(`ALTER TABLE evacuations ADD COLUMN request jsonb, ADD COLUMN flavor jsonb`);
    await runner.query(`CREATE INDEX server_moves_created_at_idx ON server_moves (created_at, id)`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE evacuations DROP COLUMN request, DROP COLUMN flavor`);
    await runner.query(`DROP TABLE server_moves`);
    await runner.query(`DROP TABLE server_actions`);
    await runner.query(`UPDATE servers SET status = 'ERROR' WHERE status = 'SHELVED'`);
    await runner.query(
      `ALTER TABLE servers
         DROP CONSTRAINT servers_status_check,
         ADD CONSTRAINT servers_status_check CHECK (status IN ('BUILD', 'ACTIVE', 'ERROR', 'DELETING', 'DELETED')),
         DROP COLUMN vm_state, DROP COLUMN action, DROP COLUMN locked_by, DROP COLUMN locked_reason`,
    );
  }
}
