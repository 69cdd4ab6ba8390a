import { createApi } from '../api/create-api.js';
import { BatchesModule } from '../batches/batches.module.js';
import type { LiveConfiguration } from '../settings/live-configuration.js';
import { configurationCheck } from './configuration-check.js';
import { assertMigrated, storeOf, takeAliases } from './ledger-use.js';
import { RoleLogger } from './role-logger.js';
import { serve, type RunningRole } from './running-role.js';

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
