import { hostname } from 'node:os';
import { join } from 'node:path';
import { Module, type DynamicModule, type INestApplication } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { createApi } from '../api/create-api.js';
import { Bus } from '../bus/bus.js';
import { BusModule } from '../bus/bus.module.js';
import { ComputeAgentModule } from '../compute-agent/compute-agent.module.js';
import { ComputeAgentService } from '../compute-agent/compute-agent.service.js';
import { demoSettings } from '../demo/demo-settings.js';
import { BerthError } from '../errors.js';
import { HealthModule, type Check, type Checks } from '../health/health.module.js';
import { SchedulerModule } from '../scheduler/scheduler.module.js';
import type { AgentSettings, Settings } from '../settings/settings.js';
import { syncFileAliases } from '../store/catalog.store.js';
import { migrate } from '../store/database.js';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../store/embedded-postgres.js';
import { Ledger } from '../store/ledger.js';
import { StoreModule } from '../store/store.module.js';
import { closeGracefully } from './close-gracefully.js';
import { roleLogger } from './role-logger.js';

export interface RunningRole {
  /** Of the role's HTTP face: the REST face, or only `/healthz` and `/readyz`. */
  readonly url: string;
  /** Finishes or returns what the role holds, then closes everything that it opened. */
  stop(): Promise<void>;
}

/** `berth api`: the REST face. */
export async function startApi(settings: Settings): Promise<RunningRole> {
  const store = storeOf(settings, 'berth api');
  const app = await createApi(settings, {
    role: 'api',
    store,
    checks: () => ({ broker: { ok: true, message: 'not used by this role: messages wait in the outbox' } }),
    logger: roleLogger(settings.logLevel),
  });
  await assertMigrated(app);
  await takeAliases(app, settings);
  return listen(app, settings);
}

/** `berth scheduler`: decisions, claims, inventory, relay, sweeps. */
export async function startScheduler(settings: Settings): Promise<RunningRole> {
  const store = storeOf(settings, 'berth scheduler');
  const bus = busOf(settings, 'berth scheduler');
  const app = await createRole(settings, [store, bus, SchedulerModule.register(settings.scheduler, [store, bus])], {
    role: 'scheduler',
    checks: async (running) => ({ ...(await running.get(Ledger, { strict: false }).check()), ...brokerCheck(running) }),
  });
  await assertMigrated(app);
  return listen(app, settings);
}

/** `berth agent`: the compute agent of one host. It never opens the database. */
export async function startComputeAgent(settings: Settings): Promise<RunningRole> {
  const bus = busOf(settings, 'berth agent');
  const app = await createRole(settings, [bus, ComputeAgentModule.register([settings.agent], bus)], {
    role: 'agent',
    checks: async (running) => ({ ...brokerCheck(running), ...agentChecks(running) }),
  });
  return listen(app, settings);
}

export interface AllRoles extends RunningRole {
  /** Names of the hosts whose agents run here. */
  readonly hosts: readonly string[];
  /** Where the embedded database keeps its files; null when a database was given. */
  readonly embeddedDatabase: string | null;
}

/**
 * `berth all`: every role in one process. Without a database URL on an embedded Postgres below `dataDir`, without a broker
 * URL on the in-process bus.
 */
export async function startAll(given: Settings, demo: boolean): Promise<AllRoles> {
  const folder = join(given.dataDir, 'postgres');
  const postgres = given.database.url === null ? await startEmbeddedPostgres({ dataDir: folder }) : null;
  try {
    const url = given.database.url ?? postgres?.url ?? '';
    await migrate(url);
    const { agents, aliases } = demo ? await demoSettings(given) : { agents: [given.agent], aliases: given.aliases };
    const settings: Settings = { ...given, database: { ...given.database, url }, aliases };
    const app = await createAll(settings, agents);
    await takeAliases(app, settings);
    const running = await listen(app, settings, postgres);
    return {
      ...running,
      hosts: agents.map((agent) => agent.host ?? hostname().toLowerCase()),
      embeddedDatabase: postgres && folder,
    };
  } catch (error) {
    await postgres?.stop();
    throw error;
  }
}

function createAll(settings: Settings, agents: readonly AgentSettings[]): Promise<NestFastifyApplication> {
  const store = storeOf(settings, 'berth all');
  const bus = BusModule.register(settings.bus);
  return createApi(settings, {
    role: 'all',
    store,
    rooms: [SchedulerModule.register(settings.scheduler, [store, bus]), ComputeAgentModule.register(agents, bus)],
    checks: (app) => ({ ...brokerCheck(app), ...agentChecks(app) }),
    logger: roleLogger(settings.logLevel),
  });
}

@Module({})
class RoleModule {}

/** A role without a REST face: its rooms and the two health paths. */
async function createRole(
  settings: Settings,
  rooms: readonly DynamicModule[],
  health: { role: string; checks: (app: INestApplication) => ReturnType<Checks> },
): Promise<NestFastifyApplication> {
  let app: NestFastifyApplication | null = null;
  const checks: Checks = async () => (app ? health.checks(app) : { started: { ok: false, message: 'starting' } });
  const module: DynamicModule = {
    module: RoleModule,
    imports: [...rooms, HealthModule.register({ role: health.role, checks })],
  };
  app = await NestFactory.create<NestFastifyApplication>(module, new FastifyAdapter(), {
    abortOnError: false,
    logger: roleLogger(settings.logLevel),
  });
  return app;
}

function storeOf(settings: Settings, role: string): DynamicModule {
  const { url, poolMax } = settings.database;
  if (url === null)
    throw new BerthError('settings.invalid', `database.url: ${role} needs a database; set DATABASE_URL`);
  return StoreModule.register({ url, poolMax });
}

function busOf(settings: Settings, role: string): DynamicModule {
  if (settings.bus.url === null) {
    throw new BerthError('settings.invalid', `bus.url: ${role} needs RabbitMQ; set AMQP_URL`);
  }
  return BusModule.register(settings.bus);
}

async function assertMigrated(app: INestApplication): Promise<void> {
  const { database, migrations } = await app.get(Ledger, { strict: false }).check();
  const problem = [database, migrations].find((check) => !check.ok);
  if (!problem) return;
  await app.close();
  throw new BerthError(database.ok ? 'database.not_migrated' : 'database.unavailable', problem.message ?? '');
}

async function takeAliases(app: INestApplication, settings: Settings): Promise<void> {
  await app.get(Ledger, { strict: false }).transaction((tx) => syncFileAliases(tx, settings.aliases));
}

function brokerCheck(app: INestApplication): Record<string, Check> {
  const bus = app.get(Bus, { strict: false });
  if (!bus.isReady()) return { broker: { ok: false, message: 'the message broker cannot be reached' } };
  const unheard = bus.unheardQueues();
  if (unheard.length === 0) return { broker: { ok: true } };
  return { broker: { ok: false, message: `the broker does not deliver from ${unheard.join(', ')}` } };
}

function agentChecks(app: INestApplication): Readonly<Record<string, Check>> {
  return app.get(ComputeAgentService, { strict: false }).checks();
}

async function listen(
  app: NestFastifyApplication,
  settings: Settings,
  postgres: EmbeddedPostgres | null = null,
): Promise<RunningRole> {
  const { host, port } = settings.http;
  try {
    await app.listen(port, host);
  } catch (cause) {
    await app.close();
    if ((cause as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw cause;
    throw new BerthError('settings.invalid', `http.port: ${port} is in use; set BERTH_HTTP_PORT to another`, { cause });
  }
  return {
    url: (await app.getUrl()).replace('[::1]', '127.0.0.1'),
    stop: async () => {
      await closeGracefully(app);
      await postgres?.stop();
    },
  };
}
