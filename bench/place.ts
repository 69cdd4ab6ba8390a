import { parseArgs } from 'node:util';
import pg from 'pg';
import type { DataSource } from 'typeorm';
import { inTransaction, ledgerDataSource, migrate } from '../src/store/database.js';
import { absorbReports } from '../src/store/inventory.store.js';
import { startRabbitMq } from '../test/support/rabbitmq.js';
import { Child } from './child.js';
import { commitsPerSecond, durability } from './commit-rate.js';
import { cpuTimes } from './cpu.js';
import { reportOf } from './fleet.js';
import { BROKER_MEMORY, sayMachine } from './machine.js';
import { compareWithLedger } from './place-check.js';
import { PlacementLoad, type Round } from './place-load.js';
import { figure, say } from './print.js';
import { measureServers } from './place-servers.js';
import { withPostgres } from './scratch-postgres.js';
import { quantile } from './statistics.js';

const MODES = ['single', 'rest', 'batch'] as const;
const CLIENTS = { single: 64, rest: 64, batch: 16 } as const;
const PER_CALL = { single: 1, rest: 1, batch: 100 } as const;
/** Of the fleet's seven devices for each host, so many are taken before they are given back. */
const FILLED = 5;
/** The same for fleets of all sizes, so that their figures can be compared: in a longer round binding is under way at its end. */
const ROUND_PLACEMENTS_MAX = 5000;
/** Reports that are taken in together. */
const PER_TRANSACTION = 200;
/** At a given rate a round goes on for longer, so that binding is under way in most of it. */
const ROUND_MS_MAX = { closed: 2_500, open: 10_000 } as const;
const FREE_WITHIN_MS = 120_000;

interface Options {
  readonly hosts: number;
  readonly mode: (typeof MODES)[number];
  readonly seconds: number;
  readonly clients: number;
  readonly processes: number;
  readonly rate: number | null;
  /** How long an agent takes to bind a device, and to give it back. */
  readonly bindMs: number;
  /** The placement policy; the settings' default is `spread`. */
  readonly policy: string;
  readonly json: boolean;
}

/**
 * `npm run bench:place -- --hosts 1000 --mode batch --seconds 10 --json`: durable placements a second, REST call to answer, beside what
 * bare commits of one row reach in the same run by as many connections. Everything is on this machine: Postgres with `fsync`,
 * `synchronous_commit` and `full_page_writes`, RabbitMQ, the service, agents that bind at once, and the load.
 *
 * Rounds: place until a part of the fleet is taken (measured), give everything back and wait until it is free (not measured).
 */
async function main(options: Options): Promise<void> {
  sayMachine();
  await withPostgres(async (url) => {
    const broker = await startRabbitMq({ memory: BROKER_MEMORY });
    const closing: (() => Promise<void>)[] = [() => broker.stop()];
    try {
      await phase(`${options.hosts} hosts into the ledger`, () => takeIn(url, options.hosts));
      const ledger = new pg.Client({ connectionString: url });
      await ledger.connect();
      closing.unshift(() => ledger.end());
      const bare = await commitsPerSecond(url, options.clients, 3);
      say(`Bare commits by ${options.clients} connections: ${figure(bare)}/s; ${await durability(ledger)}`);
      const urls: string[] = [];
      for (let process = 0; process < options.processes; process++) {
        const service = await phase('a service ready', () =>
          Child.start<{ url: string }>('./place-service.js', [url, broker.url, options.policy]),
        );
        closing.unshift(() => service.stop());
        urls.push(service.ready.url);
      }
      const agents = await phase('agents at their queues', () =>
        Child.start('./place-agents.js', [broker.url, String(options.hosts), String(options.bindMs)]),
      );
      closing.unshift(() => agents.stop());
      const figures =
        options.mode === 'rest'
          ? await measureServers(urls, ledger, options)
          : await measurePlacements(urls, ledger, options);
      const { perSecond, latencies, lost, double } = figures;
      const bareAfter = await commitsPerSecond(url, options.clients, 2);
      const [p50, p99, p999] = [0.5, 0.99, 0.999].map((part) => quantile(latencies, part)) as [number, number, number];
      say(
        `${figure(perSecond)} placements/s; a call takes p50 ${figure(p50)}, p99 ${figure(p99)}, p99.9 ${figure(p999)} ms`,
      );
      say(`Bare commits afterwards: ${figure(bareAfter)}/s. Lost: ${lost}. Double: ${double}.`);
      const barePerSecond = (bare + bareAfter) / 2;
      const line = {
        ...{ bench: 'place', mode: options.mode, hosts: options.hosts, per_s: Math.round(perSecond) },
        ...{
          p50_ms: tenths(p50),
          p99_ms: tenths(p99),
          p999_ms: tenths(p999),
          bare_commit_per_s: Math.round(barePerSecond),
        },
        ...{ ratio: Number((perSecond / barePerSecond).toFixed(3)), lost, double },
        ...{ clients: options.clients, processes: options.processes, rate: options.rate, policy: options.policy },
      };
      if (options.json) process.stdout.write(`${JSON.stringify(line)}\n`);
    } finally {
      for (const close of closing) await close();
    }
  });
}

/** What a mode has measured. */
export interface Figures {
  readonly perSecond: number;
  readonly latencies: readonly number[];
  readonly lost: number;
  readonly double: number;
}

async function measurePlacements(urls: readonly string[], ledger: pg.Client, options: Options): Promise<Figures> {
  const { mode, clients, hosts, seconds, rate } = options;
  const load = new PlacementLoad(urls, {
    ...{ clients, perCall: PER_CALL[mode], rate },
    ...{
      msMax: ROUND_MS_MAX[rate === null ? 'closed' : 'open'],
      placementsMax: Math.min(ROUND_PLACEMENTS_MAX, FILLED * hosts),
    },
  });
  const rounds: Round[] = [];
  const cpu = new Map<string, number>();
  try {
    await phase('the first round, which warms up', async () => emptied(load, await load.round(), ledger));
    for (let ms = 0; ms < 1000 * seconds; ms += rounds.at(-1)?.ms ?? 0) {
      const before = cpuTimes();
      const round = await load.round();
      rounds.push(round);
      for (const [part, cpuMs] of cpuTimes()) cpu.set(part, (cpu.get(part) ?? 0) + cpuMs - (before.get(part) ?? 0));
      await emptied(load, round, ledger);
    }
  } finally {
    load.close();
  }
  const acknowledged = rounds.flatMap((round) => round.acknowledged);
  const ms = rounds.reduce((sum, round) => sum + round.ms, 0);
  say(`${rounds.length} rounds, ${acknowledged.length} placements in ${figure(ms / 1000)} s`);
  const each = [...cpu].map(([part, cpuMs]) => `${part} ${figure((1000 * cpuMs) / acknowledged.length)}`);
  say(`CPU for each, in µs: ${each.join(', ')}`);
  return {
    perSecond: (1000 * acknowledged.length) / ms,
    latencies: rounds.flatMap((round) => round.latencies),
    ...(await compareWithLedger(ledger, acknowledged)),
  };
}

async function emptied(load: PlacementLoad, round: Round, ledger: pg.Client): Promise<void> {
  const start = performance.now();
  await load.release(round.acknowledged.map(({ id }) => id));
  await untilFree(ledger);
  const rate = (1000 * round.acknowledged.length) / (performance.now() - start);
  const placed = (1000 * round.acknowledged.length) / round.ms;
  say(`  placed ${round.acknowledged.length} at ${figure(placed)}/s; bound and given back at ${figure(rate)}/s`);
}

/** Resolves when no device is taken. */
export async function untilFree(ledger: pg.Client): Promise<void> {
  for (const end = performance.now() + FREE_WITHIN_MS; performance.now() < end;) {
    const { rows } = await ledger.query<{ taken: boolean }>(
      `SELECT EXISTS (SELECT 1 FROM allocations WHERE released_at IS NULL) AS taken`,
    );
    if (rows[0]?.taken === false) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`devices are not free after ${FREE_WITHIN_MS / 1000} s`);
}

/** Says how long it took: with many hosts it is the set-up that takes the time. */
async function phase<T>(name: string, work: () => Promise<T>): Promise<T> {
  const start = performance.now();
  const result = await work();
  say(`${name}: ${figure((performance.now() - start) / 1000)} s`);
  return result;
}

async function takeIn(url: string, hosts: number): Promise<void> {
  await migrate(url);
  const dataSource = await ledgerDataSource(url, 2).initialize();
  for (let first = 0; first < hosts; first += PER_TRANSACTION) {
    const reports = Array.from({ length: Math.min(PER_TRANSACTION, hosts - first) }, (_unused, index) =>
      reportOf(first + index),
    );
    await inTransaction(dataSource, (tx) => absorbReports(tx, reports));
  }
  await dataSource.query('VACUUM ANALYZE');
  await fillLog(dataSource);
  await dataSource.destroy();
}

const LOG_MIB = 640;

/**
 * A database that has run for a while takes its old log segments again. A new one has none, and makes each of 16 MiB anew, which
 * holds up everybody for some 50 ms.
 */
async function fillLog(dataSource: DataSource): Promise<void> {
  for (let mib = 0; mib < LOG_MIB; mib++) {
    await dataSource.query(`SELECT pg_logical_emit_message(false, 'bench', repeat(md5(random()::text), 32768))`);
  }
  await dataSource.query('CHECKPOINT');
}

function tenths(ms: number): number {
  return Math.round(10 * ms) / 10;
}

function options(): Options {
  const { values } = parseArgs({
    options: {
      hosts: { type: 'string', default: '1000' },
      mode: { type: 'string', default: 'batch' },
      seconds: { type: 'string', default: '10' },
      clients: { type: 'string' },
      processes: { type: 'string', default: '1' },
      rate: { type: 'string' },
      policy: { type: 'string', default: 'spread' },
      'bind-ms': { type: 'string', default: '2000' },
      json: { type: 'boolean', default: false },
    },
  });
  const mode = MODES.find((known) => known === values.mode);
  if (!mode) throw new Error(`--mode: "${values.mode}" is none of ${MODES.join(', ')}`);
  return {
    mode,
    hosts: count('hosts', values.hosts, 50_000),
    seconds: count('seconds', values.seconds, 3_600),
    clients: values.clients === undefined ? CLIENTS[mode] : count('clients', values.clients, 256),
    processes: count('processes', values.processes, 16),
    rate: values.rate === undefined ? null : count('rate', values.rate, 100_000),
    bindMs: count('bind-ms', values['bind-ms'], 60_000),
    policy: values.policy,
    json: values.json,
  };
}

function count(name: string, text: string, max: number): number {
  const number = Number(text);
  if (Number.isInteger(number) && number >= 1 && number <= max) return number;
  throw new Error(`--${name}: "${text}" is no whole number from 1 to ${max}`);
}

await main(options());
