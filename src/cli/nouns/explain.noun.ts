import { Option } from 'commander';
import { explanationText } from '../reports/explain-text.js';
import { filled } from '../verbs/options.js';
import type { Noun, Session } from '../verbs/session.js';
import { reportVerb } from '../verbs/verbs.js';
import { serverId } from './ids.js';

interface GivenExplain {
  readonly view?: 'admin' | 'project';
  readonly changes: boolean;
}

const HELP = `
Nothing is changed. Exit code:
  0  the server was placed
  1  it was placed nowhere, or nothing was decided yet
  2  not known: no such server, or the REST face did not answer`;

/** `berth explain`, which is `berth server explain`. */
export function addExplain(noun: Noun): void {
  reportVerb(noun, 'explain <server>', 'why a server is where it is, or nowhere, and what would make it fit', {
    options: (command) =>
      command
        .addOption(
          new Option('--view <view>', 'project: without names of hosts and of other servers').choices([
            'admin',
            'project',
          ]),
        )
        .option('--no-changes', 'do not look for what would make it fit'),
    help: HELP,
    answer: async (session: Session, { view, changes }: GivenExplain, server: string) => {
      const params = { path: { id: await serverId(session, server) }, query: { changes, ...filled({ view }) } };
      return session.ask(session.rest.GET('/v1/servers/{id}/explanation', { params }));
    },
    text: explanationText,
    codeOf: ({ outcome }) => (outcome === 'placed' ? 0 : 1),
  });
}
