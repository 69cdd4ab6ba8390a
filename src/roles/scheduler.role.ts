import { BatchesModule } from '../batches/batches.module.js';
import { SchedulerModule } from '../scheduler/scheduler.module.js';
import type { LiveConfiguration } from '../settings/live-configuration.js';
import { Ledger } from '../store/ledger.js';
import { brokerCheck, busOf } from './broker-use.js';
import { configurationCheck } from './configuration-check.js';
import { assertMigrated, storeOf } from './ledger-use.js';
import { RoleLogger } from './role-logger.js';
import { createRole, serve, type RunningRole } from './running-role.js';

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
    http: settings.http,
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
