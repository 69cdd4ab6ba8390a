import type { DataSource, QueryRunner } from 'typeorm';
import type { Conductor, Life } from './conductor.js';

/**
 * The database as one life of a role sees it: every statement, and so every BEGIN and COMMIT, is a point of the conductor.
 *
 * When the life ends, or a connection is lost, Postgres rolls back what was open; here a ROLLBACK on the same backend does that,
 * because a new connection for each would cost more than the rest of the seed.
 */
export function sourceOf(shared: DataSource, conductor: Conductor, life: Life): DataSource {
  const open = new Set<OpenRunner>();
  const own = Object.create(shared) as DataSource;
  own.createQueryRunner = (mode) => {
    const runner = shared.createQueryRunner.call(own, mode);
    const entry = new OpenRunner(runner, conductor, life);
    open.add(entry);
    runner.release = async () => {
      if (life.isOver || entry.isLost) return; // its end has rolled it back, or will
      open.delete(entry);
      await entry.end();
    };
    return runner;
  };
  Object.defineProperty(own, 'manager', { value: shared.createEntityManager.call(own) });
  life.ends.push(async () => {
    for (const entry of [...open].filter(({ isBusy }) => !isBusy)) {
      open.delete(entry);
      await entry.close();
    }
  });
  return own;
}

/** Of all lives: whose transactions may hold locks. */
const inTransaction = new Set<OpenRunner>();

class OpenRunner {
  private readonly release: () => Promise<void>;
  private readonly plain: (sql: string, values?: unknown[], structured?: boolean) => Promise<unknown>;
  private lostWith: Error | null = null;
  private backend: { readonly processID?: number } | null = null;
  isBusy = false;

  constructor(
    private readonly runner: QueryRunner,
    private readonly conductor: Conductor,
    private readonly life: Life,
  ) {
    this.plain = runner.query.bind(runner) as typeof this.plain;
    this.release = runner.release.bind(runner);
    runner.query = ((sql: string, values?: unknown[], structured?: boolean) =>
      this.query(sql, values, structured)) as typeof runner.query;
  }

  get isLost(): boolean {
    return this.lostWith !== null;
  }

  /** Rolls back what is open. */
  async close(): Promise<void> {
    if (this.runner.isReleased) return;
    if (this.runner.isTransactionActive && this.backend) await this.plain('ROLLBACK').catch(() => undefined);
    await this.end();
  }

  async end(): Promise<void> {
    inTransaction.delete(this);
    await this.release();
  }

  private query(sql: string, values?: unknown[], structured?: boolean): Promise<unknown> {
    if (this.lostWith) return Promise.reject(this.lostWith);
    const work = async (): Promise<unknown> => {
      this.isBusy = true;
      if (this.runner.isTransactionActive) inTransaction.add(this);
      this.backend = (await this.runner.connect()) as { readonly processID?: number };
      return this.plain(sql, values, structured).finally(() => (this.isBusy = false));
    };
    const connection = {
      pid: () => this.backend?.processID,
      mayWait: () => [...inTransaction].some((other) => other !== this),
      lose: async (error: Error) => {
        this.lostWith = error;
        await this.close();
      },
    };
    return this.conductor.point(this.life, 'sql', shortened(sql), work, connection);
  }
}

function shortened(sql: string): string {
  return sql.replace(/\s+/g, ' ').trim().slice(0, 90);
}
