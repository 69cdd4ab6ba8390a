import type { MigrationInterface, QueryRunner } from 'typeorm';

/** How a host's configuration files stand to what its agent goes by; null of an agent that does not say. */
export class HostConfiguration1763700002000 implements MigrationInterface {
  name = 'HostConfiguration1763700002000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE hosts ADD COLUMN configuration jsonb`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE hosts DROP COLUMN configuration`);
  }
}
