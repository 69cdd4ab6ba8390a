import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { Client } from 'pg';

import { removeEmbeddedPostgres, startEmbeddedPostgres } from '../../src/store/embedded-postgres.js';
import { migrate } from '../../src/store/database.js';
import { beforeDeath } from './processes.js';

/** A Postgres of the tests' own, on 127.0.0.1, that forgets on a power cut what it had in memory (no fsync). */
export interface TestPostgres {
  /** The url of a database that is empty and whose user may create others. */
  readonly url: string;
  /** Ends it as `kill -9` would; the url refuses connections until `restart`. */
  kill9(): Promise<void>;
  /** Starts it again on the same port and data; resolves when it takes connections. */
  restart(): Promise<void>;
  /** Ends it and deletes its data. */
  stop(): Promise<void>;
}

/** Starts a new Postgres in a temporary folder; several may run side by side. */
export async function startPostgres(): Promise<TestPostgres> {
  const dataDir = mkdtempSync(path.join(tmpdir(), 'berth-postgres-'));
  const start = (port?: number) =>
    startEmbeddedPostgres({ dataDir, fast: true, maxConnections: 300, ...(port === undefined ? {} : { port }) });
  let running = await start();
  const { url, port } = running;
  const forget = beforeDeath(() => {
    endNow(running.pid);
    rmSync(dataDir, { recursive: true, force: true, maxRetries: 5 });
  });
  return {
    url,
    async restart() {
      await running.stop();
      running = await start(port);
    },
    kill9: () => running.kill(),
    async stop() {
      await running.stop();
      forget();
      await removeEmbeddedPostgres(dataDir);
    },
  };
}

function endNow(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It had ended.
  }
}

export interface TestDatabase {
  /** `postgres://…` of the new database. */
  readonly url: string;
  /** Deletes it, whoever is connected. */
  drop(): Promise<void>;
}

const MIGRATIONS = new URL('../../migrations/', import.meta.url);
/** Any number that nothing else locks. */
const TEMPLATE_LOCK = 7_220_431;

/**
 * Makes a fresh, migrated database for one test file, as a copy of one that was migrated once.
 *
 * @param adminUrl  the provided `databaseUrl`, or any database whose user may create databases
 */
export async function createTestDatabase(adminUrl: string): Promise<TestDatabase> {
  const name = `berth_test_${randomBytes(6).toString('hex')}`;
  await withClient(adminUrl, async (client) => {
    const template = await templateOf(adminUrl, client);
    await client.query(`CREATE DATABASE ${name} TEMPLATE ${template}`);
  });
  return {
    url: urlOf(adminUrl, name),
    drop: () =>
      withClient(adminUrl, async (client) => void (await client.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`))),
  };
}

/** The migrated database that tests copy; its name holds the migrations' hash, so that a lasting server keeps no stale one. */
async function templateOf(adminUrl: string, client: Client): Promise<string> {
  const name = `berth_template_${hashOfMigrations()}`;
  await client.query('SELECT pg_advisory_lock($1)', [TEMPLATE_LOCK]);
  try {
    // Only a finished one is marked as a template.
    const found = await client.query('SELECT datistemplate FROM pg_database WHERE datname = $1', [name]);
    if (found.rows[0]?.datistemplate === true) return name;
    await client.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    await client.query(`CREATE DATABASE ${name}`);
    await migrate(urlOf(adminUrl, name));
    await client.query(`ALTER DATABASE ${name} IS_TEMPLATE true`);
    return name;
  } finally {
    await client.query('SELECT pg_advisory_unlock($1)', [TEMPLATE_LOCK]);
  }
}

function hashOfMigrations(): string {
  const hash = createHash('sha256');
  for (const file of readdirSync(MIGRATIONS).toSorted()) {
    hash
      .update(file)
      .update('\0')
      .update(readFileSync(new URL(file, MIGRATIONS)));
  }
  return hash.digest('hex').slice(0, 16);
}

function urlOf(adminUrl: string, database: string): string {
  const url = new URL(adminUrl);
  url.pathname = `/${database}`;
  return url.toString();
}

async function withClient<T>(url: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
