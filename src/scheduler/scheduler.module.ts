import { Module, type DynamicModule } from '@nestjs/common';
import { Deciding } from '../batches/deciding.js';
import { Bus } from '../bus/bus.js';
import type { AuditSettings, SchedulerSettings } from '../settings/settings.js';
import { Ledger } from '../store/ledger.js';
import { AuditSealer } from './audit-sealer.js';
import { ClaimsService } from './claims.service.js';
import { InventoryService } from './inventory.service.js';
import { ReservationsSweep } from './reservations.sweep.js';
import { LeasesService } from './leases.service.js';
import { OutboxRelay } from './outbox-relay.js';
import { SchedulerConsumer } from './scheduler.consumer.js';
import { SchedulingService } from './scheduling.service.js';
import { SweepsService } from './sweeps.service.js';

/** The scheduler's room. `rooms` are the registered store, batches and bus that it shares with the process. */
@Module({})
export class SchedulerModule {
  static register(settings: SchedulerSettings, rooms: readonly DynamicModule[], audit: AuditSettings): DynamicModule {
    return {
      module: SchedulerModule,
      imports: [...rooms],
      providers: [
        {
          provide: SchedulingService,
          useFactory: (deciding: Deciding) => new SchedulingService(deciding),
          inject: [Deciding],
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
          provide: AuditSealer,
          useFactory: (ledger: Ledger) => new AuditSealer(ledger, audit),
          inject: [Ledger],
        },
        {
          provide: ReservationsSweep,
          useFactory: (ledger: Ledger, { cache }: Deciding) => new ReservationsSweep(ledger, cache, settings),
          inject: [Ledger, Deciding],
        },
        {
          provide: LeasesService,
          useFactory: (ledger: Ledger, bus: Bus) => new LeasesService(ledger, bus, settings),
          inject: [Ledger, Bus],
        },
        {
          provide: InventoryService,
          useFactory: (ledger: Ledger) => new InventoryService(ledger, settings.drift),
          inject: [Ledger],
        },
        SchedulerConsumer,
      ],
      exports: [SchedulingService],
    };
  }
}
