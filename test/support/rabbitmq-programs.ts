import { chmodSync, existsSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { beforeDeath, run } from './processes.js';

/** The image that is used where only a container engine can give us a RabbitMQ. */
export const IMAGE = 'docker.io/library/rabbitmq:4.1';

/** The server's own script. Debian's one on the PATH is another: it becomes the user rabbitmq and ignores our folders. */
const SERVER_SCRIPTS = [
  '/usr/lib/rabbitmq/bin/rabbitmq-server',
  '/opt/homebrew/opt/rabbitmq/sbin/rabbitmq-server',
  '/usr/local/opt/rabbitmq/sbin/rabbitmq-server',
  '/opt/rabbitmq/sbin/rabbitmq-server',
];
const POLICY = '/usr/sbin/policy-rc.d';
const POLICY_FORBIDS = 101;
const UPDATE_TIMEOUT_MS = 300_000;
const INSTALL_TIMEOUT_MS = 900_000;

export type RabbitMqSource =
  | { readonly kind: 'programs'; readonly server: string; readonly epmd: string }
  | { readonly kind: 'container'; readonly engine: string };

/**
 * Finds a RabbitMQ: programs of this machine, else the distribution's package (as root on Debian and its kin), else a
 * container engine that answers.
 *
 * @throws Error that says what was tried, and what to do
 */
export async function findRabbitMq(): Promise<RabbitMqSource> {
  const tried: string[] = [];
  const present = localPrograms();
  if (present !== null) return present;
  tried.push(`no programs on this machine (looked for ${SERVER_SCRIPTS.join(', ')} and epmd)`);

  const refusal = await installPackage();
  const installed = localPrograms();
  if (installed !== null) return installed;
  tried.push(refusal ?? 'the package rabbitmq-server was installed, but its programs are not where they should be');

  for (const engine of ['docker', 'podman']) {
    const silence = await askEngine(engine);
    if (silence === null) return { kind: 'container', engine };
    tried.push(silence);
  }
  throw new Error(
    `The tests need a RabbitMQ and none could be had: ${tried.join('; ')}.\n` +
      'Set AMQP_URL to a RabbitMQ that may be used for tests, or install rabbitmq-server.',
  );
}

function localPrograms(): RabbitMqSource | null {
  const server = SERVER_SCRIPTS.find((file) => existsSync(file));
  const folders = [...(process.env['PATH'] ?? '').split(path.delimiter), '/usr/bin', '/usr/local/bin'];
  const epmd = folders.map((folder) => path.join(folder, 'epmd')).find((file) => existsSync(file));
  return server === undefined || epmd === undefined ? null : { kind: 'programs', server, epmd };
}

/** Installs the package without starting it; gives the reason if it cannot. */
async function installPackage(): Promise<string | null> {
  if (process.getuid?.() !== 0) return 'its package cannot be installed (that needs root)';
  if (!existsSync('/usr/bin/apt-get')) return 'its package cannot be installed (there is no apt-get)';
  process.stderr.write('RabbitMQ is not on this machine: installing the package rabbitmq-server …\n');
  const startedAt = Date.now();
  const allowStarts = await forbidStarts();
  const options = { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }, maxBuffer: 64 * 1024 * 1024 };
  try {
    const lock = ['-o', 'DPkg::Lock::Timeout=600'];
    // Without fresh lists the install may still go well.
    await run('apt-get', ['update', '-qq'], { ...options, timeout: UPDATE_TIMEOUT_MS }).catch(() => undefined);
    const words = [...lock, 'install', '-y', '-qq', '--no-install-recommends', 'rabbitmq-server'];
    await run('apt-get', words, { ...options, timeout: INSTALL_TIMEOUT_MS });
    process.stderr.write(`RabbitMQ is installed (${Math.round((Date.now() - startedAt) / 1000)} s).\n`);
    return null;
  } catch (error) {
    return `apt-get could not install it (${lastLineOf(error)})`;
  } finally {
    allowStarts();
  }
}

/**
 * Keeps the package from starting a service of its own on the well-known port, by Debian's way to say so.
 *
 * @returns puts things back as they were
 */
async function forbidStarts(): Promise<() => void> {
  if (await startsAreForbidden()) return () => undefined;
  const saved = `${POLICY}.before-berth`;
  if (existsSync(POLICY)) renameSync(POLICY, saved);
  writeFileSync(POLICY, `#!/bin/sh\nexit ${POLICY_FORBIDS}\n`);
  chmodSync(POLICY, 0o755);
  const putBack = (): void => {
    rmSync(POLICY, { force: true });
    if (existsSync(saved)) renameSync(saved, POLICY);
  };
  const forget = beforeDeath(putBack);
  return () => {
    forget();
    putBack();
  };
}

async function startsAreForbidden(): Promise<boolean> {
  if (!existsSync(POLICY) || (statSync(POLICY).mode & 0o100) === 0) return false;
  if (readFileSync(POLICY, 'utf8').length === 0) return false;
  const code = await run(POLICY, ['rabbitmq-server', 'start'], { timeout: 10_000 }).then(
    () => 0,
    (error: { code?: unknown }) => error.code,
  );
  return code === POLICY_FORBIDS;
}

/** Why a container engine is of no use; null: it answers. */
async function askEngine(engine: string): Promise<string | null> {
  try {
    await run(engine, ['info'], { timeout: 20_000 });
    return null;
  } catch (error) {
    const isAbsent = (error as NodeJS.ErrnoException).code === 'ENOENT';
    return isAbsent ? `there is no ${engine}` : `${engine} does not answer (${lastLineOf(error)})`;
  }
}

function lastLineOf(error: unknown): string {
  const { stderr, message } = error as { stderr?: string; message?: string };
  return (stderr?.trim() || message || 'unknown').trim().split('\n').slice(-1)[0] ?? 'unknown';
}
