import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What clients of the placement face say that Berth has no other place for: consumers of their own, traits, resource classes. */
export class PlacementFace1764650000000 implements MigrationInterface {
  name = 'PlacementFace1764650000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(
      `CREATE TABLE placement_consumers (
         consumer_id uuid NOT NULL,
         placement_id uuid NOT NULL,
         user_id text NOT NULL,
         consumer_type text,
         generation integer NOT NULL DEFAULT 1,
         CONSTRAINT placement_consumers_pkey PRIMARY KEY (consumer_id),
         CONSTRAINT placement_consumers_placement_id_fkey FOREIGN KEY (placement_id) REFERENCES servers (id),
         CONSTRAINT placement_consumers_placement_id_key UNIQUE (placement_id)
       )`,
    );
    for (const table of ['custom_traits', 'custom_resource_classes']) {
      await runner.query(
        `CREATE TABLE ${table} (
           name text NOT NULL,
           created_at timestamptz NOT NULL DEFAULT now(),
           CONSTRAINT ${table}_pkey PRIMARY KEY (name),
           CONSTRAINT ${table}_name_check CHECK (name ~ '^CUSTOM_[A-Z0-9_]{1,248}$')
         )`,
      );
    }
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const table of ['placement_consumers', 'custom_traits', 'custom_resource_classes']) {
      await runner.query(`DROP TABLE ${table}`);
    }
  }
}
