import { Inject, Logger, Module, type DynamicModule, type OnApplicationShutdown } from '@nestjs/common';
import type { BusSettings } from '../settings/settings.js';
import { AmqpBus } from './amqp.bus.js';
import { Bus } from './bus.js';
import type { BusLog } from './bus-log.js';
import { InProcessBus } from './in-process.bus.js';

/**
 * Provides {@link Bus}: RabbitMQ when there is a URL, else in-process.
 *
 * A role registers it once and imports what `register` answered wherever it is needed: two registrations are two
 * buses. The bus closes in `onApplicationShutdown`, as the database does; a room whose handlers write to the ledger
 * stops its subscriptions before that, in `beforeApplicationShutdown`.
 */
@Module({})
export class BusModule implements OnApplicationShutdown {
  constructor(@Inject(Bus) private readonly bus: Bus) {}

  static register(settings: BusSettings): DynamicModule {
    return {
      module: BusModule,
      providers: [{ provide: Bus, useFactory: () => createBus(settings, nestLog()) }],
      exports: [Bus],
    };
  }

  async onApplicationShutdown(): Promise<void> {
    await this.bus.close();
  }
}

function createBus(settings: BusSettings, log: BusLog): Bus {
  const { url } = settings;
  return url === null ? new InProcessBus(settings, log) : new AmqpBus({ ...settings, url }, log);
}

function nestLog(): BusLog {
  const logger = new Logger('Bus');
  return (level, message, fields) => logger[level === 'info' ? 'log' : level](message, fields);
}
