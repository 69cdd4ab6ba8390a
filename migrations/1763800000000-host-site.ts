import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * What decisions know of hosts beside their devices: aggregates with their zones, traits, what is reserved, ratios and
 * capabilities; and server groups with their members.
 */
export class HostSite1763800000000 implements MigrationInterface {
  name = 'HostSite1763800000000';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of UP) await runner.query(statement);
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const statement of DOWN) await runner.query(statement);
  }
}

const UP = [
  `CREATE TABLE aggregates (
     id uuid NOT NULL,
     name text NOT NULL,
     availability_zone text,
     metadata jsonb NOT NULL DEFAULT '{}',
     generation integer NOT NULL DEFAULT 1,
     created_at timestamptz NOT NULL DEFAULT now(),
     updated_at timestamptz NOT NULL DEFAULT now(),
     CONSTRAINT aggregates_pkey PRIMARY KEY (id),
     CONSTRAINT aggregates_name_key UNIQUE (name)
   )`,
  `CREATE TABLE aggregate_hosts (
     aggregate_id uuid NOT NULL,
     host_id uuid NOT NULL,
     CONSTRAINT aggregate_hosts_pkey PRIMARY KEY (aggregate_id, host_id),
     CONSTRAINT aggregate_hosts_aggregate_id_fkey FOREIGN KEY (aggregate_id) REFERENCES aggregates (id)
       ON DELETE CASCADE,
     CONSTRAINT aggregate_hosts_host_id_fkey FOREIGN KEY (host_id) REFERENCES hosts (id) ON DELETE CASCADE
   )`,
  `CREATE INDEX aggregate_hosts_host_id_idx ON aggregate_hosts (host_id)`,
  `CREATE TABLE server_groups (
     id uuid NOT NULL,
     name text NOT NULL,
     project_id text NOT NULL,
     policy text NOT NULL,
     max_server_per_host integer NOT NULL DEFAULT 1,
     created_at timestamptz NOT NULL DEFAULT now(),
     CONSTRAINT server_groups_pkey PRIMARY KEY (id),
     CONSTRAINT server_groups_policy_check CHECK (policy IN
       ('affinity', 'anti-affinity', 'soft-affinity', 'soft-anti-affinity')),
     CONSTRAINT server_groups_max_server_per_host_check CHECK (max_server_per_host >= 1)
   )`,
  `CREATE INDEX server_groups_created_at_idx ON server_groups (created_at, id)`,
  `ALTER TABLE servers
     ADD COLUMN group_id uuid,
     ADD COLUMN priority integer NOT NULL DEFAULT 0,
     ADD COLUMN preemptible boolean NOT NULL DEFAULT false,
     ADD CONSTRAINT servers_group_id_fkey FOREIGN KEY (group_id) REFERENCES server_groups (id) ON DELETE SET NULL`,
  `CREATE INDEX servers_group_id_idx ON servers (group_id) WHERE group_id IS NOT NULL`,
  `ALTER TABLE hosts
     ADD COLUMN traits jsonb NOT NULL DEFAULT '[]',
     ADD COLUMN reserved jsonb,
     ADD COLUMN reported_reserved jsonb,
     ADD COLUMN allocation_ratios jsonb,
     ADD COLUMN capabilities jsonb,
     ADD COLUMN failed_builds integer NOT NULL DEFAULT 0`,
];

const DOWN = [
  `ALTER TABLE hosts DROP COLUMN failed_builds, DROP COLUMN capabilities, DROP COLUMN allocation_ratios,
     DROP COLUMN reported_reserved, DROP COLUMN reserved, DROP COLUMN traits`,
  `ALTER TABLE servers DROP CONSTRAINT servers_group_id_fkey, DROP COLUMN preemptible, DROP COLUMN priority,
     DROP COLUMN group_id`,
  `DROP TABLE server_groups`,
  `DROP TABLE aggregate_hosts`,
  `DROP TABLE aggregates`,
];
