#!/usr/bin/env node
import 'reflect-metadata';
import { Command } from 'commander';
import type { BrokerUserOptions } from './bus/broker-user-command.js';
import { addCompleteCommand } from './cli/completion/complete.command.js';
import { addNouns } from './cli/nouns.js';
import { below } from './cli/verbs/verbs.js';
import { AGENT_VERSION } from './compute-agent/agent-version.js';
import { addHostPreparationCommands } from './compute-agent/host-command.js';
import { BerthError, messageOf } from './errors.js';
import type { FleetCommandOptions } from './fleet/fleet-command.js';
import { checkFilters } from './roles/check-filters.js';
import type { AllRoles } from './roles/all.role.js';
import type { RunningRole } from './roles/running-role.js';
import { addAuditCommands, AUDIT_NOT_KNOWN } from './scheduler/audit-command.js';
import type { CheckOptions } from './scheduler/check-command.js';
import { CHECK_HELP, CHECK_NOT_KNOWN, REPLAY_HELP, REPLAY_NOT_KNOWN } from './scheduler/command-help.js';
import type { ReplayOptions } from './scheduler/replay-command.js';
import type { LiveConfiguration } from './settings/live-configuration.js';
import type { Role } from './settings/live-settings.js';
import { loadSettings, type SettingsSources } from './settings/load-settings.js';
import type { Settings } from './settings/settings.js';
import { databaseAddress } from './store/database-address.js';
import { outageOf } from './store/outage.js';

// Each command loads what it needs when it is called: all of Berth takes longer to load than most commands to run.

const STOP_TIMEOUT_MS = 30_000;
const REPEATED_SIGNAL_MS = 1_000;
/** The exit code of a command line that is none. */
const WRITTEN_WRONGLY = 2;

interface RoleOptions {
  readonly config: readonly string[];
  readonly demo?: boolean;
}

let stopping = false;

const program = new Command('berth').description('PCI passthrough placement').version(AGENT_VERSION);
program.exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : WRITTEN_WRONGLY));

const given = process.argv.slice(2);
const words = await addNouns(program, given, process.env, given.includes('complete'));

role('api', 'serve the REST face', async (configuration) =>
  (await import('./roles/api.role.js')).startApi(configuration),
);
role('scheduler', 'decide, claim, take in reports', async (configuration) =>
  (await import('./roles/scheduler.role.js')).startScheduler(configuration),
);
role('agent', "this host's compute agent", async (configuration) =>
  (await import('./roles/agent.role.js')).startComputeAgent(configuration),
);
role('all', 'all roles in one process, on an embedded database unless one is given', startEverything, tellDemo).option(
  '--demo',
  'add three simulated hosts and place a first server',
);

withConfig(program.command('migrate').description('bring the database schema up to date')).action(
  (options: RoleOptions) =>
    run(async () => {
      const { migrate } = await import('./store/database.js');
      await migrate(databaseUrl(options));
      process.stdout.write('The database schema is up to date.\n');
    }),
);

withConfig(
  program.command('fleet').description('play the agents of many hosts over the broker, to try an installation'),
)
  .requiredOption('--hosts <n>', 'how many; they are called fleet-00001 and so on')
  .option('--kinds <names>', 'generated kinds or recorded hosts, with commas between; hosts take them in turn')
  .option('--heartbeat-interval <ms>', 'how often each host says that it lives', '10000')
  .option('--latency-ms <ms>', 'how long an agent takes to bind or to give back', '0')
  .option('--failure-rate <share>', 'of the prepares, from 0 to 1, that the kernel refuses', '0')
  .option('--seed <n>', 'same seed, same failures', '1')
  .option('--restart-storm', 'once every host has reported, all agents start again at the same moment; so does SIGHUP')
  .action((options: RoleOptions & FleetCommandOptions) => run(() => playFleet(options)));

withConfig(program.command('check-config').description('read the configuration, say what is wrong with it')).action(
  (options: RoleOptions) =>
    run(async () => {
      const { aliases, agent } = load(options);
      process.stdout.write(`Fine: ${agent.deviceSpecs.length} device_spec entries, ${aliases.length} aliases.\n`);
    }),
);

program
  .command('openapi')
  .description('write the OpenAPI document')
  .option('--output <file>', 'where to; - is standard output', '-')
  .action(({ output }: { output: string }) =>
    run(async () => (await import('./api/write-openapi.js')).writeOpenApi(output)),
  );

withConfig(
  below(program, 'alias')
    .command('forget-origin <origin>')
    .description('forget what the configuration files of an origin said that no longer exists; asks the database'),
).action((origin: string, options: RoleOptions) =>
  run(async () => {
    const { forgetOrigin } = await import('./store/forget-origin.js');
    const { removed, changed } = await forgetOrigin(databaseUrl(options), origin);
    const told = (names: readonly string[]): string => names.join(', ') || 'none';
    process.stdout.write(`Forgot ${origin}. Aliases deleted: ${told(removed)}; changed: ${told(changed)}.\n`);
  }),
);

program
  .command('broker-user <host>')
  .description("print what makes a host's own user of RabbitMQ, for bus.agent_users per_host")
  .option('--password-file <file>', 'its password is the first line; a file that is not there is made')
  .option('--external', 'it logs in by a certificate that has its name')
  .option('--vhost <name>', 'where the queues are', '/')
  .option('--definitions', 'JSON for rabbitmqctl import_definitions, instead of lines for a shell')
  .action((host: string, options: BrokerUserOptions) =>
    run(async () => {
      const { brokerUserText } = await import('./bus/broker-user-command.js');
      process.stdout.write(brokerUserText(host, options));
    }),
  );

withConfig(program.command('replay').description('decide again what was decided, and compare'))
  .option('--from <time>', 'not before; else as far back as the journal goes')
  .option('--to <time>', 'before; else up to now')
  .option('--run <id>', 'only what this scheduler process decided')
  .option('--server <id>', 'only decisions about this server, in full')
  .option('--database <url>', 'postgres://…; else as configured')
  .option('--json', 'the report as JSON', false)
  .addHelpText('after', REPLAY_HELP)
  .action(async (options: RoleOptions & ReplayOptions & { readonly database?: string }) => {
    try {
      const { replayCommand } = await import('./scheduler/replay-command.js');
      const { text, exitCode } = await replayCommand(options.database ?? databaseUrl(options), options);
      process.stdout.write(text);
      process.exitCode = exitCode;
    } catch (error) {
      process.stderr.write(`berth: ${problemOf(error)}\n`);
      process.exitCode = REPLAY_NOT_KNOWN;
    }
  });

addAuditCommands(below(program, 'audit'), (command, work) =>
  withConfig(command)
    .option('--database, --database-url <url>', 'postgres://…; else as configured')
    .action(async (options: RoleOptions & { readonly databaseUrl?: string }) => {
      try {
        const { text, exitCode } = await work(options.databaseUrl ?? databaseUrl(options), options as never);
        process.stdout.write(text);
        process.exitCode = exitCode;
      } catch (error) {
        process.stderr.write(`berth: ${problemOf(error)}\n`);
        process.exitCode = AUDIT_NOT_KNOWN;
      }
    }),
);
withConfig(
  program.command('check').description('look for disagreements in the ledger and with the agents, and repair them'),
)
  .option('--repair', 'repair what can be repaired without a decision of people', false)
  .option('--host <name>', 'only what is about this host')
  .option('--no-journals', 'do not ask the agents for their journals')
  .option('--wait <time>', 'for the answers of agents: 500ms, 15s, 2m', '15s')
  .option('--limit <n>', 'findings of one kind', '1000')
  .option('--database <url>', 'postgres://…; else as configured')
  .option('--json', 'the report as JSON', false)
  .addHelpText('after', CHECK_HELP)
  .action(async (options: RoleOptions & CheckOptions & { readonly database?: string }) => {
    const { Logger } = await import('@nestjs/common');
    Logger.overrideLogger(false); // what it does is in the report, which may be JSON
    try {
      const { checkCommand } = await import('./scheduler/check-command.js');
      const { scheduler } = load(options);
      const { text, exitCode } = await checkCommand(options.database ?? databaseUrl(options), scheduler, options);
      process.stdout.write(text);
      process.exitCode = exitCode;
    } catch (error) {
      process.stderr.write(`berth: ${problemOf(error)}\n`);
      process.exitCode = CHECK_NOT_KNOWN;
    }
  });

addHostPreparationCommands(below(program, 'host'), { withConfig, load, complain });
addCompleteCommand(program);

await program.parseAsync(words, { from: 'user' });

/** @param announce what the process says once it serves; by default one line for whoever waits for it */
function role<R extends RunningRole>(
  name: Role,
  description: string,
  start: (configuration: LiveConfiguration, options: RoleOptions) => Promise<R>,
  announce?: (running: R) => Promise<void>,
): Command {
  return withConfig(program.command(name).description(description)).action((options: RoleOptions) =>
    run(async () => {
      const configuration = await liveConfiguration(name, options);
      if (!options.demo) reloadOnSignal(configuration);
      const running = await start(configuration, options);
      stopOnSignals(running);
      if (options.demo && announce) await announce(running);
      else say(JSON.stringify({ message: 'started', role: name, url: running.url }));
    }),
  );
}

function withConfig(command: Command): Command {
  return command.option(
    '-c, --config <file>',
    'YAML, nova.conf or zun.conf; may be repeated',
    (file: string, files: readonly string[]) => [...files, file],
    [] as readonly string[],
  );
}

/** The settings of a command that is over soon. */
function load(options: RoleOptions): Settings {
  const { settings, warnings } = loadSettings(sourcesOf(options));
  warn([...warnings, ...checkFilters(settings)]);
  return settings;
}

/** The settings of a role, which may be read again while it runs. */
async function liveConfiguration(role: Role, options: RoleOptions): Promise<LiveConfiguration> {
  const { Logger } = await import('@nestjs/common');
  const { LiveConfiguration } = await import('./settings/live-configuration.js');
  const logger = new Logger('Configuration');
  const configuration = new LiveConfiguration({
    role,
    sources: sourcesOf(options),
    check: checkFilters,
    log: (level, message, fields) => logger[level === 'info' ? 'log' : level]({ message, ...fields }),
  });
  warn(configuration.warnings);
  return configuration;
}

function databaseUrl(options: RoleOptions): string {
  const url = databaseAddress(load(options).database);
  if (url === null) throw new BerthError('settings.invalid', 'database.url: set DATABASE_URL');
  return url;
}

/** The story of the demonstration is not interleaved with log lines, unless somebody asks for them. */
function sourcesOf({ config, demo = false }: RoleOptions): SettingsSources {
  const overrides = demo && !process.env['BERTH_LOG_LEVEL'] ? { log_level: 'warn' } : {};
  return { files: config, env: process.env, overrides };
}

function warn(warnings: readonly string[]): void {
  for (const warning of warnings) process.stderr.write(`warning: ${warning}\n`);
}

async function startEverything(configuration: LiveConfiguration, { demo = false }: RoleOptions): Promise<AllRoles> {
  if (demo) say('Berth demonstration: starting the database, the scheduler, the REST face and the agents …');
  const { startAll } = await import('./roles/all.role.js');
  const running = await startAll(configuration, demo);
  if (demo && running.embeddedDatabase !== null) say(`   embedded Postgres, data in ${running.embeddedDatabase}`);
  return running;
}

/** Tells the story; one that is broken off by a signal ends with the process. */
async function tellDemo(running: AllRoles): Promise<void> {
  try {
    const { tellStory } = await import('./demo/story.js');
    await tellStory(running.url, running.hosts, say);
  } catch (error) {
    if (stopping) return;
    await running.stop();
    throw error;
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** The habit of daemons: SIGHUP has the configuration read again. One that comes before the role runs waits for it. */
function reloadOnSignal(configuration: LiveConfiguration): void {
  process.on('SIGHUP', () => void configuration.reload('signal'));
}

async function playFleet(options: RoleOptions & FleetCommandOptions): Promise<void> {
  const { Logger } = await import('@nestjs/common');
  const { startFleet } = await import('./fleet/fleet-command.js');
  const logger = new Logger('Fleet');
  const fleet = await startFleet(load(options).bus, options, (level, message, fields) =>
    logger[level === 'info' ? 'log' : level]({ message, ...fields }),
  );
  process.on('SIGHUP', () => void fleet.restartAll());
  stopOnSignals({ url: '', stop: () => fleet.stop() });
  say(JSON.stringify({ message: 'started', role: 'fleet', ...fleet.counts() }));
}

/** The first signal stops gracefully; another one, a second later at least, at once (Ctrl-C may arrive twice through npm). */
function stopOnSignals(running: RunningRole): void {
  let since = 0;
  const stop = (): void => {
    if (stopping && Date.now() - since > REPEATED_SIGNAL_MS) process.exit(1);
    if (stopping) return;
    stopping = true;
    since = Date.now();
    setTimeout(() => fail(`did not stop within ${STOP_TIMEOUT_MS / 1000} s; ending now`), STOP_TIMEOUT_MS).unref();
    running.stop().then(
      () => process.exit(0),
      (error: unknown) => fail(error),
    );
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
}

async function run(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    fail(error);
  }
}

function fail(error: unknown): never {
  complain(error);
  process.exit(1);
}

function complain(error: unknown): void {
  process.stderr.write(`berth: ${problemOf(error)}\n`);
}

function problemOf(error: unknown): string {
  if (error instanceof BerthError) return `${error.code}: ${error.message}`;
  if (outageOf(error) === 'unavailable') return `database.unavailable: ${messageOf(error)}; is DATABASE_URL right?`;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
