import { hostname } from 'node:os';
import { join } from 'node:path';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { createApi } from '../api/create-api.js';
import { BatchesModule } from '../batches/batches.module.js';
import { BusModule } from '../bus/bus.module.js';
import { ComputeAgentModule } from '../compute-agent/compute-agent.module.js';
import { ComputeAgentService } from '../compute-agent/compute-agent.service.js';
import { demoSettings } from '../demo/demo-settings.js';
import type { AliasDefinition } from '../pci/alias/alias.js';
import { SchedulerModule } from '../scheduler/scheduler.module.js';
import type { LiveConfiguration } from '../settings/live-configuration.js';
import type { AgentSettings, Settings } from '../settings/settings.js';
import { databaseAddress } from '../store/database-address.js';
import { migrate } from '../store/database.js';
import { startEmbeddedPostgres } from '../store/embedded-postgres.js';
import { agentChecks, agentSource } from './agent.role.js';
import { assertOneUserWillDo, brokerCheck } from './broker-use.js';
import { configurationCheck } from './configuration-check.js';
import { EMBEDDED_ORIGIN, storeOf, takeAliases } from './ledger-use.js';
import { RoleLogger } from './role-logger.js';
import { serve, type RunningRole } from './running-role.js';

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
  assertOneUserWillDo(given);
  const folder = join(given.dataDir, 'postgres');
  const postgres = given.database.url === null ? await startEmbeddedPostgres({ dataDir: folder }) : null;
  try {
    const url = databaseAddress(given.database) ?? postgres?.url ?? '';
    await migrate(url);
    const { agents, aliases } = demo ? await demoSettings(given) : { agents: [given.agent], aliases: given.aliases };
    // nobody else uses an embedded database, whatever the machine is called today
    const pci = postgres ? { ...given.pci, aliasOrigin: EMBEDDED_ORIGIN } : given.pci;
    const settings: Settings = { ...given, database: { url, poolMax: given.database.poolMax }, pci, aliases };
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
