import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * What the compute face keeps of a server and no decision looks at. A table of its own: servers that were asked for over the native
 * face have no row here, and nothing of this is written or read where servers are placed.
 */
export class ServerDetails1764630000000 implements MigrationInterface {
  name = 'ServerDetails1764630000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(
      `CREATE TABLE server_details (
         server_id uuid NOT NULL,
         user_id text,
         description text,
         metadata jsonb NOT NULL DEFAULT '{}',
         tags text[] NOT NULL DEFAULT '{}',
         key_name text,
         config_drive boolean NOT NULL DEFAULT false,
         user_data text,
         access_ipv4 text,
         access_ipv6 text,
         hostname text,
         image_id text,
         disk_config text NOT NULL DEFAULT 'MANUAL',
         CONSTRAINT server_details_pkey PRIMARY KEY (server_id),
         CONSTRAINT server_details_server_id_fkey FOREIGN KEY (server_id) REFERENCES servers (id),
         CONSTRAINT server_details_disk_config_check CHECK (disk_config IN ('AUTO', 'MANUAL'))
       )`,
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE server_details`);
  }
}
