import { type DynamicModule, Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { ledgerDataSource } from './database.js';
import { Ledger } from './ledger.js';
import { SnapshotCache } from './snapshot.store.js';

export interface StoreOptions {
  /** `postgres://user:password@host:port/database` */
  readonly url: string;
  readonly poolMax: number;
  /** `false` leaves the connection closed: for what only reads the shape of the program, like OpenAPI. */
  readonly connect?: boolean;
}

const CONNECT_ATTEMPTS = 10;
const CONNECT_DELAY_MS = 1_000;

/** The ledger, connected when the application starts and closed when it ends. */
@Module({})
export class StoreModule {
  static register(options: StoreOptions): DynamicModule {
    return {
      module: StoreModule,
      imports: [
        TypeOrmModule.forRootAsync({
          useFactory: () => ({
            type: 'postgres' as const,
            retryAttempts: CONNECT_ATTEMPTS,
            retryDelay: CONNECT_DELAY_MS,
            manualInitialization: options.connect === false,
          }),
          dataSourceFactory: async () => ledgerDataSource(options.url, options.poolMax),
        }),
      ],
      providers: [Ledger, SnapshotCache],
      exports: [Ledger, SnapshotCache],
    };
  }
}
