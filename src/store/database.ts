import pg from 'pg';
import { DataSource, type EntityManager } from 'typeorm';
import { Ledger1763600000000 } from '../../migrations/1763600000000-ledger.js';
import { AliasVersions1763700000000 } from '../../migrations/1763700000000-alias-versions.js';
import { DeviceStatuses1763700001000 } from '../../migrations/1763700001000-device-statuses.js';
import { HostConfiguration1763700002000 } from '../../migrations/1763700002000-host-configuration.js';
import { DecisionJournal1763800001000 } from '../../migrations/1763800001000-decision-journal.js';
import { Placements1764000000000 } from '../../migrations/1764000000000-placements.js';
import { Queue1763800002000 } from '../../migrations/1763800002000-queue.js';
import { Quotas1764000002000 } from '../../migrations/1764000002000-quotas.js';
import { Evacuation1764000004000 } from '../../migrations/1764000004000-evacuation.js';
import { ComputeSites1764640000000 } from '../../migrations/1764640000000-compute-sites.js';
import { IdentityTokens1764500000000 } from '../../migrations/1764500000000-identity-tokens.js';
import { FlavorAccess1764600000000 } from '../../migrations/1764600000000-flavor-access.js';
import { Keypairs1764601000000 } from '../../migrations/1764601000000-keypairs.js';
import { Images1764620000000 } from '../../migrations/1764620000000-images.js';
import { ServerDetails1764630000000 } from '../../migrations/1764630000000-server-details.js';
import { ServerActions1764635000000 } from '../../migrations/1764635000000-server-actions.js';
import { HostSite1763800000000 } from '../../migrations/1763800000000-host-site.js';
import { Audit1764000001000 } from '../../migrations/1764000001000-audit.js';
import { AgentJournals1764000005000 } from '../../migrations/1764000005000-agent-journals.js';
import { ClaimBatches1764100000000 } from '../../migrations/1764100000000-claim-batches.js';
import { HostIommu1764200001000 } from '../../migrations/1764200001000-host-iommu.js';
import { DeviceDrift1764200004000 } from '../../migrations/1764200004000-device-drift.js';
import { DeviceCleaning1764200005000 } from '../../migrations/1764200005000-device-cleaning.js';
import { Reservations1764000003000 } from '../../migrations/1764000003000-reservations.js';
import { SriovWishes1764300000000 } from '../../migrations/1764300000000-sriov-wishes.js';
import { DeviceClaims1764400000000 } from '../../migrations/1764400000000-device-claims.js';
import { HostComputeDriver1764300001000 } from '../../migrations/1764300001000-host-compute-driver.js';
import { PlacementFace1764650000000 } from '../../migrations/1764650000000-placement-face.js';
import { BerthError, messageOf } from '../errors.js';
import { AuditAnchorEntity, AuditEntryEntity, AuditPendingEntity } from './entities/audit.entities.js';
import {
  AliasEntity,
  AliasOriginEntity,
  AliasVersionEntity,
  FileAliasEntity,
  FlavorAccessEntity,
  FlavorEntity,
} from './entities/catalog.entities.js';
import { KeypairEntity } from './entities/keypair.entities.js';
import { DeviceClaimDeviceEntity, DeviceClaimEntity } from './entities/device-claim.entities.js';
import { AgentJournalEntity, DeviceEntity, HostEntity } from './entities/inventory.entities.js';
import { AgentLifeEntity, EvacuationEntity, RemovedHostEntity } from './entities/evacuation.entities.js';
import { IdentityTokenEntity } from './entities/identity.entities.js';
import { ImageEntity } from './entities/image.entities.js';
import { JournalEntryEntity, JournalFactsEntity } from './entities/journal.entities.js';
import {
  CustomResourceClassEntity,
  CustomTraitEntity,
  PlacementConsumerEntity,
} from './entities/placement-face.entities.js';
import { QuotaEntity } from './entities/quota.entities.js';
import {
  ReservationDeviceEntity,
  ReservationEntity,
  ReservationEventEntity,
  ReservationWindowEntity,
} from './entities/reservation.entities.js';
import { ServerDetailsEntity } from './entities/server-details.entities.js';
import { ServerActionEntity, ServerMoveEntity } from './entities/action.entities.js';
import { SriovWishEntity } from './entities/sriov.entities.js';
import { AggregateEntity, AggregateHostEntity, ServerGroupEntity } from './entities/site.entities.js';
import {
  AllocationEntity,
  ClaimEntity,
  DecisionClassEntity,
  DecisionEntity,
  IdempotencyKeyEntity,
  OutboxEntity,
  ServerEntity,
  ServerEventEntity,
} from './entities/workload.entities.js';

/** What a store runs its statements on: the pool, or a transaction. */
export type Tx = EntityManager;

const INT8_OID = 20;
/** Our 64-bit columns (generations, epochs, transaction ids) stay far below 2^53. */
pg.types.setTypeParser(INT8_OID, Number);

const STATEMENT_TIMEOUT_MS = 30_000;
const IDLE_IN_TRANSACTION_TIMEOUT_MS = 60_000;

/** In any order: they are run by the numbers in their names. */
const MIGRATIONS = [
  Ledger1763600000000,
  AliasVersions1763700000000,
  DeviceStatuses1763700001000,
  HostConfiguration1763700002000,
  HostSite1763800000000,
  DecisionJournal1763800001000,
  Queue1763800002000,
  Placements1764000000000,
  Audit1764000001000,
  AgentJournals1764000005000,
  Quotas1764000002000,
  Reservations1764000003000,
  Evacuation1764000004000,
  ClaimBatches1764100000000,
  HostIommu1764200001000,
  DeviceDrift1764200004000,
  DeviceCleaning1764200005000,
  SriovWishes1764300000000,
  HostComputeDriver1764300001000,
  DeviceClaims1764400000000,
  IdentityTokens1764500000000,
  FlavorAccess1764600000000,
  Keypairs1764601000000,
  Images1764620000000,
  ServerDetails1764630000000,
  ServerActions1764635000000,
  ComputeSites1764640000000,
  PlacementFace1764650000000,
] as const;

/** The ledger's data source; not connected yet. `migrations` run only by `migrate`. */
export function ledgerDataSource(url: string, poolMax: number): DataSource {
  return new DataSource({
    type: 'postgres',
    url,
    poolSize: poolMax,
    applicationName: 'berth',
    entities: [
      HostEntity,
      DeviceEntity,
      AgentJournalEntity,
      SriovWishEntity,
      DeviceClaimEntity,
      DeviceClaimDeviceEntity,
      AliasEntity,
      AliasVersionEntity,
      AliasOriginEntity,
      FileAliasEntity,
      FlavorEntity,
      FlavorAccessEntity,
      KeypairEntity,
      AggregateEntity,
      AggregateHostEntity,
      ServerGroupEntity,
      ServerEntity,
      ServerDetailsEntity,
      ClaimEntity,
      AllocationEntity,
      DecisionEntity,
      DecisionClassEntity,
      ServerEventEntity,
      ServerActionEntity,
      ServerMoveEntity,
      OutboxEntity,
      IdempotencyKeyEntity,
      AgentLifeEntity,
      EvacuationEntity,
      RemovedHostEntity,
      JournalFactsEntity,
      IdentityTokenEntity,
      ImageEntity,
      PlacementConsumerEntity,
      CustomTraitEntity,
      CustomResourceClassEntity,
      JournalEntryEntity,
      AuditPendingEntity,
      AuditEntryEntity,
      AuditAnchorEntity,
      QuotaEntity,
      ReservationEntity,
      ReservationWindowEntity,
      ReservationDeviceEntity,
      ReservationEventEntity,
    ],
    migrations: [...MIGRATIONS],
    migrationsTransactionMode: 'each',
    synchronize: false,
    extra: {
      statement_timeout: STATEMENT_TIMEOUT_MS,
      idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_TIMEOUT_MS,
      connectionTimeoutMillis: 10_000,
    },
    poolErrorHandler: () => undefined, // a lost idle connection is replaced; the next statement reports a real outage
  });
}

/**
 * Brings the schema up to date.
 *
 * @param url `postgres://…`
 * @throws BerthError `database.unavailable`
 */
export async function migrate(url: string): Promise<void> {
  const dataSource = ledgerDataSource(url, 2);
  try {
    await dataSource.initialize();
    // two roles that start together must not migrate together
    await dataSource.query(`SELECT pg_advisory_lock(hashtext('berth.migrate'))`);
    await dataSource.runMigrations();
  } catch (cause) {
    throw new BerthError('database.unavailable', `Cannot migrate the database: ${messageOf(cause)}`, { cause });
  } finally {
    if (dataSource.isInitialized) await dataSource.destroy();
  }
}

/** Runs `work` in one transaction: it is committed when `work` resolves, undone when it throws. */
export function inTransaction<T>(dataSource: DataSource, work: (tx: Tx) => Promise<T>): Promise<T> {
  return dataSource.transaction(work);
}
