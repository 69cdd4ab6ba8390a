import type { ChildProcess } from 'node:child_process';
import { chmodSync, closeSync, existsSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { startEmbeddedPostgres } from '../../src/store/embedded-postgres.js';
import { stopLeftOver } from '../../src/store/postgres-cluster.js';
import {
  CHILD_ENVIRONMENT,
  findPrograms,
  identityOf,
  type PostgresPrograms,
} from '../../src/store/postgres-programs.js';
import { endChild, run, spawnTied } from '../support/processes.js';
import type { SmallDisk } from './small-disk.js';

const READY_MS_MAX = 60_000;
const STARTS_MAX = 20;
const FAKETIME = ['/usr/lib/x86_64-linux-gnu', '/usr/lib/aarch64-linux-gnu'].map(
  (folder) => `${folder}/faketime/libfaketime.so.1`,
);

/** A Postgres as in earnest (fsync, synchronous commits), that can be killed, run out of disk, and have its clock set. */
export class ChaosDatabase {
  private child: ChildProcess | null = null;
  private readonly log: string;

  private constructor(
    readonly url: string,
    private readonly programs: PostgresPrograms,
    private readonly cluster: string,
    private readonly disk: SmallDisk,
    private readonly faketime: string | null,
    private readonly clockFile: string,
  ) {
    this.log = path.join(path.dirname(clockFile), 'postgres.log');
  }

  /** @param logs where the log goes: not to the disk that is filled */
  static async start(disk: SmallDisk, logs: string, clock: boolean): Promise<ChaosDatabase> {
    const first = await startEmbeddedPostgres({ dataDir: disk.folder });
    await first.stop();
    const moved = path.join(disk.folder, 'moved-to');
    const home = existsSync(moved) ? readFileSync(moved, 'utf8').trim() : disk.folder;
    const clockFile = path.join(logs, 'postgres-clock');
    writeFileSync(clockFile, '+0');
    chmodSync(clockFile, 0o644);
    const programs = await findPrograms(disk.folder);
    const faketime = clock ? await findFaketime() : null;
    const database = new ChaosDatabase(first.url, programs, path.join(home, 'cluster'), disk, faketime, clockFile);
    await database.ensureRunning();
    return database;
  }

  get canFill(): boolean {
    return this.disk.canBeFull && this.cluster.startsWith(this.disk.folder);
  }

  get canShiftClock(): boolean {
    return this.faketime !== null;
  }

  /** The postmaster's; null while it does not run. */
  get pid(): number | null {
    return this.isRunning() ? (this.child?.pid ?? null) : null;
  }

  isRunning(): boolean {
    return this.child !== null && this.child.exitCode === null && this.child.signalCode === null;
  }

  /** `kill -9` of the postmaster and of every backend. */
  async kill9(): Promise<void> {
    const { child } = this;
    if (!child?.pid) return;
    const children = childrenOf(child.pid);
    child.kill('SIGKILL');
    for (const pid of children) killNow(pid);
    await endChild(child, 'SIGKILL');
  }

  /** Not a block is left, and what is written ahead wants new files. */
  async fillDisk(): Promise<void> {
    this.disk.fill();
    for (let turn = 0; turn < 6; turn++) {
      await this.query(`SELECT pg_logical_emit_message(false, 'chaos', repeat('x', 100000)), pg_switch_wal()`).catch(
        () => undefined,
      );
    }
  }

  freeDisk(): void {
    this.disk.free();
  }

  /** Sets its clock by so many seconds off the machine's, while it runs. */
  shiftClock(seconds: number): void {
    writeFileSync(this.clockFile, `${seconds < 0 ? '' : '+'}${seconds}`);
  }

  /** Starts it if it does not run; resolves when it takes connections. */
  async ensureRunning(): Promise<void> {
    for (let start = 1; ; start++) {
      try {
        if (!this.isRunning()) await this.launch();
        return await this.whenReady();
      } catch (error) {
        if (start === STARTS_MAX) throw error;
        await sleep(500);
      }
    }
  }

  async stop(): Promise<void> {
    if (this.child) await endChild(this.child, 'SIGINT');
  }

  logText(): string {
    return existsSync(this.log) ? readFileSync(this.log, 'utf8') : '';
  }

  async query<Row>(text: string, values: readonly unknown[] = []): Promise<Row[]> {
    const client = new Client({ connectionString: this.url, connectionTimeoutMillis: 3_000, query_timeout: 60_000 });
    client.on('error', () => undefined);
    try {
      await client.connect();
      return (await client.query(text, [...values])).rows as Row[];
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  private async launch(): Promise<void> {
    await stopLeftOver(this.cluster);
    const { port } = new URL(this.url);
    const settings = {
      ...{ listen_addresses: '127.0.0.1', unix_socket_directories: '', max_connections: '300' },
      ...{ fsync: 'on', synchronous_commit: 'on', full_page_writes: 'on' },
      ...{ min_wal_size: '32MB', max_wal_size: '64MB', log_line_prefix: '%m [%p] ' },
    };
    const words = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    const log = openSync(this.log, 'a');
    const { launcher, postgres } = this.programs;
    this.child = spawnTied([...launcher.prefix, postgres, '-D', this.cluster, '-p', port, ...words], {
      cwd: '/',
      env: { ...CHILD_ENVIRONMENT, ...this.clockEnvironment() },
      stdio: ['ignore', log, log],
      ...identityOf(launcher),
    });
    closeSync(log);
  }

  private clockEnvironment(): Record<string, string> {
    if (this.faketime === null) return {};
    return {
      LD_PRELOAD: this.faketime,
      FAKETIME_TIMESTAMP_FILE: this.clockFile,
      FAKETIME_CACHE_DURATION: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      DONT_FAKE_MONOTONIC: '1',
      NO_FAKE_STAT: '1',
    };
  }

  private async whenReady(): Promise<void> {
    const deadline = Date.now() + READY_MS_MAX;
    for (;;) {
      const problem = await this.query('SELECT 1').then(
        () => null,
        (error: unknown) => error,
      );
      if (problem === null) return;
      if (!this.isRunning() || Date.now() > deadline) {
        throw new Error(`Postgres does not take connections:\n${this.logText().slice(-2000)}`, { cause: problem });
      }
      await sleep(100);
    }
  }
}

/** The library that sets clocks; installed where that is possible, else null. */
async function findFaketime(): Promise<string | null> {
  const found = (): string | null => FAKETIME.find((file) => existsSync(file)) ?? null;
  if (found() !== null || process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) return found();
  process.stderr.write('Installing the package faketime …\n');
  const words = ['-o', 'DPkg::Lock::Timeout=300', 'install', '-y', '-qq', '--no-install-recommends', 'faketime'];
  await run('apt-get', ['update', '-qq'], { timeout: 120_000 }).catch(() => undefined);
  await run('apt-get', words, { timeout: 300_000 }).catch(() => undefined);
  return found();
}

function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

function killNow(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It had ended.
  }
}
