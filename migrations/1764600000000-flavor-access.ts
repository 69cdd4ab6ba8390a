import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What Nova knows of a flavor beside its size, and which projects may use one that is not public. */
export class FlavorAccess1764600000000 implements MigrationInterface {
  name = 'FlavorAccess1764600000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(
      `ALTER TABLE flavors
         ADD COLUMN ephemeral_gb integer NOT NULL DEFAULT 0,
         ADD COLUMN swap_mb integer NOT NULL DEFAULT 0,
         ADD COLUMN rxtx_factor double precision NOT NULL DEFAULT 1,
         ADD COLUMN is_public boolean NOT NULL DEFAULT true,
         ADD COLUMN description text,
         ADD CONSTRAINT flavors_more_disk_check CHECK (ephemeral_gb >= 0 AND swap_mb >= 0)`,
    );
    await runner.query(
      `CREATE TABLE flavor_access (
         flavor_id text NOT NULL,
         project_id text NOT NULL,
         CONSTRAINT flavor_access_pkey PRIMARY KEY (flavor_id, project_id),
         CONSTRAINT flavor_access_flavor_id_fkey FOREIGN KEY (flavor_id) REFERENCES flavors (id) ON DELETE CASCADE
       )`,
    );
    await runner.query(`CREATE INDEX flavor_access_project_id_idx ON flavor_access (project_id)`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE flavor_access`);
    await runner.query(
      `ALTER TABLE flavors
         DROP COLUMN ephemeral_gb, DROP COLUMN swap_mb, DROP COLUMN rxtx_factor, DROP COLUMN is_public,
         DROP COLUMN description`,
    );
  }
}
