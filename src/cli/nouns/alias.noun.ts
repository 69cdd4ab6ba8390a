import { type Command, Option } from 'commander';
import { BerthError } from '../../errors.js';
import type { Schemas } from '../client/rest-client.js';
import type { Column } from '../output/columns.js';
import { filled, json, pairs, several, wholeNumber } from '../verbs/options.js';
import type { Noun, Session } from '../verbs/session.js';
import { eachVerb, listVerb, showVerb } from '../verbs/verbs.js';

type Alias = Schemas['AliasView'];
type Spec = Schemas['AliasSpecBody'];

interface GivenAlias {
  readonly vendorId?: string;
  readonly productId?: string;
  readonly deviceType?: NonNullable<Spec['device_type']>;
  readonly resourceClass?: string;
  readonly physicalNetwork?: string;
  readonly selector?: string;
  readonly group?: NonNullable<Spec['group']>;
  readonly trait?: readonly string[];
  readonly forbiddenTrait?: readonly string[];
  readonly anyTrait?: readonly string[];
  readonly tag?: Readonly<Record<string, string>>;
  readonly utility?: number;
  readonly liveMigratable?: boolean;
  readonly numaPolicy?: NonNullable<Schemas['AliasBody']['numa_policy']>;
  readonly spec?: readonly Spec[];
}

const specs: Column<Pick<Alias, 'specs'>> = { name: 'specs', text: (alias) => alias.specs.map(specText).join('\n') };
const FIELDS: readonly Column<Alias>[] = [
  ...(['name', 'version', 'numa_policy'] as const),
  specs as Column<Alias>,
  ...(['source', 'read_only', 'owners', 'created_at', 'updated_at'] as const),
];

const HELP = `
Options say one spec. An alias with alternatives has several, each as JSON:
  berth alias create accel --spec '{"vendor_id": "10de", "utility": 2}' --spec '{"vendor_id": "1002"}'`;

/** `berth alias`. */
export function addAlias(noun: Noun): void {
  showVerb(noun, 'create <name>', 'make an alias', {
    options: withSpec,
    help: HELP,
    one: ({ rest, ask }: Session, given: GivenAlias, name: string) =>
      ask(rest.POST('/v1/aliases', { body: { name, ...bodyOf(given, []) } })),
    fields: FIELDS,
  });
  listVerb(noun, 'list', 'aliases', {
    rows: ({ rest, all }: Session) => all((query) => rest.GET('/v1/aliases', { params: { query } })),
    columns: ['name', 'version', 'source', 'numa_policy', specs],
    long: ['read_only', 'owners', 'created_at', 'updated_at'],
  });
  showVerb(noun, 'show <name>', 'one alias', {
    one: ({ rest, ask }: Session, _given: unknown, name: string) =>
      ask(rest.GET('/v1/aliases/{name}', { params: { path: { name } } })),
    fields: FIELDS,
  });
  showVerb(noun, 'set <name>', 'change an alias; what is not said stays', {
    options: withSpec,
    help: HELP,
    one: async ({ rest, ask }: Session, given: GivenAlias, name: string) => {
      const there = await ask(rest.GET('/v1/aliases/{name}', { params: { path: { name } } }));
      // Whoever changed it meanwhile is not overwritten.
      const params = { path: { name }, header: { 'If-Match': `"${there.version}"` } };
      const body = { numa_policy: there.numa_policy, ...bodyOf(given, there.specs) };
      return ask(rest.PUT('/v1/aliases/{name}', { params, body }));
    },
    fields: FIELDS,
  });
  eachVerb(noun, 'delete <name...>', 'delete aliases that no flavor names', {
    what: 'alias delete',
    act: ({ rest, ask }: Session, _given: unknown, name) =>
      ask(rest.DELETE('/v1/aliases/{name}', { params: { path: { name } } })),
  });
  showVerb(noun, 'reload', 'have the service read its configuration files again', {
    one: ({ rest, ask }: Session) => ask(rest.POST('/v1/aliases/reload')),
    fields: ['added', 'changed', 'removed', 'behind', 'needs_restart', 'loaded_at'],
  });
  addVersions(noun);
}

function addVersions(noun: Noun): void {
  const columns = ['version', 'change', 'changed_by', 'changed_at'] as const;
  listVerb(noun, 'version list <name>', 'what an alias was, newest first; also a deleted one', {
    rows: ({ rest, all }: Session, _given: unknown, name: string) =>
      all((query) => rest.GET('/v1/aliases/{name}/versions', { params: { path: { name }, query } })),
    columns: [...columns, 'numa_policy', specs],
    long: ['source', 'origin'],
  });
  showVerb(noun, 'version show <name> <version>', 'one version of an alias', {
    one: ({ rest, ask }: Session, _given: unknown, name: string, version: string) =>
      ask(rest.GET('/v1/aliases/{name}/versions/{version}', { params: { path: { name, version } } })),
    fields: ['name', ...columns, 'numa_policy', specs, 'source', 'origin'],
  });
}

function withSpec(command: Command): Command {
  return command
    .option('--vendor-id <id>', 'four hex digits')
    .option('--product-id <id>', 'four hex digits')
    .addOption(new Option('--device-type <type>', 'of its devices').choices(['type-PCI', 'type-PF', 'type-VF']))
    .option('--resource-class <class>', 'instead of ids')
    .option('--physical-network <network>', 'of its devices')
    .option('--trait <trait>', 'that its devices have; may be repeated', several)
    .option('--forbidden-trait <trait>', 'that its devices have not; may be repeated', several)
    .option('--any-trait <traits>', 'one of these, with commas between; may be repeated', several)
    .option('--tag <key=value>', 'of its devices; may be repeated', pairs)
    .option('--selector <expression>', 'e.g. "device.link_width >= 16"')
    .addOption(new Option('--group <kind>', 'only whole ones').choices(['slot', 'card']))
    .option('--utility <n>', 'among alternatives', wholeNumber)
    .option('--live-migratable', 'only devices that are')
    .option('--no-live-migratable', 'only devices that are not')
    .option('--spec <json>', 'an alternative; may be repeated', (text: string, earlier: readonly unknown[] = []) => [
      ...earlier,
      json(text),
    ])
    .addOption(
      new Option('--numa-policy <policy>', 'of its requests').choices(['required', 'preferred', 'legacy', 'socket']),
    );
}

/** @param there the specs of the alias as it is; options change the only one */
function bodyOf(given: GivenAlias, there: readonly Schemas['AliasSpecView'][]): Schemas['AliasReplaceBody'] {
  const policy = filled({ numa_policy: given.numaPolicy });
  const said = filled({
    ...{ vendor_id: given.vendorId, product_id: given.productId, device_type: given.deviceType, group: given.group },
    ...{ resource_class: given.resourceClass, selector: given.selector, utility: given.utility },
    ...{ physical_network: given.physicalNetwork, live_migratable: given.liveMigratable },
    traits: given.trait && [...given.trait],
    forbidden_traits: given.forbiddenTrait && [...given.forbiddenTrait],
    any_traits: given.anyTrait?.map((one) => one.split(',')),
    tags: given.tag && { ...given.tag },
  }) as Spec;
  const hasOptions = Object.keys(said).length > 0;
  if (given.spec && hasOptions)
    throw new BerthError('request.invalid', '--spec: says all of a spec; leave out the others');
  if (given.spec) return { ...policy, specs: [...given.spec] };
  if (there.length > 1 && hasOptions) {
    throw new BerthError('request.invalid', 'the alias has alternatives; say all of them with --spec');
  }
  return { ...policy, specs: there.length > 1 ? there.map(specBody) : [{ ...specBody(there[0]), ...said }] };
}

/** What is null in an answer is left out of a question. */
function specBody(spec: Schemas['AliasSpecView'] | undefined): Spec {
  return Object.fromEntries(Object.entries(spec ?? {}).filter(([, value]) => value !== null)) as Spec;
}

function specText(spec: Schemas['AliasSpecView']): string {
  const isSaid = (value: unknown): boolean =>
    value !== null && !(typeof value === 'object' && Object.keys(value as object).length === 0);
  const said = Object.entries(spec).filter(([key, value]) => isSaid(value) && !(key === 'utility' && value === 1));
  return said.map(([key, value]) => `${key}=${typeof value === 'object' ? JSON.stringify(value) : value}`).join(' ');
}
