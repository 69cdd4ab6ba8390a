import { Module, type DynamicModule } from '@nestjs/common';
import { Bus } from '../bus/bus.js';
import type { SchedulerSettings } from '../settings/settings.js';
import { Ledger } from '../store/ledger.js';
import { SnapshotCache } from '../store/snapshot.store.js';
import { ClaimsService } from './claims.service.js';
import { DecisionRecorder } from './decision-recorder.js';
import { InventoryService } from './inventory.service.js';
import { LeasesService } from './leases.service.js';
import { OutboxRelay } from './outbox-relay.js';
import { SchedulerConsumer } from './scheduler.consumer.js';
import { SchedulingService } from './scheduling.service.js';
import { SweepsService } from './sweeps.service.js';

/** The scheduler's room. `rooms` are the registered store and bus that it shares with the process. */
@Module({})
export class SchedulerModule {
  static register(settings: SchedulerSettings, rooms: readonly DynamicModule[]): DynamicModule {
    return {
      module: SchedulerModule,
      imports: [...rooms],
      providers: [
        {
          provide: SchedulingService,
          useFactory: (ledger: Ledger, cache: SnapshotCache) =>
            new SchedulingService(ledger, cache, settings, new DecisionRecorder(ledger, cache, settings.journal)),
          inject: [Ledger, SnapshotCache],
        },
        {
          provide: ClaimsService,
          useFactory: (ledger: Ledger) => new ClaimsService(ledger, settings),
          inject: [Ledger],
        },
        {
          provide: OutboxRelay,
          useFactory: (ledger: Ledger, bus: Bus) => new OutboxRelay(ledger, bus, settings),
          inject: [Ledger, Bus],
        },
        {
          provide: SweepsService,
          useFactory: (ledger: Ledger, claims: ClaimsService, bus: Bus, scheduling: SchedulingService) =>
            new SweepsService(ledger, claims, settings, bus, scheduling),
          inject: [Ledger, ClaimsService, Bus, SchedulingService],
        },
        {
          provide: LeasesService,
          useFactory: (ledger: Ledger, bus: Bus) => new LeasesService(ledger, bus, settings),
          inject: [Ledger, Bus],
        },
        InventoryService,
        SchedulerConsumer,
      ],
      exports: [SchedulingService],
    };
  }
}
