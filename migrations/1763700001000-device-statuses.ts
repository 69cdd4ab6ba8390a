import type { MigrationInterface, QueryRunner } from 'typeorm';

/** A device can be held: `reserved`, `cleaning`, `failed`, `quarantined`; `status_reason` says why. */
export class DeviceStatuses1763700001000 implements MigrationInterface {
  name = 'DeviceStatuses1763700001000';

  async up(runner: QueryRunner): Promise<void> {
    await replaceCheck(runner, [...USED, ...HELD]);
    await runner.query(`ALTER TABLE devices ADD COLUMN status_reason text`);
  }

  /** What was held stays out of use: the older program never gives out an `unavailable` device by itself. */
  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`UPDATE devices SET status = 'unavailable' WHERE status IN (${listed(HELD)})`);
    await replaceCheck(runner, USED);
    await runner.query(`ALTER TABLE devices DROP COLUMN status_reason`);
  }
}

const USED = ['available', 'claimed', 'allocated', 'unclaimable', 'unavailable', 'removed'];
const HELD = ['reserved', 'cleaning', 'failed', 'quarantined'];

async function replaceCheck(runner: QueryRunner, statuses: readonly string[]): Promise<void> {
  await runner.query(`ALTER TABLE devices DROP CONSTRAINT devices_status_check`);
  await runner.query(`ALTER TABLE devices ADD CONSTRAINT devices_status_check CHECK (status IN (${listed(statuses)}))`);
}

function listed(statuses: readonly string[]): string {
  return statuses.map((status) => `'${status}'`).join(', ');
}
