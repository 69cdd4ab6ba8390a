import { askForPreview, type Preview } from '../reports/preview-request.js';
import { previewText } from '../reports/preview-text.js';
import { FAILED } from '../verbs/failures.js';
import { several } from '../verbs/options.js';
import type { Noun, Session } from '../verbs/session.js';
import { reportVerb } from '../verbs/verbs.js';

interface GivenPreview {
  readonly config: readonly string[];
  readonly host: readonly string[];
}

/** A script that is about to change a whitelist goes on at 0 only. */
const HELP = `
Nothing is changed, here or there. Exit code:
  0  no server holds a device that would disappear
  1  a server does, or it may be so (devices listed as uncertain)
  2  not known: the files are not valid, or the REST face did not answer`;

/** `berth device specs preview`. */
export function addDeviceSpecs(noun: Noun): void {
  let places: readonly string[] = [];
  reportVerb(noun, 'specs preview', 'what a whitelist would make of the hosts, from their last scans', {
    options: (command) =>
      command
        .requiredOption(
          '-c, --config <file>',
          'YAML, nova.conf or zun.conf with the whitelist; may be repeated',
          several,
        )
        .option('--host <host>', 'only this host; may be repeated', several, []),
    help: HELP,
    answer: async (session: Session, { config, host }: GivenPreview): Promise<Preview> => {
      const { loadSettings } = await import('../../settings/load-settings.js');
      const { settings, whitelist, warnings } = loadSettings({ files: config, env: noun.env });
      for (const warning of warnings) process.stderr.write(`warning: ${warning}\n`);
      places = settings.agent.deviceSpecs.map(({ where }) => where);
      return askForPreview(session, { ...whitelist, compat: settings.compat, hosts: host, places });
    },
    text: (answer) => previewText(answer, places),
    codeOf: ({ hosts }) => (hosts.some(affectsServers) ? FAILED : 0),
  });
}

function affectsServers(host: Preview['hosts'][number]): boolean {
  return host.removed_held_count > 0 || host.uncertain_count > 0;
}
