import { BerthError } from '../../errors.js';
import type { Schemas } from '../client/rest-client.js';
import type { Column } from '../output/columns.js';
import type { Noun, Session } from '../verbs/session.js';
import { listVerb } from '../verbs/verbs.js';

type Quota = Schemas['QuotaView'];

interface GivenProject {
  readonly project?: string;
}

interface GivenSet {
  readonly project: string;
  readonly replace: boolean;
}

const HELP = `
Resources: servers, vcpus, memory_mb, disk_gb, devices, alias:NAME, class:RESOURCE_CLASS, class:VENDOR:PRODUCT.
Limits: a whole number; unlimited, also where the default is a limit; default, to have none of its own.
The project "*" stands for the defaults of every project.`;

const COLUMNS: readonly Column<Quota>[] = [
  'resource',
  { name: 'limit', of: ({ hard_limit }) => hard_limit, text: ({ hard_limit }) => limitText(hard_limit) },
  'used',
  { name: 'own_limit', text: ({ own_limit }) => limitText(own_limit) },
  { name: 'default_limit', text: ({ default_limit }) => limitText(default_limit) },
];

/** `berth quota`. */
export function addQuota(noun: Noun): void {
  listVerb(noun, 'show', 'limits and what is used', {
    options: (command) => command.option('--project <id>', 'this project; the project of requests when left out'),
    rows: (session: Session, { project }: GivenProject) => quotasOf(session, project),
    columns: COLUMNS,
  });
  listVerb(noun, 'set <resource=limit...>', 'change limits; others stay', {
    options: (command) =>
      command
        .requiredOption('--project <id>', 'of this project')
        .option('--replace', 'these become all the limits that the project has of its own', false),
    help: HELP,
    rows: set,
    columns: COLUMNS,
  });
  listVerb(noun, 'delete', 'remove the limits that a project has of its own; the defaults hold', {
    options: (command) => command.requiredOption('--project <id>', 'of this project'),
    rows: async (session: Session, { project }: { readonly project: string }) => {
      await session.ask(session.rest.DELETE('/v1/quotas/{project_id}', { params: { path: { project_id: project } } }));
      return quotasOf(session, project);
    },
    columns: COLUMNS,
  });
}

async function quotasOf({ rest, ask }: Session, project: string | undefined): Promise<readonly Quota[]> {
  return told(
    await ask(rest.GET('/v1/quotas', { params: { query: project === undefined ? {} : { project_id: project } } })),
  );
}

async function set({ rest, ask }: Session, given: GivenSet, pairs: readonly string[]): Promise<readonly Quota[]> {
  const said = Object.fromEntries(pairs.map(limitOf));
  const params = { path: { project_id: given.project } };
  if (!given.replace) {
    // A limit of null is no limit of its own, which the document cannot say of a map.
    return told(await ask(rest.PATCH('/v1/quotas/{project_id}', { params, body: { limits: said as never } })));
  }
  const limits = Object.fromEntries(
    Object.entries(said).flatMap(([key, limit]) => (limit === null ? [] : [[key, limit]])),
  );
  return told(await ask(rest.PUT('/v1/quotas/{project_id}', { params, body: { limits } })));
}

/** What is to be noted goes to standard error, so that it is in no table. */
function told({ quotas, hints }: Schemas['QuotasView']): readonly Quota[] {
  for (const hint of hints) process.stderr.write(`note: ${hint}\n`);
  return quotas;
}

/** Names of aliases may have `=` in them; limits have not. */
function limitOf(pair: string): [string, number | null] {
  const at = pair.lastIndexOf('=');
  const [resource, limit] = [pair.slice(0, Math.max(at, 0)), pair.slice(at + 1)];
  if (resource !== '' && limit === 'default') return [resource, null];
  if (resource !== '' && limit === 'unlimited') return [resource, -1];
  if (resource !== '' && /^\d{1,15}$/.test(limit)) return [resource, Number(limit)];
  throw new BerthError('request.invalid', `"${pair}": has to be RESOURCE=LIMIT, like alias:gpu=8 or servers=unlimited`);
}

function limitText(limit: number | null): string {
  if (limit === null) return '';
  return limit === -1 ? 'unlimited' : String(limit);
}
