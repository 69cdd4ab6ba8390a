import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What happened to a device behind the ledger's back, as long as it matters: `drift-notes.ts`. */
export class DeviceDrift1764200004000 implements MigrationInterface {
  name = 'DeviceDrift1764200004000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE devices ADD COLUMN drift jsonb`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE devices DROP COLUMN drift`);
  }
}
