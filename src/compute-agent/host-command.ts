import type { Command } from 'commander';
import type { Settings } from '../settings/settings.js';

/** What these commands need of the command line they belong to. */
export interface HostCommandLine {
  /** Adds `--config`. */
  readonly withConfig: (command: Command) => Command;
  /** The settings of the files named by `--config`, and of the environment. */
  readonly load: (options: never) => Settings;
  /** Says on standard error what went wrong. */
  readonly complain: (error: unknown) => void;
}

interface PrepareOptions {
  readonly config: readonly string[];
  readonly output: string;
  readonly cpu: string;
  readonly alias: readonly string[];
  readonly deviceSpec?: string;
  readonly sysfsRoot?: string;
  readonly procRoot: string;
  readonly driver: readonly string[];
  readonly blacklist: readonly string[];
  readonly tag: string;
  readonly force: boolean;
  readonly json: boolean;
}

interface CheckOptions {
  readonly sysfsRoot?: string;
  readonly procRoot?: string;
  readonly modulesRoot?: string;
  readonly json: boolean;
}

const READY = 0;
const NOT_READY = 1;
const NOT_KNOWN = 2;
const MODULES_ROOT = '/lib/modules';

const CHECK_HELP = `
Run it on the host itself, as root (firmware tables and the agent's journal are not for others), with the agent's
configuration; no service is needed, and nothing is changed. What is told: docs/host-preparation.md. Exit code:
  0  no errors; there may be warnings
  1  errors: devices that are offered cannot be handed over
  2  not known: the configuration is not valid, or there is no PCI bus to look at`;

const PREPARE_HELP = `
Writes files into a folder, with a comment on each line; nothing is installed. What is in them: docs/host-preparation.md.
Exit code:
  0  written
  2  not: the configuration is not valid, names no ids, or the folder has such files already`;

/** `berth host check` and `berth host prepare`: they speak to no service. */
export function addHostPreparationCommands(host: Command, commandLine: HostCommandLine): void {
  addCheckCommand(host, commandLine);
  addPrepareCommand(host, commandLine);
}

function addCheckCommand(host: Command, { withConfig, load, complain }: HostCommandLine): void {
  withConfig(host.command('check').description('is this host ready for passthrough, and what would get in the way?'))
    .option('--sysfs-root <dir>', 'a recorded tree; else as configured')
    .option('--proc-root <dir>', 'a recorded tree; else as configured')
    .option('--modules-root <dir>', `lists of modules; else ${MODULES_ROOT}, unless a root above is given`)
    .option('--json', 'the report as JSON', false)
    .addHelpText('after', CHECK_HELP)
    .action(async (options: CheckOptions) => {
      try {
        process.exitCode = await check(options, load(options as never));
      } catch (error) {
        complain(error);
        process.exitCode = NOT_KNOWN;
      }
    });
}

async function check(options: CheckOptions, { agent }: Settings): Promise<number> {
  const { sysfsRoot = agent.sysfsRoot, procRoot = agent.procRoot } = options;
  const ofThisMachine = sysfsRoot === '/sys' && procRoot === '/proc';
  const { checkHost } = await import('./host-check/host-check.js');
  const { hostCheckText } = await import('./host-check/host-check-text.js');
  const report = await checkHost({
    ...{ sysfsRoot, procRoot, stateDir: agent.stateDir, deviceSpecs: agent.deviceSpecs, sriov: agent.sriov ?? [] },
    modulesRoot: options.modulesRoot ?? (ofThisMachine ? MODULES_ROOT : null),
  });
  process.stdout.write(options.json ? `${JSON.stringify(report, null, 2)}\n` : hostCheckText(report));
  return report.errors > 0 ? NOT_READY : READY;
}

function addPrepareCommand(host: Command, { withConfig, load, complain }: HostCommandLine): void {
  const several = (value: string, earlier: readonly string[]): readonly string[] => [...earlier, value];
  withConfig(host.command('prepare').description('write the boot files that have vfio-pci take devices'))
    .requiredOption('--output <dir>', 'the folder; it may not be a part of the running system')
    .requiredOption('--cpu <make>', 'intel or amd')
    .option('--alias <name>', 'devices of this alias of the configuration; may be repeated', several, [])
    .option('--device-spec <file>', 'devices that the whitelist of this configuration file names')
    .option('--sysfs-root <dir>', 'look the devices up on this host: /sys, or a recorded tree')
    .option('--proc-root <dir>', 'the same of its /proc', '/proc')
    .option('--driver <module>', 'a further driver that is to come after vfio-pci; may be repeated', several, [])
    .option('--blacklist <module>', 'a driver that is not to be loaded at all; may be repeated', several, [])
    .option('--tag <name>', 'of MAAS', 'pci-passthrough')
    .option('--force', 'replace files of the folder', false)
    .option('--json', 'the list of files and what to mind as JSON', false)
    .addHelpText('after', PREPARE_HELP)
    .action(async (options: PrepareOptions) => {
      try {
        await prepare(options, (config) => load({ config } as never));
      } catch (error) {
        complain(error);
        process.exitCode = NOT_KNOWN;
      }
    });
}

async function prepare(options: PrepareOptions, load: (config: readonly string[]) => Settings): Promise<void> {
  const { alias, deviceSpec, sysfsRoot, procRoot, drivers, ...rest } = { ...options, drivers: options.driver };
  const { preparationOf } = await import('./host-preparation/prepare-host.js');
  const { preparationFiles } = await import('./host-preparation/preparation-files.js');
  const { writeFiles } = await import('./host-preparation/write-files.js');
  const preparation = await preparationOf({
    ...{ cpu: rest.cpu, tag: rest.tag, blacklist: rest.blacklist, drivers },
    aliases: alias.length > 0 ? load(options.config).aliases : [],
    aliasNames: alias,
    deviceSpecs: deviceSpec === undefined ? null : load([deviceSpec]).agent.deviceSpecs,
    host: sysfsRoot === undefined ? null : { sysfsRoot, procRoot },
  });
  const files = preparationFiles(preparation);
  await writeFiles(rest.output, files, rest.force);
  const { notes } = preparation;
  const written = files.map(({ path }) => path);
  const text = [
    `Written to ${rest.output}:`,
    ...written.map((path) => `  ${path}`),
    ...notes.map((note) => `Mind: ${note}`),
    '',
  ];
  process.stdout.write(rest.json ? `${JSON.stringify({ files: written, notes }, null, 2)}\n` : text.join('\n'));
}
