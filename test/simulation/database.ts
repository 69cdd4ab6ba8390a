import crypto from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';
import type { DataSource } from 'typeorm';
import { NOTHING_BEFORE } from '../../src/store/audit-chain.js';
import { ledgerDataSource } from '../../src/store/database.js';
import { createTestDatabase } from '../support/postgres.js';
import { Chance, idsOf } from './chance.js';
import { RULES_FUNCTION } from './invariants.js';

export interface SeedDatabase {
  readonly source: DataSource;
  /** Empties it; ids are the seed's from here on, of this process and of the database. */
  begin(seed: number): Promise<void>;
  drop(): Promise<void>;
}

/** A migrated database of one worker's own, in which one seed comes after the other. */
export async function openSeedDatabase(adminUrl: string): Promise<SeedDatabase> {
  const database = await createTestDatabase(adminUrl);
  const source = ledgerDataSource(database.url, 30);
  await source.initialize();
  await sayIds(source);
  await rememberRelayed(source);
  await rememberReturns(source);
  await source.query(RULES_FUNCTION);
  const tables = (await source.query(
    `SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' AND tablename NOT IN ('migrations', 'audit_anchors') ORDER BY 1`,
  )) as { name: string }[];
  const emptied = tables.map(({ name }) => `DELETE FROM ${name};`).join(' ');
  const plainId = crypto.randomUUID;
  return {
    source,
    begin: async (seed) => {
      setRandomUuid(idsOf(new Chance(seed, 6)) as typeof crypto.randomUUID);
      // TRUNCATE makes new files each time; with a few rows in each table this is a tenth of its time
      await source.query(`BEGIN; SET LOCAL session_replication_role = replica; ${emptied}
        UPDATE audit_anchors SET seq = 0, hash = '${NOTHING_BEFORE.hash}';
        SELECT setval('said_ids', 1); SELECT setval('outbox_id_seq', 1, false); COMMIT`);
    },
    drop: async () => {
      setRandomUuid(plainId);
      await source.destroy();
      await database.drop();
    },
  };
}

/** Stands before Postgres's own of this name. Ids order locks and break ties, so they have to be the same each time. */
async function sayIds(source: DataSource): Promise<void> {
  await source.query(`
    CREATE SEQUENCE said_ids;
    CREATE FUNCTION public.gen_random_uuid() RETURNS uuid LANGUAGE sql VOLATILE AS
      $$ SELECT md5(nextval('public.said_ids')::text)::uuid $$;`);
  const [{ name }] = (await source.query('SELECT current_database() AS name')) as [{ name: string }];
  await source.query(`ALTER DATABASE ${name} SET search_path = public, pg_catalog`);
  await source.destroy(); // the path is that of connections from now on
  await source.initialize();
}

/** Keeps the ids of messages that have left the outbox, for the rule that they have reached the broker. */
async function rememberRelayed(source: DataSource): Promise<void> {
  await source.query(`
    CREATE TABLE relayed (id text);
    CREATE FUNCTION remember_relayed() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN INSERT INTO relayed VALUES (old.message->>'id'); RETURN NULL; END $$;
    CREATE TRIGGER remember_relayed AFTER DELETE ON outbox FOR EACH ROW EXECUTE FUNCTION remember_relayed();`);
}

/** Keeps by which report a host that was silent came back. */
async function rememberReturns(source: DataSource): Promise<void> {
  await source.query(`
    CREATE TABLE came_back (host text, epoch bigint, sequence bigint);
    CREATE FUNCTION remember_return() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN INSERT INTO came_back VALUES (new.name, new.epoch, new.report_sequence); RETURN NULL; END $$;
    CREATE TRIGGER remember_return AFTER UPDATE ON hosts FOR EACH ROW
      WHEN (old.status = 'down' AND new.status = 'up') EXECUTE FUNCTION remember_return();`);
}

/** Imports by name follow. */
function setRandomUuid(randomUUID: typeof crypto.randomUUID): void {
  Object.assign(crypto, { randomUUID });
  syncBuiltinESMExports();
}
