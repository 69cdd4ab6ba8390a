import 'reflect-metadata';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DataSource } from 'typeorm';
import { AmqpBus } from '../src/bus/amqp.bus.js';
import { FleetSimulator } from '../src/fleet/fleet-simulator.js';
import type { SimulatedAgent } from '../src/fleet/simulated-agent.js';
import { KINDS, readKinds } from '../src/fleet/host-kinds.js';
import { ledgerDataSource, migrate } from '../src/store/database.js';
import { SnapshotCache } from '../src/store/snapshot.store.js';
import { endChild, spawnTied } from '../test/support/processes.js';
import { startRabbitMq } from '../test/support/rabbitmq.js';
import { BROKER_MEMORY, sayMachine } from './machine.js';
import { figure, say } from './print.js';
import { withPostgres } from './scratch-postgres.js';
import { quantile } from './statistics.js';

const MESSAGE_BYTES_MAX = 16 * 1024 ** 2;
const IDLE_S = 20;
const CHANGES = 100;
const SETTLE_MS_MAX = 900_000;
const LOOK_MS_MIN = 100;
const LOOK_MS_MAX = 500;
const CHANGE_MS_MAX = 60_000;
/** Of Linux: `getconf CLK_TCK`. */
const CLOCK_TICKS_PER_S = 100;

/**
 * `npm run bench:fleet -- --hosts N [--json]`: `berth scheduler` as a process of its own on a real Postgres and a real
 * RabbitMQ, and N agents played here. A change of a device is timed from the moment that its agent sees it to the moment
 * that a snapshot cache, which asks the ledger all the time, has the host without (or with) the device.
 */
async function main(words: readonly string[]): Promise<void> {
  const hosts = Number(words[words.indexOf('--hosts') + 1]);
  if (!words.includes('--hosts') || !Number.isSafeInteger(hosts) || hosts < 1) throw new Error('say --hosts N');
  sayMachine();
  const broker = await startRabbitMq({ memory: BROKER_MEMORY });
  try {
    await withPostgres(async (databaseUrl) => {
      await migrate(databaseUrl);
      const source = await ledgerDataSource(databaseUrl, 4).initialize();
      const centre = startCentre(databaseUrl, broker.url);
      try {
        const figures = await measure(hosts, { source, brokerUrl: broker.url, pid: centre.pid ?? 0 });
        if (words.includes('--json')) say(JSON.stringify({ bench: 'fleet', hosts, ...figures }));
      } finally {
        await endChild(centre, 'SIGTERM');
        await source.destroy();
      }
    });
  } finally {
    await broker.stop();
  }
}

function startCentre(databaseUrl: string, brokerUrl: string) {
  const program = new URL('../src/main.js', import.meta.url).pathname;
  const env = {
    PATH: process.env['PATH'] ?? '',
    DATABASE_URL: databaseUrl,
    AMQP_URL: brokerUrl,
    BERTH_HTTP_PORT: '0',
    BERTH_LOG_LEVEL: 'warn',
  };
  return spawnTied([process.execPath, program, 'scheduler'], { env, stdio: ['ignore', 'ignore', 'inherit'] });
}

interface World {
  readonly source: DataSource;
  readonly brokerUrl: string;
  readonly pid: number;
}

async function measure(hosts: number, { source, brokerUrl, pid }: World) {
  const settings = { url: brokerUrl, messageBytesMax: MESSAGE_BYTES_MAX, deliveryLimit: 5 };
  const bus = new AmqpBus(settings, () => undefined);
  while (!bus.isReady()) await sleep(50);
  const options = { hosts, heartbeatIntervalMs: 10_000, latencyMs: 0, failureRate: 0, seed: 1 };
  const fleet = new FleetSimulator(bus, { ...options, kinds: await readKinds(KINDS) }, (_level, message, fields) =>
    say(`${message} ${JSON.stringify(fields)}`),
  );
  try {
    const begun = await timed(() => fleet.start());
    say(`${hosts} agents have their queues, and the broker has their first reports: ${figure(begun / 1000)} s`);
    const taken = await timed(() => settled(source, fleet));
    const first = begun + taken;
    say(`${hosts} hosts reported for the first time: ${figure(first / 1000)} s`);
    // what was asked for while reports were in their queue
    await sleep(10_000);
    const idle = await idleOf(pid);
    say(`the centre with heartbeats: ${figure(idle.cpu)} % of one core, ${figure(idle.rss)} MiB`);
    const storm = await timed(async () => {
      await fleet.restartAll();
      await settled(source, fleet);
    });
    say(`all agents started again at once, and the ledger has every new epoch: ${figure(storm / 1000)} s`);
    const changes = await changeTimes(source, fleet, hosts);
    const [p50, p99] = [quantile(changes.times, 0.5), quantile(changes.times, 0.99)];
    say(`a device changes, and the snapshot has it: median ${figure(p50)} ms, p99 ${figure(p99)} ms`);
    return {
      idle_cpu_percent: round(idle.cpu),
      idle_rss_mib: Math.round(idle.rss),
      first_reports_s: round(first / 1000),
      storm_s: round(storm / 1000),
      change_to_snapshot_ms_p50: Math.round(p50),
      p99: Math.round(p99),
      lost: hosts - (await upToDate(source, fleet.agents)).size + changes.lost,
    };
  } finally {
    await fleet.stop();
    await bus.close();
  }
}

/** Those of these agents whose host is up in the ledger with the epoch and the content that they have. */
async function upToDate(source: DataSource, agents: readonly SimulatedAgent[]): Promise<ReadonlySet<string>> {
  const stamps = agents.map((agent) => agent.stamp());
  const rows = (await source.query(
    `SELECT h.name FROM unnest($1::text[], $2::bigint[], $3::text[]) AS s(name, epoch, hash)
       JOIN hosts h ON h.name = s.name AND h.epoch = s.epoch AND h.report_hash = s.hash AND h.status = 'up'`,
    [stamps.map(({ host }) => host), stamps.map(({ epoch }) => epoch), stamps.map(({ hash }) => hash)],
  )) as { name: string }[];
  return new Set(rows.map(({ name }) => name));
}

/** Looks often, but so that looking takes a small part of the time. */
async function settled(source: DataSource, { agents }: FleetSimulator): Promise<void> {
  const deadline = Date.now() + SETTLE_MS_MAX;
  for (let waiting = agents; waiting.length > 0;) {
    if (Date.now() > deadline) throw new Error(`${SETTLE_MS_MAX / 1000} s were not enough`);
    const before = performance.now();
    const done = await upToDate(source, waiting);
    waiting = waiting.filter(({ host }) => !done.has(host));
    await sleep(Math.min(LOOK_MS_MAX, Math.max(LOOK_MS_MIN, 9 * (performance.now() - before))));
  }
}

async function idleOf(pid: number): Promise<{ readonly cpu: number; readonly rss: number }> {
  const before = cpuSeconds(pid);
  await sleep(IDLE_S * 1000);
  const rss = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? NaN) / 1024;
  return { cpu: (100 * (cpuSeconds(pid) - before)) / IDLE_S, rss };
}

function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS_PER_S;
}

async function changeTimes(source: DataSource, fleet: FleetSimulator, hosts: number) {
  const cache = new SnapshotCache(source);
  await cache.refresh();
  const times: number[] = [];
  let lost = 0;
  const count = Math.min(CHANGES, hosts);
  for (let number = 0; number < count; number++) {
    const index = Math.floor((number * hosts) / count);
    const known = cache.list().find(({ name }) => name === fleet.agents[index]?.host);
    const before = performance.now();
    const address = await fleet.changeDevice(index);
    const isSeen = (): boolean =>
      cache.get(known?.id ?? '')?.devices.every((device) => device.address !== address) === true;
    while (!isSeen() && performance.now() - before < CHANGE_MS_MAX) {
      await cache.refresh();
      if (!isSeen()) await sleep(2);
    }
    if (isSeen()) times.push(performance.now() - before);
    else lost += 1;
  }
  return { times, lost };
}

async function timed(work: () => Promise<void>): Promise<number> {
  const before = performance.now();
  await work();
  return performance.now() - before;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

await main(process.argv.slice(2));
