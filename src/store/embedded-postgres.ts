import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import { chmod, cp, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { Client } from 'pg';

import { BerthError, messageOf } from '../errors.js';
import { takeLock } from './data-dir-lock.js';
import { exists, prepareCluster, ROLE, stopLeftOver } from './postgres-cluster.js';
import {
  CHILD_ENVIRONMENT,
  canReach,
  findPrograms,
  identityOf,
  type Launcher,
  type PostgresPrograms,
  unprivilegedFolder,
} from './postgres-programs.js';

const DATABASE = 'berth';

const READY_TIMEOUT_MS = 60_000;
const READY_POLL_MS = 40;
const STOP_TIMEOUT_MS = 30_000;
const LAUNCHES_MAX = 10;
const RELAUNCH_DELAY_MS = 500;
const LOG_BYTES_MAX = 10 * 1024 * 1024;
const LOG_TAIL_LINES = 12;

/** What goes by itself: somebody took the port that was free, or processes of a killed Postgres are not gone yet. */
const PASSING = /could not bind|could not create any TCP\/IP sockets|pre-existing shared memory block/;

export interface EmbeddedPostgresOptions {
  /** Kept between runs: the cluster, the password, the log `postgres.log`. Made if it is not there. */
  readonly dataDir: string;
  /** No fsync: for tests only, a crash of the machine loses data. */
  readonly fast?: boolean;
  readonly maxConnections?: number;
  /** Default: any free one. */
  readonly port?: number;
}

export interface EmbeddedPostgres {
  /** `postgres://berth:<password>@127.0.0.1:<port>/berth` */
  readonly url: string;
  readonly port: number;
  /** The postmaster's. */
  readonly pid: number;
  /** Shuts down: transactions are rolled back, connections closed, everything on disk. May be called twice. */
  stop(): Promise<void>;
  /** Ends it as a power cut would, for tests of just that. */
  kill(): Promise<void>;
}

/**
 * Starts a Postgres of our own on a folder of ours, and makes the database `berth` in it if it is new.
 *
 * It listens on 127.0.0.1 only and asks for a random password. Data survives a restart, also after everything was
 * killed. If this process is killed, Postgres shuts down by itself (Linux) or is shut down by the next start; a
 * folder that a living Berth uses is refused.
 *
 * @throws BerthError `database.unavailable` with the last lines of the log
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const dataDir = path.resolve(options.dataDir);
  let release = (): void => undefined;
  try {
    await mkdir(path.dirname(dataDir), { recursive: true });
    await mkdir(dataDir, { recursive: true, mode: 0o700 });
    release = takeLock(path.join(dataDir, 'berth.lock'));
    const programs = await findPrograms(dataDir);
    const home = await placeOfData(dataDir, programs.launcher);
    const password = await passwordIn(dataDir);
    const cluster = path.join(home, 'cluster');
    await stopLeftOver(cluster);
    await prepareCluster(programs, cluster, password, options.fast === true);
    return await launch({ ...options, programs, cluster, password, log: path.join(dataDir, 'postgres.log'), release });
  } catch (error) {
    release();
    if (error instanceof BerthError) throw error;
    const message = `The embedded database in ${dataDir} cannot be opened: ${messageOf(error)}`;
    throw new BerthError('database.unavailable', message, { cause: error });
  }
}

/** Deletes a data folder and what it keeps elsewhere; the Postgres on it must be stopped. */
export async function removeEmbeddedPostgres(dataDir: string): Promise<void> {
  const elsewhere = await readFile(path.join(dataDir, 'moved-to'), 'utf8').catch(() => null);
  if (elsewhere !== null) await rm(elsewhere.trim(), { recursive: true, force: true });
  await rm(dataDir, { recursive: true, force: true });
}

/**
 * The folder that holds the cluster: the data folder, or, where the user that Postgres runs as cannot get there, one
 * elsewhere whose name is in the file `moved-to`.
 */
async function placeOfData(dataDir: string, launcher: Launcher): Promise<string> {
  const marker = path.join(dataDir, 'moved-to');
  const moved = (await readFile(marker, 'utf8').catch(() => '')).trim();
  if (moved !== '') return moved;
  if (launcher.uid === null) return dataDir;
  await chmod(dataDir, 0o711);
  if (await canReach(launcher, dataDir)) return dataDir;
  const elsewhere = await unprivilegedFolder();
  const cluster = path.join(dataDir, 'cluster');
  if (await exists(cluster)) await cp(cluster, path.join(elsewhere, 'cluster'), { recursive: true });
  await writeFile(marker, elsewhere, { mode: 0o600 });
  await rm(cluster, { recursive: true, force: true });
  return elsewhere;
}

async function passwordIn(dataDir: string): Promise<string> {
  const file = path.join(dataDir, 'password');
  const known = await readFile(file, 'utf8').catch(() => null);
  if (known !== null && known.trim() !== '') return known.trim();
  const password = randomBytes(24).toString('hex');
  await writeFile(file, password, { mode: 0o600 });
  return password;
}

interface Launch extends EmbeddedPostgresOptions {
  readonly programs: PostgresPrograms;
  readonly cluster: string;
  readonly password: string;
  readonly log: string;
  readonly release: () => void;
}

async function launch(launch: Launch): Promise<EmbeddedPostgres> {
  for (let attempt = 1; ; attempt += 1) {
    const port = launch.port ?? (await freePort());
    const child = await spawnPostgres(launch, port);
    try {
      await waitUntilReady(child, { port, password: launch.password });
      return new RunningPostgres(child, port, launch);
    } catch (error) {
      await end(child, 'SIGQUIT');
      const tail = await tailOf(launch.log);
      if (PASSING.test(tail) && attempt < LAUNCHES_MAX) {
        await sleep(RELAUNCH_DELAY_MS);
        continue;
      }
      throw new BerthError(
        'database.unavailable',
        `The embedded Postgres did not start (${messageOf(error)}). The end of ${launch.log}:\n${tail}`,
        { cause: error },
      );
    }
  }
}

async function spawnPostgres(launch: Launch, port: number): Promise<ChildProcess> {
  const { programs, cluster } = launch;
  const settings = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: String(launch.maxConnections ?? 100),
    ...(launch.fast === true ? { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' } : {}),
  };
  const options = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const command = [...programs.launcher.prefix, programs.postgres, '-D', cluster, '-p', String(port), ...options];
  const log = await openLog(launch.log);
  try {
    return spawn(command[0] ?? programs.postgres, command.slice(1), {
      cwd: '/',
      env: CHILD_ENVIRONMENT,
      stdio: ['ignore', log, log],
      // A session of its own: Ctrl-C is for us, and we stop Postgres when we no longer need it.
      detached: true,
      ...identityOf(programs.launcher),
    });
  } finally {
    closeSync(log);
  }
}

/** A log that starts anew with each launch; the one before is kept beside it while it is small enough to be of use. */
async function openLog(log: string): Promise<number> {
  const size = (await stat(log).catch(() => null))?.size ?? 0;
  if (size > LOG_BYTES_MAX) await rm(log, { force: true });
  else if (size > 0) await rename(log, `${log}.1`);
  return openSync(log, 'a', 0o600);
}

async function waitUntilReady(child: ChildProcess, access: { port: number; password: string }): Promise<void> {
  let failure: string | null = null;
  child.once('error', (error) => (failure = error.message));
  child.once('exit', (code, signal) => (failure = `it ended with ${code ?? signal}`));
  const end = Date.now() + READY_TIMEOUT_MS;
  while (Date.now() < end) {
    if (failure !== null) throw new Error(failure);
    if (await tryToCreateDatabase(access)) return;
    await sleep(READY_POLL_MS);
  }
  throw new Error(`it was not ready within ${READY_TIMEOUT_MS / 1000} s`);
}

/** False: nobody answers yet. */
async function tryToCreateDatabase(access: { port: number; password: string }): Promise<boolean> {
  const client = new Client({ host: '127.0.0.1', user: ROLE, database: 'postgres', ...access });
  client.on('error', () => undefined);
  try {
    await client.connect();
    const known = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [DATABASE]);
    if (known.rowCount === 0) await client.query(`CREATE DATABASE ${DATABASE}`);
    return true;
  } catch (error) {
    const code = (error as { code?: unknown }).code;
    // 57P03: it starts up. Anything else with a code of five characters is Postgres's last word.
    if (typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) && code !== '57P03') throw error;
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}

class RunningPostgres implements EmbeddedPostgres {
  readonly url: string;
  readonly pid: number;
  private readonly lastResort: () => void;

  constructor(
    private readonly child: ChildProcess,
    readonly port: number,
    private readonly launch: Launch,
  ) {
    this.url = `postgres://${ROLE}:${launch.password}@127.0.0.1:${port}/${DATABASE}`;
    this.pid = child.pid ?? 0;
    this.lastResort = () => void child.kill('SIGINT');
    process.once('exit', this.lastResort);
  }

  stop(): Promise<void> {
    return this.endWith('SIGINT');
  }

  kill(): Promise<void> {
    return this.endWith('SIGKILL');
  }

  private async endWith(signal: NodeJS.Signals): Promise<void> {
    await end(this.child, signal);
    process.removeListener('exit', this.lastResort);
    this.launch.release();
  }
}

/** Signals, waits, and signals harder what does not listen. */
async function end(child: ChildProcess, first: NodeJS.Signals): Promise<void> {
  for (const signal of [first, 'SIGQUIT', 'SIGKILL'] as const) {
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    child.kill(signal);
    const patience = new AbortController();
    await Promise.race([exited, sleep(STOP_TIMEOUT_MS, undefined, { signal: patience.signal }).catch(() => undefined)]);
    patience.abort();
  }
}

async function tailOf(log: string): Promise<string> {
  const text = await readFile(log, 'utf8').catch(() => '');
  return text.trimEnd().split('\n').slice(-LOG_TAIL_LINES).join('\n');
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}
