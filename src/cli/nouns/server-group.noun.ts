import { Option } from 'commander';
import type { Schemas } from '../client/rest-client.js';
import { filled, positive } from '../verbs/options.js';
import type { Noun, Session } from '../verbs/session.js';
import { eachVerb, listVerb, showVerb } from '../verbs/verbs.js';
import { serverGroupId } from './ids.js';

type Policy = Schemas['ServerGroupBody']['policy'];

const POLICIES: readonly Policy[] = ['affinity', 'anti-affinity', 'soft-affinity', 'soft-anti-affinity'];
const FIELDS = ['id', 'name', 'policy', 'max_server_per_host', 'project_id', 'member_count', 'created_at'] as const;

/** `berth server group`. */
export function addServerGroup(noun: Noun): void {
  showVerb(noun, 'group create <name>', 'make a group of servers that stay together, or apart', {
    options: (command) =>
      command
        .addOption(new Option('--policy <policy>', 'of the group').choices([...POLICIES]).makeOptionMandatory())
        .option('--max-server-per-host <n>', 'with anti-affinity: so many share a host', positive),
    one: ({ rest, ask }: Session, given: { policy: Policy; maxServerPerHost?: number }, name: string) => {
      const more = filled({ max_server_per_host: given.maxServerPerHost });
      return ask(rest.POST('/v1/server-groups', { body: { name, policy: given.policy, ...more } }));
    },
    fields: [...FIELDS, 'members'],
  });
  listVerb(noun, 'group list', 'groups of servers', {
    rows: ({ rest, all }: Session) => all((query) => rest.GET('/v1/server-groups', { params: { query } })),
    columns: ['id', 'name', 'policy', 'member_count'],
    long: ['max_server_per_host', 'project_id', 'created_at'],
  });
  showVerb(noun, 'group show <group>', 'one group, with its servers', {
    one: async (session: Session, _given: unknown, group: string) => {
      const path = await pathOf(session, group);
      return session.ask(session.rest.GET('/v1/server-groups/{id}', { params: { path } }));
    },
    fields: [...FIELDS, 'members'],
  });
  eachVerb(noun, 'group delete <group...>', 'delete groups; their servers stay', {
    what: 'server group delete',
    act: async (session: Session, _given: unknown, group) => {
      const path = await pathOf(session, group);
      await session.ask(session.rest.DELETE('/v1/server-groups/{id}', { params: { path } }));
    },
  });
}

async function pathOf(session: Session, group: string): Promise<{ id: string }> {
  return { id: await serverGroupId(session, group) };
}
