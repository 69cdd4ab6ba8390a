import pg from 'pg';
import { figure, say, sayTable } from './print.js';
import { median } from './statistics.js';

const ROUNDS = 3;
const ROUND_MS = 1_000;
const CONNECTIONS = [1, 16] as const;

/** What this machine's Postgres can do at most: one small row and one durable commit at a time. */
export async function measureCommits(url: string): Promise<void> {
  const clients = await Promise.all(Array.from({ length: Math.max(...CONNECTIONS) }, () => connect(url)));
  try {
    const [first] = clients as [pg.Client];
    await first.query(`CREATE TABLE bench_commits (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text)`);
    const perSecond = { 1: await rateOf(clients.slice(0, 1)), 16: await rateOf(clients.slice(0, 16)) };
    say(
      `Bare commits: INSERT of one row of 200 bytes and COMMIT; ${await durability(first)}. Median of ${ROUNDS} rounds.`,
    );
    say();
    sayTable(
      ['connections', 'commits/s'],
      CONNECTIONS.map((count) => [String(count), figure(perSecond[count])]),
    );
    say();
    await first.query(`DROP TABLE bench_commits`);
  } finally {
    await Promise.all(clients.map((client) => client.end()));
  }
}

/** Bare commits of one row a second by so many connections, over so many seconds. */
export async function commitsPerSecond(url: string, connections: number, seconds: number): Promise<number> {
  const clients = await Promise.all(Array.from({ length: connections }, () => connect(url)));
  try {
    await clients[0]?.query(
      `CREATE TABLE IF NOT EXISTS bench_commits (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text)`,
    );
    await commitsWithin(clients, ROUND_MS / 4);
    const start = performance.now();
    const commits = await commitsWithin(clients, 1000 * seconds);
    return (1000 * commits) / (performance.now() - start);
  } finally {
    await Promise.all(clients.map((client) => client.end()));
  }
}

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  return client;
}

async function rateOf(clients: readonly pg.Client[]): Promise<number> {
  await commitsWithin(clients, ROUND_MS / 4);
  const rates: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now();
    const commits = await commitsWithin(clients, ROUND_MS);
    rates.push((1000 * commits) / (performance.now() - start));
  }
  return median(rates);
}

async function commitsWithin(clients: readonly pg.Client[], ms: number): Promise<number> {
  const end = performance.now() + ms;
  const body = 'x'.repeat(200);
  const counts = await Promise.all(
    clients.map(async (client) => {
      let count = 0;
      for (; performance.now() < end; count++)
        await client.query(`INSERT INTO bench_commits (body) VALUES ($1)`, [body]);
      return count;
    }),
  );
  return counts.reduce((a, b) => a + b, 0);
}

export async function durability(client: pg.Client): Promise<string> {
  const { rows } = await client.query<{ name: string; setting: string }>(
    `SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit', 'wal_sync_method') ORDER BY name`,
  );
  return rows.map(({ name, setting }) => `${name} ${setting}`).join(', ');
}
