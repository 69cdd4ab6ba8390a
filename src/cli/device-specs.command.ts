import type { Command } from 'commander';
import { BerthError } from '../errors.js';
import { loadSettings } from '../settings/load-settings.js';
import { askForPreview, type Preview } from './preview-request.js';
import { previewText } from './preview-text.js';
import { tell } from './rest-question.js';

interface PreviewOptions {
  readonly url: string;
  readonly config: readonly string[];
  readonly host: readonly string[];
  readonly json: boolean;
}

/** Exit codes. A script that is about to change a whitelist goes on at 0 only. */
const UNHARMED = 0;
const SERVER_AFFECTED = 1;

const HELP = `
Nothing is changed, here or there. Exit code:
  0  no server holds a device that would disappear
  1  a server does, or it may be so (devices listed as uncertain)
  2  not known: the files are not valid, or the REST face did not answer`;

/** `berth device-specs preview`. */
export function addDeviceSpecsCommand(program: Command, env: NodeJS.ProcessEnv): void {
  const several = (value: string, earlier: readonly string[]): readonly string[] => [...earlier, value];
  program
    .command('device-specs')
    .description('the whitelists of hosts')
    .command('preview')
    .description('what a whitelist would make of the hosts, from their last scans')
    .requiredOption('--url <url>', 'the REST face, e.g. http://127.0.0.1:8790')
    .option('-c, --config <file>', 'YAML, nova.conf or zun.conf with the whitelist; may be repeated', several, [])
    .option('--host <name>', 'only this host, by name or id; may be repeated', several, [])
    .option('--json', 'the answer as JSON', false)
    .addHelpText('after', HELP)
    .action(async (options: PreviewOptions) => {
      process.exitCode = await preview(options, env);
    });
}

function preview({ url, config, host, json }: PreviewOptions, env: NodeJS.ProcessEnv): Promise<number> {
  let places: readonly string[] = [];
  const question = (): Promise<Preview> => {
    if (config.length === 0) throw new BerthError('settings.invalid', '--config: name the file with the whitelist');
    const { settings, whitelist, warnings } = loadSettings({ files: config, env });
    for (const warning of warnings) process.stderr.write(`warning: ${warning}\n`);
    places = settings.agent.deviceSpecs.map(({ where }) => where);
    return askForPreview(url, { ...whitelist, compat: settings.compat, hosts: host, places });
  };
  return tell(
    question,
    json,
    (answer) => previewText(answer, places),
    (answer) => (affectsServers(answer) ? SERVER_AFFECTED : UNHARMED),
  );
}

function affectsServers({ hosts }: Preview): boolean {
  return hosts.some((host) => host.removed_held_count > 0 || host.uncertain_count > 0);
}
