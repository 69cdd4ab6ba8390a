import { existsSync } from 'node:fs';
import path from 'node:path';

import { installPackages, lastLineOf } from './packages.js';
import { run } from './processes.js';

/** The image that is used where only a container engine can give us a RabbitMQ. */
export const IMAGE = 'docker.io/library/rabbitmq:4.1';

/** The server's own script. Debian's one on the PATH is another: it becomes the user rabbitmq and ignores our folders. */
const SERVER_SCRIPTS = [
  '/usr/lib/rabbitmq/bin/rabbitmq-server',
  '/opt/homebrew/opt/rabbitmq/sbin/rabbitmq-server',
  '/usr/local/opt/rabbitmq/sbin/rabbitmq-server',
  '/opt/rabbitmq/sbin/rabbitmq-server',
];

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

  const refusal = await installPackages('RabbitMQ', ['rabbitmq-server']);
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
