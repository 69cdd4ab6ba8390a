import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Devices that their agents clean: after which claim, and when somebody spoke of it last. */
export class DeviceCleaning1764200005000 implements MigrationInterface {
  name = 'DeviceCleaning1764200005000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE devices ADD COLUMN cleaning_claim uuid, ADD COLUMN cleaning_heard_at timestamptz`);
    await runner.query(
      `CREATE INDEX devices_cleaning_idx ON devices (cleaning_heard_at) WHERE cleaning_claim IS NOT NULL`,
    );
  }

  /** What is being cleaned stays out of use: nobody would hear of its end. */
  async down(runner: QueryRunner): Promise<void> {
    await runner.query(
      `UPDATE devices SET status = 'quarantined', status_reason = 'it was being cleaned' WHERE status = 'cleaning'`,
    );
    await runner.query(`DROP INDEX devices_cleaning_idx`);
    await runner.query(`ALTER TABLE devices DROP COLUMN cleaning_claim, DROP COLUMN cleaning_heard_at`);
  }
}
