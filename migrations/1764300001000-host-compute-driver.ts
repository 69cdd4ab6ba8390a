import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Who starts guests on a host; null: not its agent. */
export class HostComputeDriver1764300001000 implements MigrationInterface {
  name = 'HostComputeDriver1764300001000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE hosts ADD COLUMN compute_driver text`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE hosts DROP COLUMN compute_driver`);
  }
}
