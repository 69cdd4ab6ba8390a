import type { Command } from 'commander';
import { BerthError, messageOf } from '../errors.js';
import { loadSettings } from '../settings/load-settings.js';
import { askForPreview, type Preview } from './preview-request.js';
import { previewText } from './preview-text.js';

interface PreviewOptions {
  readonly url: string;
  readonly config: readonly string[];
  readonly host: readonly string[];
  readonly json: boolean;
}

/** Exit codes. A script that is about to change a whitelist goes on at 0 only. */
const UNHARMED = 0;
const SERVER_AFFECTED = 1;
const NOT_KNOWN = 2;

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

async function preview({ url, config, host, json }: PreviewOptions, env: NodeJS.ProcessEnv): Promise<number> {
  try {
    if (config.length === 0) throw new BerthError('settings.invalid', '--config: name the file with the whitelist');
    const { settings, whitelist, warnings } = loadSettings({ files: config, env });
    for (const warning of warnings) process.stderr.write(`warning: ${warning}\n`);
    const places = settings.agent.deviceSpecs.map(({ where }) => where);
    const answer = await askForPreview(url, { ...whitelist, compat: settings.compat, hosts: host, places });
    process.stdout.write(json ? `${JSON.stringify(answer, null, 2)}\n` : previewText(answer, places));
    return affectsServers(answer) ? SERVER_AFFECTED : UNHARMED;
  } catch (error) {
    const code = error instanceof BerthError ? `${error.code}: ` : '';
    process.stderr.write(`berth: ${code}${messageOf(error)}\n`);
    return NOT_KNOWN;
  }
}

function affectsServers({ hosts }: Preview): boolean {
  return hosts.some((host) => host.removed_held_count > 0 || host.uncertain_count > 0);
}
