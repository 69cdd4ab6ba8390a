import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { connect } from 'amqplib';

import type { Certificate } from './certificates.js';
import { beforeDeath, endChild, freePort, run, spawnTied } from './processes.js';
import { findRabbitMq, IMAGE, type RabbitMqSource } from './rabbitmq-programs.js';

/** A RabbitMQ of the tests' own, on 127.0.0.1, with nothing in it. */
export interface TestRabbitMq {
  readonly url: string;
  /** The same with TLS and without a user; null: it was started without, or in a container. */
  readonly tlsUrl: string | null;
  /** Runs what an operator would on the broker's machine, `rabbitmqctl` above all. @returns what it printed */
  shell(script: string): Promise<string>;
  /** Ends it as a power cut would; the url refuses connections until `restart`. */
  kill9(): Promise<void>;
  /** Stops its heart: connections stay open, and nobody answers on them. */
  pause(): Promise<void>;
  /** Goes on where it was paused; nothing when it was not. */
  resume(): Promise<void>;
  /** Starts it again on the same port and data; resolves when it takes connections. */
  restart(): Promise<void>;
  /** Ends it and deletes its data. */
  stop(): Promise<void>;
}

/** It takes no messages while it has more. Enough for the tests, of which several run side by side. */
const MEMORY = '1GB';

const USER = 'guest';
const READY_TIMEOUT_MS = 120_000;
const READY_POLL_MS = 150;
const STARTS_MAX = 3;
const LOG_TAIL_LINES = 25;

/**
 * Starts a new RabbitMQ, from programs that it finds or installs; several may run side by side.
 *
 * @throws Error with what was tried, or with the end of the log
 */
export async function startRabbitMq({ memory = MEMORY, tls = null }: RabbitMqOptions = {}): Promise<TestRabbitMq> {
  const source = await findRabbitMq();
  for (let attempt = 1; ; attempt += 1) {
    const password = randomBytes(12).toString('hex');
    const access = { port: await freePort(), password, memory, tls: tls && { ...tls, port: await freePort() } };
    const broker = source.kind === 'programs' ? await localBroker(source, access) : containerBroker(source, access);
    try {
      await broker.restart();
      return broker;
    } catch (error) {
      await broker.stop();
      // Somebody may have taken one of the ports meanwhile.
      if (!(error instanceof EarlyEndError) || attempt === STARTS_MAX) throw error;
    }
  }
}

export interface RabbitMqOptions {
  readonly memory?: string;
  /** Its certificate, and who signs those of its clients: then certificates are logins, by their common name. */
  readonly tls?: (Certificate & { readonly caFile: string }) | null;
}

/** The server ended instead of starting. */
class EarlyEndError extends Error {}

interface Access {
  readonly memory: string;
  readonly port: number;
  readonly password: string;
  readonly tls: (Certificate & { readonly caFile: string; readonly port: number }) | null;
}

function urlOf({ port, password }: Access): string {
  return `amqp://${USER}:${password}@127.0.0.1:${port}`;
}

async function localBroker(
  source: Extract<RabbitMqSource, { kind: 'programs' }>,
  access: Access,
): Promise<TestRabbitMq> {
  const folder = mkdtempSync(path.join(tmpdir(), 'berth-rabbitmq-'));
  const forget = beforeDeath(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
  const ports = { epmd: await freePort(), distribution: await freePort() };
  const environment = environmentOf(folder, ports);
  writeFileSync(path.join(folder, 'rabbitmq.conf'), configurationOf(access));
  writeFileSync(path.join(folder, 'enabled_plugins'), access.tls ? '[rabbitmq_auth_mechanism_ssl].\n' : '[].\n');

  let epmd: ChildProcess | null = null;
  let server: ChildProcess | null = null;
  const url = urlOf(access);
  return {
    url,
    tlsUrl: access.tls && `amqps://127.0.0.1:${access.tls.port}`,
    async shell(script) {
      const env = { ...environment, PATH: `${path.dirname(source.server)}:${environment['PATH']}` };
      return (await run('sh', ['-ec', script], { env, timeout: 120_000 })).stdout;
    },
    async restart() {
      epmd ??= spawnTied([source.epmd, '-port', String(ports.epmd), '-address', '127.0.0.1'], {
        stdio: 'ignore',
        env: environment,
      });
      if (server !== null) await endChild(server, 'SIGTERM');
      server = spawnServer(source.server, folder, environment);
      await waitUntilReady(url, server, folder);
    },
    async kill9() {
      if (server !== null) await endChild(server, 'SIGKILL');
    },
    async pause() {
      server?.kill('SIGSTOP');
    },
    async resume() {
      server?.kill('SIGCONT');
    },
    async stop() {
      if (server !== null) await endChild(server, 'SIGTERM');
      if (epmd !== null) await endChild(epmd, 'SIGKILL');
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
      forget();
    },
  };
}

/** Everything private: folders, ports, Erlang's name service and cookie, no settings of the machine's own RabbitMQ. */
function environmentOf(folder: string, ports: { epmd: number; distribution: number }): NodeJS.ProcessEnv {
  return {
    PATH: `/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin:${process.env['PATH'] ?? ''}`,
    LANG: 'C.UTF-8',
    HOME: folder,
    ERL_EPMD_PORT: String(ports.epmd),
    ERL_EPMD_ADDRESS: '127.0.0.1',
    RABBITMQ_NODENAME: `berth-${randomBytes(4).toString('hex')}@localhost`,
    RABBITMQ_DIST_PORT: String(ports.distribution),
    RABBITMQ_CONF_ENV_FILE: path.join(folder, 'none.conf'),
    RABBITMQ_CONFIG_FILE: path.join(folder, 'rabbitmq.conf'),
    RABBITMQ_ADVANCED_CONFIG_FILE: path.join(folder, 'none.config'),
    RABBITMQ_ENABLED_PLUGINS_FILE: path.join(folder, 'enabled_plugins'),
    RABBITMQ_MNESIA_BASE: path.join(folder, 'data'),
    RABBITMQ_LOG_BASE: path.join(folder, 'log'),
    RABBITMQ_GENERATED_CONFIG_DIR: path.join(folder, 'config'),
    RABBITMQ_PID_FILE: path.join(folder, 'pid'),
    // Makes the script become the server instead of staying its parent, so that a signal reaches the right process;
    // -noinput takes back the shell that this would open.
    RABBITMQ_ALLOW_INPUT: '1',
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '-noinput -kernel inet_dist_use_interface {127,0,0,1}',
  };
}

function configurationOf({ port, password, memory, tls }: Access): string {
  return [
    ...(tls ? tlsConfigurationOf(tls) : []),
    `listeners.tcp.local = 127.0.0.1:${port}`,
    `default_user = ${USER}`,
    `default_pass = ${password}`,
    `vm_memory_high_watermark.absolute = ${memory}`,
    'disk_free_limit.absolute = 50MB',
    'log.console = true',
    '',
  ].join('\n');
}

/** As docs/operating.md has it. */
function tlsConfigurationOf({ port, caFile, certFile, keyFile }: NonNullable<Access['tls']>): string[] {
  return [
    `listeners.ssl.local = 127.0.0.1:${port}`,
    `ssl_options.cacertfile = ${caFile}`,
    `ssl_options.certfile = ${certFile}`,
    `ssl_options.keyfile = ${keyFile}`,
    'ssl_options.verify = verify_peer',
    'ssl_options.fail_if_no_peer_cert = false',
    'auth_mechanisms.1 = PLAIN',
    'auth_mechanisms.2 = EXTERNAL',
    'ssl_cert_login_from = common_name',
  ];
}

function spawnServer(script: string, folder: string, env: NodeJS.ProcessEnv): ChildProcess {
  const log = openSync(path.join(folder, 'server.log'), 'a');
  try {
    return spawnTied([script], { cwd: folder, env, stdio: ['ignore', log, log] });
  } finally {
    closeSync(log);
  }
}

async function waitUntilReady(url: string, server: ChildProcess | null, folder: string | null): Promise<void> {
  const deadline = Date.now() + READY_TIMEOUT_MS;
  let refusal: unknown = null;
  while (Date.now() < deadline) {
    try {
      const connection = await connect(url);
      await connection.close();
      return;
    } catch (error) {
      refusal = error;
    }
    if (server !== null && (server.exitCode !== null || server.signalCode !== null)) {
      throw new EarlyEndError(`RabbitMQ ended with ${server.exitCode ?? server.signalCode}.${tailOf(folder)}`);
    }
    await sleep(READY_POLL_MS);
  }
  const waited = `${READY_TIMEOUT_MS / 1000} s`;
  throw new Error(`RabbitMQ did not take connections within ${waited} (${String(refusal)}).${tailOf(folder)}`);
}

function tailOf(folder: string | null): string {
  if (folder === null) return '';
  const log = readFileSync(path.join(folder, 'server.log'), 'utf8');
  return `\n${log.trimEnd().split('\n').slice(-LOG_TAIL_LINES).join('\n')}`;
}

function containerBroker({ engine }: Extract<RabbitMqSource, { kind: 'container' }>, access: Access): TestRabbitMq {
  const name = `berth-test-${randomBytes(6).toString('hex')}`;
  const url = urlOf(access);
  let isMade = false;
  return {
    url,
    tlsUrl: null,
    shell: async (script) => (await run(engine, ['exec', name, 'sh', '-ec', script], { timeout: 120_000 })).stdout,
    async restart() {
      const login = ['-e', `RABBITMQ_DEFAULT_USER=${USER}`, '-e', `RABBITMQ_DEFAULT_PASS=${access.password}`];
      const made = [
        'run',
        '-d',
        '--name',
        name,
        '--hostname',
        'berth',
        '-p',
        `127.0.0.1:${access.port}:5672`,
        ...login,
        IMAGE,
      ];
      await run(engine, isMade ? ['restart', name] : made, { timeout: 600_000 });
      isMade = true;
      await waitUntilReady(url, null, null);
    },
    async kill9() {
      await run(engine, ['kill', '--signal', 'KILL', name]);
    },
    async pause() {
      await run(engine, ['pause', name]);
    },
    async resume() {
      await run(engine, ['unpause', name]).catch(() => undefined);
    },
    async stop() {
      await run(engine, ['rm', '--force', '--volumes', name]).catch(() => undefined);
    },
  };
}
