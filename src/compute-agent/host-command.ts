import type { Command } from 'commander';
import type { Settings } from '../settings/settings.js';
import { hostCheckText } from './host-check/host-check-text.js';
import { checkHost } from './host-check/host-check.js';

/** What these commands need of the command line they belong to. */
export interface HostCommandLine {
  /** Adds `--config`. */
  readonly withConfig: (command: Command) => Command;
  /** The settings of the files named by `--config`, and of the environment. */
  readonly load: (options: never) => Settings;
  /** Says on standard error what went wrong. */
  readonly complain: (error: unknown) => void;
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

/** `berth host check`: commands that run on the host and speak to no service. */
export function addHostCheckCommand(host: Command, { withConfig, load, complain }: HostCommandLine): void {
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
  const report = await checkHost({
    ...{ sysfsRoot, procRoot, stateDir: agent.stateDir, deviceSpecs: agent.deviceSpecs },
    modulesRoot: options.modulesRoot ?? (ofThisMachine ? MODULES_ROOT : null),
  });
  process.stdout.write(options.json ? `${JSON.stringify(report, null, 2)}\n` : hostCheckText(report));
  return report.errors > 0 ? NOT_READY : READY;
}
