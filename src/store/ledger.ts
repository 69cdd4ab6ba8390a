import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { messageOf } from '../errors.js';
import { inTransaction, type Tx } from './database.js';
import { hasFilledOutbox } from './outbox.store.js';

const CHECK_TIMEOUT_MS = 3_000;

/** One line of `GET /readyz`. */
export interface LedgerCheck {
  readonly ok: boolean;
  readonly message?: string;
}

/** The connected ledger, for rooms that may not know TypeORM. */
@Injectable()
export class Ledger {
  private readonly outboxListeners: (() => void)[] = [];

  constructor(private readonly dataSource: DataSource) {}

  /** For reading: each statement is its own transaction. */
  get pool(): Tx {
    return this.dataSource.manager;
  }

  /** Runs `work` in one transaction: it is committed when `work` resolves, undone when it throws. */
  async transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    let hasMessages = false;
    const result = await inTransaction(this.dataSource, async (tx) => {
      const done = await work(tx);
      hasMessages = hasFilledOutbox(tx);
      return done;
    });
    if (hasMessages) this.tellOfOutbox();
    return result;
  }

  /** To be called by whoever has filled the outbox outside of {@link transaction}, once that is committed. */
  tellOfOutbox(): void {
    for (const listener of this.outboxListeners) listener();
  }

  /** Calls back after every transaction of this process, once it is committed, that has filled the outbox. */
  onOutbox(listener: () => void): void {
    this.outboxListeners.push(listener);
  }

  /** Whether the database answers, and whether its schema is the one this program was built for. Never throws. */
  async check(): Promise<Record<'database' | 'migrations', LedgerCheck>> {
    try {
      const pending = await withinTime(this.pendingMigrations());
      return { database: { ok: true }, migrations: migrationsCheck(pending) };
    } catch (error) {
      return {
        database: { ok: false, message: `the database cannot be reached: ${messageOf(error)}` },
        migrations: { ok: false, message: 'not known without the database' },
      };
    }
  }

  /** Names of migrations that were not run; null when none ever was. */
  private async pendingMigrations(): Promise<string[] | null> {
    const [table] = await this.pool.query<{ present: boolean }[]>(
      `SELECT to_regclass('migrations') IS NOT NULL AS present`,
    );
    if (!table?.present) return null;
    const rows = await this.pool.query<{ name: string }[]>('SELECT name FROM migrations');
    const run = new Set(rows.map((row) => row.name));
    return this.dataSource.migrations.map((migration) => migration.name ?? '').filter((name) => !run.has(name));
  }
}

function migrationsCheck(pending: readonly string[] | null): LedgerCheck {
  if (pending === null) return { ok: false, message: 'the database is empty; run `berth migrate`' };
  if (pending.length > 0) return { ok: false, message: `not run yet: ${pending.join(', ')}; run \`berth migrate\`` };
  return { ok: true };
}

function withinTime<T>(work: Promise<T>): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no answer within ${CHECK_TIMEOUT_MS} ms`)), CHECK_TIMEOUT_MS);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
