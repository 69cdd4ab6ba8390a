import { chown, lchown, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { BerthError, messageOf } from '../errors.js';
import { commandOf } from './data-dir-lock.js';
import { type Launcher, type PostgresPrograms, runUnder } from './postgres-programs.js';

/** The owner of the cluster; a superuser, since the database is ours alone. */
export const ROLE = 'berth';

const MAJOR_VERSION = '18';
const INITDB_TIMEOUT_MS = 120_000;
const STOP_TIMEOUT_MS = 30_000;
const STOP_POLL_MS = 40;

/** Shuts down a Postgres whose Berth was killed; a lock file that names anything else is rubbish and goes. */
export async function stopLeftOver(cluster: string): Promise<void> {
  const file = path.join(cluster, 'postmaster.pid');
  const pid = Number((await readFile(file, 'utf8').catch(() => '')).split('\n')[0]);
  if (!Number.isInteger(pid) || pid <= 1) return;
  const isOurs = (): boolean => commandOf(pid)?.includes(cluster) === true;
  for (const signal of ['SIGINT', 'SIGQUIT'] as const) {
    if (!isOurs()) break;
    process.kill(pid, signal);
    for (const end = Date.now() + STOP_TIMEOUT_MS; isOurs() && Date.now() < end;) await sleep(STOP_POLL_MS);
  }
  if (isOurs()) {
    throw new BerthError(
      'database.unavailable',
      `An earlier embedded Postgres (pid ${pid}) still runs on ${cluster} and does not stop: end it by hand.`,
    );
  }
  await rm(file, { force: true });
}

/** Makes the cluster if there is none, and makes sure that the launcher's user may open it. */
export async function prepareCluster(
  programs: PostgresPrograms,
  cluster: string,
  password: string,
  fast: boolean,
): Promise<void> {
  if (!(await exists(cluster))) await createCluster(programs, cluster, password, fast);
  await giveTo(programs.launcher, cluster);
  const version = (await readFile(path.join(cluster, 'PG_VERSION'), 'utf8').catch(() => 'no')).trim();
  if (version !== MAJOR_VERSION) {
    throw new BerthError(
      'database.unavailable',
      `${cluster} holds data of Postgres version ${version}, this is ${MAJOR_VERSION}: move it away, or open it with that version.`,
    );
  }
}

/** Makes it under another name first, so that one which is cut short is never taken for a whole one. */
async function createCluster(
  programs: PostgresPrograms,
  cluster: string,
  password: string,
  fast: boolean,
): Promise<void> {
  const { initdb, launcher } = programs;
  const unfinished = `${cluster}.new`;
  const passwordFile = `${cluster}.password`;
  await rm(unfinished, { recursive: true, force: true });
  await mkdir(unfinished, { mode: 0o700 });
  await writeFile(passwordFile, password, { mode: 0o600 });
  for (const file of [unfinished, passwordFile]) await giveTo(launcher, file);
  // The C locale sorts the same everywhere, whatever the machine's libraries.
  const words = ['-D', unfinished, '-U', ROLE, `--pwfile=${passwordFile}`, '--auth=scram-sha-256', '--encoding=UTF8'];
  words.push('--locale=C', '--no-instructions', ...(fast ? ['--no-sync'] : []));
  try {
    await runUnder(launcher, initdb, words, INITDB_TIMEOUT_MS);
  } catch (error) {
    const message = `The embedded database cannot be created in ${cluster}: ${messageOf(error)}`;
    throw new BerthError('database.unavailable', message, { cause: error });
  } finally {
    await rm(passwordFile, { force: true });
  }
  await rename(unfinished, cluster);
}

/** Postgres opens only what belongs to the user it runs as; as root we may have run it as another one before. */
async function giveTo(launcher: Launcher, file: string): Promise<void> {
  const owner = launcher.uid ?? process.getuid?.() ?? 0;
  const { uid } = await stat(file);
  if (uid === owner) return;
  if (process.getuid?.() !== 0) {
    throw new BerthError('database.unavailable', `${file} belongs to user ${uid}: run Berth as that user or as root.`);
  }
  await chownTree(file, owner);
}

async function chownTree(file: string, owner: number): Promise<void> {
  const entries = await readdir(file, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    const child = path.join(file, entry.name);
    if (entry.isDirectory()) await chownTree(child, owner);
    else await lchown(child, owner, owner);
  }
  // Last, because this is what tells a finished job.
  await chown(file, owner, owner);
}

export async function exists(file: string): Promise<boolean> {
  return (await stat(file).catch(() => null)) !== null;
}
