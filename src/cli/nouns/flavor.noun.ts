import { filled, pairs, several, wholeNumber } from '../verbs/options.js';
import type { Noun, Session } from '../verbs/session.js';
import { actVerb, eachVerb, listVerb, showVerb } from '../verbs/verbs.js';

interface GivenCreate {
  readonly id?: string;
  readonly vcpus: number;
  readonly ram: number;
  readonly disk: number;
  readonly ephemeral?: number;
  readonly swap?: number;
  readonly description?: string;
  readonly private?: true;
  readonly property?: Readonly<Record<string, string>>;
}

interface GivenSet {
  readonly property?: Readonly<Record<string, string>>;
  readonly clear?: true;
}

const FIELDS = [
  ...(['id', 'name', 'description', 'vcpus', 'ram_mb', 'disk_gb', 'ephemeral_gb', 'swap_mb', 'is_public'] as const),
  ...(['extra_specs', 'created_at'] as const),
] as const;
const PROPERTY = 'an extra spec, e.g. pci_passthrough:alias=gpu:2; may be repeated';

/** `berth flavor`. */
export function addFlavor(noun: Noun): void {
  showVerb(noun, 'create <name>', 'make a flavor', {
    options: (command) =>
      command
        .option('--id <id>', 'one is made when left out')
        .option('--vcpus <n>', 'of its servers', wholeNumber, 1)
        .option('--ram <mb>', 'of its servers', wholeNumber, 256)
        .option('--disk <gb>', 'of its servers', wholeNumber, 0)
        .option('--ephemeral <gb>', 'a second disk', wholeNumber)
        .option('--swap <mb>', 'a swap disk', wholeNumber)
        .option('--description <text>', 'for people')
        .option('--private', 'only for projects that are given access')
        .option('--property <key=value>', PROPERTY, pairs),
    one: ({ rest, ask }: Session, given: GivenCreate, name: string) => {
      const { id, vcpus, ram, disk, description, property } = given;
      const more = filled({
        ...{ id, description, ephemeral_gb: given.ephemeral, swap_mb: given.swap },
        is_public: given.private && false,
        extra_specs: property && { ...property },
      });
      return ask(rest.POST('/v1/flavors', { body: { name, vcpus, ram_mb: ram, disk_gb: disk, ...more } }));
    },
    fields: FIELDS,
  });
  listVerb(noun, 'list', 'flavors', {
    rows: ({ rest, all }: Session) => all((query) => rest.GET('/v1/flavors', { params: { query } })),
    columns: ['id', 'name', 'vcpus', 'ram_mb', 'disk_gb'],
    long: ['ephemeral_gb', 'swap_mb', 'is_public', 'description', 'extra_specs', 'created_at'],
  });
  showVerb(noun, 'show <flavor>', 'one flavor', {
    one: ({ rest, ask }: Session, _given: unknown, id: string) =>
      ask(rest.GET('/v1/flavors/{id}', { params: { path: { id } } })),
    fields: FIELDS,
  });
  addProperties(noun);
  eachVerb(noun, 'delete <flavor...>', 'delete flavors; servers keep what they were made with', {
    what: 'flavor delete',
    act: ({ rest, ask }: Session, _given: unknown, id) =>
      ask(rest.DELETE('/v1/flavors/{id}', { params: { path: { id } } })),
  });
}

function addProperties(noun: Noun): void {
  actVerb(noun, 'set <flavor>', 'set extra specs; others stay', {
    options: (command) =>
      command.option('--property <key=value>', PROPERTY, pairs).option('--clear', 'remove all others'),
    act: async ({ rest, ask }: Session, { property, clear }: GivenSet, id: string) => {
      const params = { path: { id } };
      // In one request: keys may refer to each other, and are judged together.
      const { extra_specs: there } = await ask(rest.GET('/v1/flavors/{id}', { params }));
      const extra_specs = { ...(clear ? {} : there), ...property };
      await ask(rest.PUT('/v1/flavors/{id}/extra_specs', { params, body: { extra_specs } }));
    },
  });
  actVerb(noun, 'unset <flavor>', 'remove extra specs', {
    options: (command) => command.requiredOption('--property <key>', 'this one; may be repeated', several),
    act: async ({ rest, ask }: Session, { property }: { property: readonly string[] }, id: string) => {
      for (const key of property) {
        await ask(rest.DELETE('/v1/flavors/{id}/extra_specs/{key}', { params: { path: { id, key } } }));
      }
    },
  });
}
