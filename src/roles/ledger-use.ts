import { hostname } from 'node:os';
import { Logger, type DynamicModule, type INestApplication } from '@nestjs/common';
import { BerthError } from '../errors.js';
import type { Settings } from '../settings/settings.js';
import { type AliasSync, syncFileAliases } from '../store/catalog.store.js';
import { databaseAddress } from '../store/database-address.js';
import { Ledger } from '../store/ledger.js';
import { StoreModule } from '../store/store.module.js';

export function storeOf(settings: Settings, role: string): DynamicModule {
  const url = databaseAddress(settings.database);
  if (url === null)
    throw new BerthError('settings.invalid', `database.url: ${role} needs a database; set DATABASE_URL`);
  return StoreModule.register({ url, poolMax: settings.database.poolMax });
}

export async function assertMigrated(app: INestApplication): Promise<void> {
  const { database, migrations } = await app.get(Ledger, { strict: false }).check();
  const problem = [database, migrations].find((check) => !check.ok);
  if (!problem) return;
  await app.close();
  throw new BerthError(database.ok ? 'database.not_migrated' : 'database.unavailable', problem.message ?? '');
}

export async function takeAliases(app: INestApplication, settings: Settings): Promise<AliasSync> {
  const origin = aliasOrigin(settings);
  const ledger = app.get(Ledger, { strict: false });
  const sync = await ledger.transaction((tx) => syncFileAliases(tx, origin, settings.aliases));
  if (sync.behind.length === 0) return sync;
  new Logger('Aliases').warn({
    message: 'files define aliases as they were before another origin changed them; update these files',
    origin,
    aliases: sync.behind,
  });
  return sync;
}

export const EMBEDDED_ORIGIN = 'berth-all';

/** Whose files these are: what stays the same when they change, and when the process starts again. */
function aliasOrigin({ pci, http }: Settings): string {
  return pci.aliasOrigin ?? `${hostname().toLowerCase()}:${http.port}`;
}
