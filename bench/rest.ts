import pg from 'pg';
import { inTransaction, ledgerDataSource } from '../src/store/database.js';
import { absorbReport } from '../src/store/inventory.store.js';
import type { CommitRate } from './commit-rate.js';
import { reportOf } from './fleet.js';
import { drive, type Pace } from './load.js';
import { figure, say, sayTable } from './print.js';
import { ServiceProcess } from './service-process.js';
import { medianRound, quantile } from './statistics.js';

const CONNECTIONS = 32;
const SERVERS_PER_ROUND = 240;
const ROUNDS = 3;
const REPORTS_PER_TRANSACTION = 50;

const KINDS = [
  { name: 'no devices', body: { vcpus: 1 } },
  { name: 'gpu:1', body: { devices: 'gpu:1' } },
] as const;
const PACES: readonly Pace[] = ['burst', 'waiting'];

/** Placements over REST: HTTP, ledger, outbox, bus, scheduler and the answer of a simulated agent. */
export async function measureRest(databaseUrl: string, sizes: readonly number[], commits: CommitRate): Promise<void> {
  say(
    `REST: POST /v1/servers by ${CONNECTIONS} kept connections, ${SERVERS_PER_ROUND} servers a round, median of ${ROUNDS}.`,
  );
  say(`One process for REST face and scheduler, in-process bus; simulated agents in it answer at once. The load is`);
  say(`made by a second process, Postgres is a third; all share this machine's cores.`);
  say(`burst: the next request when the last is accepted. waiting: when the last is placed.`);
  say();
  const service = await ServiceProcess.start(databaseUrl);
  const ledger = new pg.Client({ connectionString: databaseUrl });
  await ledger.connect();
  const rows: string[][] = [];
  try {
    let known = 0;
    for (const size of sizes) {
      await takeIn(databaseUrl, ledger, known, size);
      await service.simulateAgents(size);
      known = size;
      for (const kind of KINDS) {
        for (const pace of PACES) {
          const result = await measureLoad(service.url, ledger, kind.body, pace);
          const share = `${figure((100 * result.rate) / commits.perSecond[16])} %`;
          rows.push([`${size}`, kind.name, pace, ...Object.values(result).map(figure), share]);
        }
      }
    }
  } finally {
    await service.stop();
    await ledger.end();
  }
  say();
  sayTable(
    ['hosts', 'server', 'pace', 'placed/s', 'placed p50 ms', 'p99', 'accepted p50', 'ACTIVE p50', 'of commits/s'],
    rows,
  );
  say();
}

/** The fleet's hosts from `from` to `to` report. */
async function takeIn(url: string, ledger: pg.Client, from: number, to: number): Promise<void> {
  const dataSource = await ledgerDataSource(url, 2).initialize();
  const start = performance.now();
  let next = from;
  const worker = async (): Promise<void> => {
    while (next < to) {
      const first = next;
      next = Math.min(to, first + REPORTS_PER_TRANSACTION);
      const last = next;
      await inTransaction(dataSource, async (tx) => {
        for (let index = first; index < last; index++) await absorbReport(tx, reportOf(index));
      });
    }
  };
  await Promise.all([worker(), worker()]);
  const rate = (1000 * (to - from)) / (performance.now() - start);
  await dataSource.destroy();
  // as autovacuum would, had it had the time
  await ledger.query('VACUUM ANALYZE');
  say(`${to} hosts: ${figure(rate)} first reports/s taken in, ${REPORTS_PER_TRANSACTION} in each transaction`);
}

async function measureLoad(
  url: string,
  ledger: pg.Client,
  body: Readonly<Record<string, unknown>>,
  pace: Pace,
): Promise<{ rate: number; p50: number; p99: number; accepted: number; active: number }> {
  const rounds = [];
  for (let round = 0; round <= ROUNDS; round++) {
    await emptyLedger(ledger);
    await drive({ url, connections: 1, servers: 1, pace: 'waiting', body: { vcpus: 1 } }, ledger);
    const load = { url, connections: CONNECTIONS, servers: SERVERS_PER_ROUND, pace, body };
    const outcome = await drive(load, ledger);
    rounds.push({
      rate: (1000 * outcome.placed.length) / outcome.placedAfterMs,
      p50: quantile(outcome.placed, 0.5),
      p99: quantile(outcome.placed, 0.99),
      accepted: quantile(outcome.accepted, 0.5),
      active: quantile(outcome.active, 0.5),
    });
  }
  // the first one warmed up
  return medianRound(rounds.slice(1));
}

/** Every server gone, every device free, as if nobody had ever asked. One server after it lets the scheduler see that. */
async function emptyLedger(ledger: pg.Client): Promise<void> {
  await ledger.query(
    `UPDATE hosts SET generation = generation + 1, changed_xid = (pg_current_xact_id()::text)::bigint
      WHERE id IN (SELECT host_id FROM claims)`,
  );
  await ledger.query(`UPDATE devices SET status = 'available' WHERE status <> 'available'`);
  await ledger.query(`TRUNCATE servers, claims, allocations, decisions, server_events, outbox, idempotency_keys`);
}
