import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Whether a host has an IOMMU, and has it on; null of an agent that does not say. */
export class HostIommu1764200001000 implements MigrationInterface {
  name = 'HostIommu1764200001000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE hosts ADD COLUMN iommu jsonb`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE hosts DROP COLUMN iommu`);
  }
}
