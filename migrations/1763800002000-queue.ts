import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Servers that are asked for together, servers that wait for room, and claims of devices that are attached to a running server. */
export class Queue1763800002000 implements MigrationInterface {
  name = 'Queue1763800002000';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of UP) await runner.query(statement);
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const statement of DOWN) await runner.query(statement);
  }
}

const TASK_STATES = ['scheduling', 'preparing', 'releasing'];

const UP = [
  `ALTER TABLE servers ADD COLUMN gang_id uuid, ADD COLUMN gang_min integer, ADD COLUMN gang_place integer,
     ADD COLUMN waits boolean NOT NULL DEFAULT false, ADD COLUMN queued_at timestamptz,
     ADD COLUMN queue_rank double precision, ADD COLUMN nominated_host_id uuid, ADD COLUMN attaching jsonb`,
  `ALTER TABLE servers ADD CONSTRAINT servers_nominated_host_id_fkey
     FOREIGN KEY (nominated_host_id) REFERENCES hosts (id)`,
  ...taskStates([...TASK_STATES, 'waiting', 'attaching', 'detaching']),
  `CREATE INDEX servers_gang_id_idx ON servers (gang_id) WHERE gang_id IS NOT NULL`,
  `CREATE INDEX servers_attaching_idx ON servers (updated_at) WHERE attaching IS NOT NULL`,
  `CREATE INDEX servers_queue_idx ON servers (queue_rank, queued_at, id) WHERE task_state = 'waiting'`,
  `ALTER TABLE claims ADD COLUMN kind text NOT NULL DEFAULT 'server', ADD COLUMN split_from uuid`,
  `ALTER TABLE claims ADD CONSTRAINT claims_kind_check CHECK (kind IN ('server', 'attach'))`,
  `DROP INDEX claims_one_live_per_server`,
  `CREATE UNIQUE INDEX claims_one_live_per_server ON claims (server_id)
    WHERE kind = 'server' AND status IN ('claimed', 'allocated')`,
  `CREATE UNIQUE INDEX claims_one_attach_under_way ON claims (server_id) WHERE kind = 'attach' AND status = 'claimed'`,
];

/** The older program knows neither: who waits has found no room, and attached devices are given back with their servers. */
const DOWN = [
  `UPDATE servers SET status = 'ERROR', task_state = NULL WHERE task_state = 'waiting'`,
  `UPDATE servers SET task_state = NULL WHERE task_state IN ('attaching', 'detaching')`,
  `UPDATE claims SET status = 'releasing' WHERE kind = 'attach' AND status IN ('claimed', 'allocated')`,
  `DROP INDEX claims_one_attach_under_way`,
  `DROP INDEX claims_one_live_per_server`,
  `CREATE UNIQUE INDEX claims_one_live_per_server ON claims (server_id) WHERE status IN ('claimed', 'allocated')`,
  `ALTER TABLE claims DROP COLUMN kind, DROP COLUMN split_from`,
  `DROP INDEX servers_queue_idx`,
  `DROP INDEX servers_attaching_idx`,
  `DROP INDEX servers_gang_id_idx`,
  ...taskStates(TASK_STATES),
  `ALTER TABLE servers DROP COLUMN gang_id, DROP COLUMN gang_min, DROP COLUMN gang_place, DROP COLUMN waits,
     DROP COLUMN queued_at, DROP COLUMN queue_rank, DROP COLUMN nominated_host_id, DROP COLUMN attaching`,
];

function taskStates(words: readonly string[]): string[] {
  const listed = words.map((word) => `'${word}'`).join(', ');
  return [
    `ALTER TABLE servers DROP CONSTRAINT servers_task_state_check`,
    `ALTER TABLE servers ADD CONSTRAINT servers_task_state_check CHECK (task_state IN (${listed}))`,
  ];
}
