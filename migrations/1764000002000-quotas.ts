import type { MigrationInterface, QueryRunner } from 'typeorm';

/** How much each project may have. What it has is counted from claims and allocations; the index finds them by project. */
export class Quotas1764000002000 implements MigrationInterface {
  name = 'Quotas1764000002000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(
      `CREATE TABLE quotas (
         project_id text NOT NULL,
         resource text NOT NULL,
         hard_limit bigint NOT NULL,
         created_at timestamptz NOT NULL DEFAULT now(),
         updated_at timestamptz NOT NULL DEFAULT now(),
         CONSTRAINT quotas_pkey PRIMARY KEY (project_id, resource),
         CONSTRAINT quotas_hard_limit_check CHECK (hard_limit >= -1)
       )`,
    );
    await runner.query(`CREATE INDEX servers_project_id_idx ON servers (project_id) WHERE status <> 'DELETED'`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP INDEX servers_project_id_idx`);
    await runner.query(`DROP TABLE quotas`);
  }
}
