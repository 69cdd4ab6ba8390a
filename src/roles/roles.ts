import { hostname } from 'node:os';
import { join } from 'node:path';
import { Logger, Module, type DynamicModule, type INestApplication } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { createApi } from '../api/create-api.js';
import { BatchesModule } from '../batches/batches.module.js';
import { Bus } from '../bus/bus.js';
import { BusModule } from '../bus/bus.module.js';
import { ComputeAgentModule } from '../compute-agent/compute-agent.module.js';
import { ComputeAgentService, type AgentSource } from '../compute-agent/compute-agent.service.js';
import { demoSettings } from '../demo/demo-settings.js';
import { BerthError } from '../errors.js';
import type { AliasDefinition } from '../pci/alias/alias.js';
import { HealthModule, type Check, type Checks } from '../health/health.module.js';
import { SchedulerModule } from '../scheduler/scheduler.module.js';
import type { ConfigurationUser, LiveConfiguration } from '../settings/live-configuration.js';
import type { AgentSettings, Settings } from '../settings/settings.js';
import { type AliasSync, syncFileAliases } from '../store/catalog.store.js';
import { migrate } from '../store/database.js';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../store/embedded-postgres.js';
import { Ledger } from '../store/ledger.js';
import { StoreModule } from '../store/store.module.js';
import { closeGracefully } from './close-gracefully.js';
import { configurationCheck } from './configuration-check.js';
import { RoleLogger } from './role-logger.js';

export interface RunningRole {
  /** Of the role's HTTP face: the REST face, or only `/healthz` and `/readyz`. */
  readonly url: string;
  /** Finishes or returns what the role holds, then closes everything that it opened. */
  stop(): Promise<void>;
}

/** `berth api`: the REST face. */
export async function startApi(configuration: LiveConfiguration): Promise<RunningRole> {
  const settings = configuration.settings();
  const logger = new RoleLogger(settings.logLevel);
  const store = storeOf(settings, 'berth api');
  const broker = { ok: true, message: 'not used by this role: messages wait in the outbox' };
  const app = await createApi(settings, {
    role: 'api',
    store,
    batches: BatchesModule.register(settings.scheduler, store),
    checks: () => ({ broker, ...configurationCheck(configuration) }),
    logger,
    reload: () => configuration.reload('rest'),
  });
  await assertMigrated(app);
  await takeAliases(app, settings);
  return serve(app, configuration, {
    take: (aliases) => takeAliases(app, { ...settings, aliases }),
    follow: ({ logLevel }) => logger.follow(logLevel),
  });
}

/** `berth scheduler`: decisions, claims, inventory, relay, sweeps. */
export async function startScheduler(configuration: LiveConfiguration): Promise<RunningRole> {
  const settings = configuration.settings();
  const logger = new RoleLogger(settings.logLevel);
  const store = storeOf(settings, 'berth scheduler');
  const bus = busOf(settings, 'berth scheduler');
  const batches = BatchesModule.register(settings.scheduler, store);
  const rooms = [store, bus, SchedulerModule.register(settings.scheduler, [store, batches, bus], settings.audit)];
  const app = await createRole(rooms, {
    role: 'scheduler',
    logger,
    checks: async (running) => ({
      ...(await running.get(Ledger, { strict: false }).check()),
      ...brokerCheck(running),
      ...configurationCheck(configuration),
    }),
  });
  await assertMigrated(app);
  return serve(app, configuration, { follow: ({ logLevel }) => logger.follow(logLevel) });
}

/** `berth agent`: the compute agent of one host. It never opens the database. */
export async function startComputeAgent(configuration: LiveConfiguration): Promise<RunningRole> {
  const settings = configuration.settings();
  const logger = new RoleLogger(settings.logLevel);
  const bus = busOf(settings, 'berth agent');
  const agents = ComputeAgentModule.register([settings.agent], bus, agentSource(configuration));
  const app = await createRole([bus, agents], {
    role: 'agent',
    logger,
    checks: async (running) => ({
      ...brokerCheck(running),
      ...agentChecks(running),
      ...configurationCheck(configuration),
    }),
  });
  return serve(app, configuration, {
    follow: async (inForce, state) => {
      logger.follow(inForce.logLevel);
      await app
        .get(ComputeAgentService, { strict: false })
        .configure({ deviceSpecs: inForce.agent.deviceSpecs, sriov: inForce.agent.sriov ?? [], state });
    },
  });
}

function agentSource(configuration: LiveConfiguration): AgentSource {
  return {
    state: () => configuration.state(),
    reload: async () => void (await configuration.reload('command')),
  };
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
export async function startAll(configuration: LiveConfiguration, demo: boolean): Promise<AllRoles> {
  const given = configuration.settings();
  const folder = join(given.dataDir, 'postgres');
  const postgres = given.database.url === null ? await startEmbeddedPostgres({ dataDir: folder }) : null;
  try {
    const url = given.database.url ?? postgres?.url ?? '';
    await migrate(url);
    const { agents, aliases } = demo ? await demoSettings(given) : { agents: [given.agent], aliases: given.aliases };
    // nobody else uses an embedded database, whatever the machine is called today
    const pci = postgres ? { ...given.pci, aliasOrigin: EMBEDDED_ORIGIN } : given.pci;
    const settings: Settings = { ...given, database: { ...given.database, url }, pci, aliases };
    const logger = new RoleLogger(settings.logLevel);
    const app = await createAll(settings, agents, { configuration, demo, logger });
    await takeAliases(app, settings);
    const ofCode = aliases.filter((alias) => !given.aliases.includes(alias));
    const running = await serve(
      app,
      configuration,
      {
        take: (fresh) => takeAliases(app, { ...settings, aliases: withoutDoubles(fresh, ofCode) }),
        follow: async (inForce, state) => {
          logger.follow(inForce.logLevel);
          const { deviceSpecs, sriov = [] } = inForce.agent;
          if (!demo) await app.get(ComputeAgentService, { strict: false }).configure({ deviceSpecs, sriov, state });
        },
      },
      postgres,
    );
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

/** The demonstration's aliases stay, but for those of which a file has its own. */
function withoutDoubles(fromFiles: readonly AliasDefinition[], ofCode: readonly AliasDefinition[]): AliasDefinition[] {
  const names = new Set(fromFiles.map(({ name }) => name));
  return [...fromFiles, ...ofCode.filter(({ name }) => !names.has(name))];
}

interface AllOptions {
  readonly configuration: LiveConfiguration;
  /** The demonstration's whitelists are code: there is nothing to read again. */
  readonly demo: boolean;
  readonly logger: RoleLogger;
}

function createAll(
  settings: Settings,
  agents: readonly AgentSettings[],
  { configuration, demo, logger }: AllOptions,
): Promise<NestFastifyApplication> {
  const store = storeOf(settings, 'berth all');
  const bus = BusModule.register(settings.bus);
  const batches = BatchesModule.register(settings.scheduler, store);
  return createApi(settings, {
    role: 'all',
    store,
    batches,
    rooms: [
      SchedulerModule.register(settings.scheduler, [store, batches, bus], settings.audit),
      ComputeAgentModule.register(agents, bus, demo ? null : agentSource(configuration)),
    ],
    checks: (app) => ({ ...brokerCheck(app), ...agentChecks(app), ...configurationCheck(configuration) }),
    logger,
    reload: () => configuration.reload('rest'),
  });
}

@Module({})
class RoleModule {}

/** A role without a REST face: its rooms and the two health paths. */
async function createRole(
  rooms: readonly DynamicModule[],
  health: { role: string; logger: RoleLogger; checks: (app: INestApplication) => ReturnType<Checks> },
): Promise<NestFastifyApplication> {
  let app: NestFastifyApplication | null = null;
  const checks: Checks = async () => (app ? health.checks(app) : { started: { ok: false, message: 'starting' } });
  const module: DynamicModule = {
    module: RoleModule,
    imports: [...rooms, HealthModule.register({ role: health.role, checks })],
  };
  app = await NestFactory.create<NestFastifyApplication>(module, new FastifyAdapter(), {
    abortOnError: false,
    logger: health.logger,
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

async function takeAliases(app: INestApplication, settings: Settings): Promise<AliasSync> {
  const origin = aliasOrigin(settings);
  const ledger = app.get(Ledger, { strict: false });
  const sync = await ledger.transaction((tx) => syncFileAliases(tx, origin, settings.aliases));
  if (sync.behind.length === 0) return sync;
  new Logger('Aliases').warn({
    message: 'files define aliases as they were before another origin changed them; update these files',
    origin,
    aliases: sync.behind,
  });
  return sync;
}

const EMBEDDED_ORIGIN = 'berth-all';

/** Whose files these are: what stays the same when they change, and when the process starts again. */
function aliasOrigin({ pci, http }: Settings): string {
  return pci.aliasOrigin ?? `${hostname().toLowerCase()}:${http.port}`;
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

/** Listens, and from then on takes over what changes in the configuration. */
async function serve(
  app: NestFastifyApplication,
  configuration: LiveConfiguration,
  user: ConfigurationUser,
  postgres: EmbeddedPostgres | null = null,
): Promise<RunningRole> {
  const running = await listen(app, configuration.settings(), postgres);
  configuration.start(user);
  return {
    url: running.url,
    stop: async () => {
      await configuration.stop();
      await running.stop();
    },
  };
}

async function listen(
  app: NestFastifyApplication,
  settings: Settings,
  postgres: EmbeddedPostgres | null,
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
