import { BerthError } from '../errors.js';
import type { Tx } from './database.js';
import type { Ledger } from './ledger.js';

/**
 * Runs the work of a command on a ledger that is opened for it alone.
 *
 * @param url `postgres://…`
 * @throws BerthError `database.not_migrated`; what the driver throws when there is no database
 */
export async function onOpenLedger<T>(url: string, work: (tx: Tx, ledger: Ledger) => Promise<T>): Promise<T> {
  // loaded only by who opens one: it takes longer than many a command
  const [{ ledgerDataSource }, { Ledger }] = await Promise.all([import('./database.js'), import('./ledger.js')]);
  const dataSource = ledgerDataSource(url, 1);
  try {
    await dataSource.initialize();
    const ledger = new Ledger(dataSource);
    const { migrations } = await ledger.check();
    if (!migrations.ok) throw new BerthError('database.not_migrated', migrations.message ?? '');
    return await work(dataSource.manager, ledger);
  } finally {
    if (dataSource.isInitialized) await dataSource.destroy();
  }
}
