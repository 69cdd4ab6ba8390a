import 'reflect-metadata';
import { createApi } from '../src/api/create-api.js';
import { BatchesModule } from '../src/batches/batches.module.js';
import { BusModule } from '../src/bus/bus.module.js';
import { parseAliases } from '../src/pci/alias/alias.js';
import { SchedulerModule } from '../src/scheduler/scheduler.module.js';
import { loadSettings } from '../src/settings/load-settings.js';
import { syncFileAliases } from '../src/store/catalog.store.js';
import { Ledger } from '../src/store/ledger.js';
import { StoreModule } from '../src/store/store.module.js';
import { ALIASES } from './fleet.js';

/** The program of a process of its own: REST face and scheduler on a real broker, with the settings' defaults. */
async function serve(databaseUrl: string, brokerUrl: string, policy: string): Promise<void> {
  const { settings } = loadSettings({
    files: [],
    env: {},
    overrides: {
      'database.url': databaseUrl,
      'bus.url': brokerUrl,
      'http.port': 0,
      'scheduler.placement_policies.default': policy,
      // the hosts report once and send no heartbeats
      'scheduler.host_silent_after_ms': 3_600_000,
    },
  });
  const store = StoreModule.register({ url: databaseUrl, poolMax: settings.database.poolMax });
  const bus = BusModule.register(settings.bus);
  const batches = BatchesModule.register(settings.scheduler, store);
  const rooms = [bus, SchedulerModule.register(settings.scheduler, [store, batches, bus], settings.audit)];
  const app = await createApi(settings, { role: 'all', store, batches, rooms, logger: ['error', 'fatal', 'warn'] });
  const aliases = parseAliases(ALIASES.map((value, index) => ({ value, where: `alias ${index + 1}` })));
  await app.get(Ledger, { strict: false }).transaction((tx) => syncFileAliases(tx, 'bench', aliases));
  await app.listen(0, '127.0.0.1');
  process.on('message', () => void app.close().then(() => process.exit(0)));
  process.send?.({ url: (await app.getUrl()).replace('[::1]', '127.0.0.1') });
}

process.on('disconnect', () => process.exit(1));
await serve(process.argv[2] ?? '', process.argv[3] ?? '', process.argv[4] ?? '');
