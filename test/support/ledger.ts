import type { DataSource } from 'typeorm';
import { afterAll, beforeAll, beforeEach, inject } from 'vitest';
import { ledgerDataSource } from '../../src/store/database.js';
import { createTestDatabase, type TestDatabase } from './postgres.js';

const TABLES = [
  ...['hosts', 'servers', 'outbox', 'flavors', 'idempotency_keys'],
  ...['aliases', 'alias_versions', 'alias_origins', 'file_aliases'],
  ...['aggregates', 'server_groups', 'quotas', 'reservations', 'agent_lives', 'removed_hosts'],
];

/**
 * A migrated ledger of the file's own, on a real Postgres, empty before each test.
 *
 * @param setUp  called before each test, after the tables are empty
 */
export function onLedger(
  setUp: (source: DataSource, database: TestDatabase) => void,
  { connections = 8 }: { readonly connections?: number } = {},
): void {
  let database: TestDatabase;
  let source: DataSource;
  beforeAll(async () => {
    database = await createTestDatabase(inject('databaseUrl'));
    source = ledgerDataSource(database.url, connections);
    await source.initialize();
  });
  afterAll(async () => {
    await source.destroy();
    await database.drop();
  });
  beforeEach(async () => {
    await source.query(`TRUNCATE ${TABLES.join(', ')} CASCADE`);
    setUp(source, database);
  });
}
