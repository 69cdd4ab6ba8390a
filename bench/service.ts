import 'reflect-metadata';
import { createApi } from '../src/api/create-api.js';
import { BatchesModule } from '../src/batches/batches.module.js';
import { BusModule } from '../src/bus/bus.module.js';
import { Bus } from '../src/bus/bus.js';
import { envelope } from '../src/messages/envelope.js';
import { agentQueue, QUEUES } from '../src/messages/routes.js';
import { parseAliases } from '../src/pci/alias/alias.js';
import { SchedulerModule } from '../src/scheduler/scheduler.module.js';
import { loadSettings } from '../src/settings/load-settings.js';
import { syncFileAliases } from '../src/store/catalog.store.js';
import { migrate } from '../src/store/database.js';
import { Ledger } from '../src/store/ledger.js';
import { StoreModule } from '../src/store/store.module.js';
import { ALIASES, hostName } from './fleet.js';
import type { FromService, ToService } from './service-process.js';

/**
 * The program of a process of its own: REST face and scheduler as `berth all` joins them, on the in-process bus, and in
 * the place of compute agents a consumer for each host that answers "prepared" at once.
 */
async function serve(databaseUrl: string): Promise<void> {
  const { settings } = loadSettings({
    files: [],
    env: {},
    overrides: {
      'database.url': databaseUrl,
      'http.port': 0,
      // the hosts report once and send no heartbeats
      'scheduler.host_silent_after_ms': 3_600_000,
    },
  });
  await migrate(databaseUrl);
  const store = StoreModule.register({ url: databaseUrl, poolMax: settings.database.poolMax });
  const bus = BusModule.register(settings.bus);
  const batches = BatchesModule.register(settings.scheduler, store);
  const rooms = [bus, SchedulerModule.register(settings.scheduler, [store, batches, bus], settings.audit)];
  const app = await createApi(settings, { role: 'all', store, batches, rooms, logger: ['error', 'fatal'] });
  const aliases = parseAliases(ALIASES.map((value, index) => ({ value, where: `alias ${index + 1}` })));
  await app.get(Ledger, { strict: false }).transaction((tx) => syncFileAliases(tx, 'bench', aliases));
  await app.listen(0, '127.0.0.1');
  const simulated = new SimulatedAgents(app.get(Bus, { strict: false }));
  process.on('message', (message: ToService) => {
    if (message.type === 'agents') void simulated.serve(message.hosts).then(() => tell({ type: 'ready' }));
    else void app.close().then(() => process.exit(0));
  });
  tell({ type: 'listening', url: (await app.getUrl()).replace('[::1]', '127.0.0.1') });
}

class SimulatedAgents {
  private hosts = 0;

  constructor(private readonly bus: Bus) {}

  /** From now on the fleet's first `count` hosts answer. */
  async serve(count: number): Promise<void> {
    for (; this.hosts < count; this.hosts++) await this.serveHost(hostName(this.hosts));
  }

  private async serveHost(host: string): Promise<void> {
    const answer = async (message: Parameters<Parameters<Bus['consume']>[1]>[0]): Promise<void> => {
      if (message.type !== 'devices.prepare') return;
      const { claim_id, server_id, devices } = message.body;
      const bindings = devices.map(({ address }) => ({
        address,
        driver: 'vfio-pci',
        original_driver: null,
        iommu_group: 1,
      }));
      await this.bus.publish(
        QUEUES.outcomes,
        envelope('devices.prepared', { host, epoch: 1_700_000_000_000, claim_id, server_id, bindings }),
      );
    };
    await this.bus.consume(agentQueue(host), answer, { prefetch: 4 });
  }
}

function tell(message: FromService): void {
  process.send?.(message);
}

process.on('disconnect', () => process.exit(1));
await serve(process.argv[2] ?? '');
