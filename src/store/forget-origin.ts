import { BerthError } from '../errors.js';
import { type AliasSync, forgetAliasOrigin } from './catalog.store.js';
import { inTransaction, ledgerDataSource } from './database.js';
import { Ledger } from './ledger.js';

const ORIGINS_NAMED_MAX = 20;

/**
 * Forgets an origin of file aliases that no longer exists: `forgetAliasOrigin` for the command line, with a connection of
 * its own, because no REST face may be up when it is needed.
 *
 * @param url `postgres://…`
 * @throws BerthError `settings.invalid` when there is no such origin (says which there are), `database.not_migrated`,
 *   `database.unavailable`
 */
export async function forgetOrigin(url: string, origin: string): Promise<AliasSync> {
  const dataSource = ledgerDataSource(url, 1);
  try {
    await dataSource.initialize();
    const { migrations } = await new Ledger(dataSource).check();
    if (!migrations.ok) throw new BerthError('database.not_migrated', migrations.message ?? '');
    const sync = await inTransaction(dataSource, (tx) => forgetAliasOrigin(tx, origin));
    if (sync) return sync;
    const rows = await dataSource.query<{ origin: string }[]>(
      `SELECT origin FROM alias_origins ORDER BY origin LIMIT ${ORIGINS_NAMED_MAX}`,
    );
    const known = rows.map((row) => row.origin).join(', ') || 'none';
    throw new BerthError('settings.invalid', `No origin "${origin}" defines aliases; there are: ${known}`);
  } finally {
    if (dataSource.isInitialized) await dataSource.destroy();
  }
}
