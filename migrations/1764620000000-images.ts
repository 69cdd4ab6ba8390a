import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Images, as far as placing a server needs them: what they are called, and their properties. */
export class Images1764620000000 implements MigrationInterface {
  name = 'Images1764620000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(
      `CREATE TABLE images (
         id uuid NOT NULL,
         name text,
         owner_project_id text NOT NULL,
         visibility text NOT NULL,
         members text[] NOT NULL DEFAULT '{}',
         protected boolean NOT NULL,
         min_ram_mb integer NOT NULL,
         min_disk_gb integer NOT NULL,
         disk_format text,
         container_format text,
         tags text[] NOT NULL DEFAULT '{}',
         properties jsonb NOT NULL DEFAULT '{}',
         created_at timestamptz NOT NULL DEFAULT now(),
         updated_at timestamptz NOT NULL DEFAULT now(),
         CONSTRAINT images_pkey PRIMARY KEY (id),
         CONSTRAINT images_visibility_check CHECK (visibility IN ('public', 'private', 'shared'))
       )`,
    );
    await runner.query(`CREATE INDEX images_created_at_idx ON images (created_at, id)`);
    await runner.query(`CREATE INDEX images_name_idx ON images (name)`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE images`);
  }
}
