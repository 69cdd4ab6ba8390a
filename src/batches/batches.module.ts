import { Module, type DynamicModule } from '@nestjs/common';
import type { SchedulerSettings } from '../settings/settings.js';
import { Ledger } from '../store/ledger.js';
import { SnapshotCache } from '../store/snapshot.store.js';
import { Deciding } from './deciding.js';
import { DecisionRecorder } from './decision-recorder.js';
import { Placing } from './placing.js';

/** What decides in this process; rooms that share a process share it. */
@Module({})
export class BatchesModule {
  static register(settings: SchedulerSettings, store: DynamicModule): DynamicModule {
    return {
      module: BatchesModule,
      imports: [store],
      providers: [
        {
          provide: Deciding,
          useFactory: (ledger: Ledger, cache: SnapshotCache) =>
            new Deciding(ledger, cache, settings, new DecisionRecorder(ledger, cache, settings.journal)),
          inject: [Ledger, SnapshotCache],
        },
        { provide: Placing, useFactory: (deciding: Deciding) => new Placing(deciding), inject: [Deciding] },
      ],
      exports: [Deciding, Placing],
    };
  }
}
