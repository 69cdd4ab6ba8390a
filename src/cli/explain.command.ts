import { type Command, Option } from 'commander';
import { BerthError } from '../errors.js';
import { explanationText, type Explanation } from './explain-text.js';
import { ask, tell } from './rest-question.js';

interface ExplainOptions {
  readonly url: string;
  readonly view?: string;
  readonly json: boolean;
  readonly changes: boolean;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const SHOWN_IDS_MAX = 5;

const HELP = `
Nothing is changed. Exit code:
  0  the server was placed
  1  it was placed nowhere, or nothing was decided yet
  2  not known: no such server, or the REST face did not answer`;

/** `berth explain`. */
export function addExplainCommand(program: Command): void {
  program
    .command('explain')
    .description('why a server is where it is, or nowhere, and what would make it fit')
    .argument('<server>', 'name or id')
    .requiredOption('--url <url>', 'the REST face, e.g. http://127.0.0.1:8790')
    .addOption(
      new Option('--view <view>', 'project: without names of hosts and of other servers').choices(['admin', 'project']),
    )
    .option('--json', 'the answer as JSON', false)
    .option('--no-changes', 'do not look for what would make it fit')
    .addHelpText('after', HELP)
    .action(async (server: string, options: ExplainOptions) => {
      process.exitCode = await tell(
        () => explanationOf(server, options),
        options.json,
        explanationText,
        ({ outcome }) => (outcome === 'placed' ? 0 : 1),
      );
    });
}

async function explanationOf(server: string, { url, view, changes }: ExplainOptions): Promise<Explanation> {
  const id = UUID.test(server) ? server : await idOf(server, url);
  return ask(url, `/v1/servers/${id}/explanation?changes=${changes}${view === undefined ? '' : `&view=${view}`}`);
}

/** @throws BerthError `server.unknown` when none has the name, or several have it */
async function idOf(name: string, url: string): Promise<string> {
  const path = `/v1/servers?name=${encodeURIComponent(name)}&limit=${SHOWN_IDS_MAX}`;
  const { servers } = await ask<{ readonly servers: readonly { readonly id: string }[] }>(url, path);
  const [first, ...others] = servers;
  if (!first) throw new BerthError('server.unknown', `no server is named "${name}"`);
  if (others.length === 0) return first.id;
  const ids = servers.map(({ id }) => id).join(', ');
  throw new BerthError('server.unknown', `several servers are named "${name}"; say which by id: ${ids}`);
}
