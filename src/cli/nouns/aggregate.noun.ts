import { filled, pairs, several } from '../verbs/options.js';
import type { Noun, Session } from '../verbs/session.js';
import { eachVerb, listVerb, showVerb } from '../verbs/verbs.js';

interface GivenCreate {
  readonly zone?: string;
  readonly property?: Readonly<Record<string, string>>;
}

interface GivenSet extends GivenCreate {
  readonly name?: string;
}

interface GivenUnset {
  readonly property?: readonly string[];
  readonly zone?: true;
}

const FIELDS = [
  ...(['id', 'name', 'availability_zone', 'hosts', 'host_count', 'metadata', 'generation', 'created_at'] as const),
  'updated_at',
] as const;

/** `berth aggregate`. */
export function addAggregate(noun: Noun): void {
  showVerb(noun, 'create <name>', 'make an aggregate; its hosts are put into it afterwards', {
    options: (command) =>
      command
        .option('--zone <zone>', 'its hosts are in this availability zone')
        .option('--property <key=value>', 'of its metadata; may be repeated', pairs),
    one: ({ rest, ask }: Session, { zone, property }: GivenCreate, name: string) => {
      const more = filled({ availability_zone: zone, metadata: property && { ...property } });
      return ask(rest.POST('/v1/aggregates', { body: { name, ...more } }));
    },
    fields: FIELDS,
  });
  listVerb(noun, 'list', 'aggregates of hosts', {
    rows: ({ rest, all }: Session) => all((query) => rest.GET('/v1/aggregates', { params: { query } })),
    columns: ['id', 'name', 'availability_zone', 'host_count'],
    long: ['hosts', 'metadata', 'created_at', 'updated_at'],
  });
  showVerb(noun, 'show <aggregate>', 'one aggregate', {
    one: ({ rest, ask }: Session, _given: unknown, aggregate: string) =>
      ask(rest.GET('/v1/aggregates/{aggregate}', { params: { path: { aggregate } } })),
    fields: FIELDS,
  });
  addChanges(noun);
  eachVerb(noun, 'delete <aggregate...>', 'delete aggregates; their hosts stay', {
    what: 'aggregate delete',
    act: ({ rest, ask }: Session, _given: unknown, aggregate) =>
      ask(rest.DELETE('/v1/aggregates/{aggregate}', { params: { path: { aggregate } } })),
  });
  addHosts(noun);
}

function addChanges(noun: Noun): void {
  showVerb(noun, 'set <aggregate>', 'change name, zone or metadata; other keys of the metadata stay', {
    options: (command) =>
      command
        .option('--name <name>', 'another one')
        .option('--zone <zone>', 'its hosts are in this availability zone')
        .option('--property <key=value>', 'of its metadata; may be repeated', pairs),
    one: async ({ rest, ask }: Session, { name, zone, property }: GivenSet, aggregate: string) => {
      const params = { path: { aggregate } };
      const there = property && (await ask(rest.GET('/v1/aggregates/{aggregate}', { params }))).metadata;
      const metadata = property && { ...there, ...property };
      const body = filled({ name, availability_zone: zone, metadata });
      return ask(rest.PATCH('/v1/aggregates/{aggregate}', { params, body }));
    },
    fields: FIELDS,
  });
  showVerb(noun, 'unset <aggregate>', 'remove keys of the metadata, or the zone', {
    options: (command) =>
      command
        .option('--property <key>', 'this one; may be repeated', several)
        .option('--zone', 'its hosts are in no zone by it'),
    one: async ({ rest, ask }: Session, { property = [], zone }: GivenUnset, aggregate: string) => {
      const params = { path: { aggregate } };
      const { metadata: there } = await ask(rest.GET('/v1/aggregates/{aggregate}', { params }));
      const metadata = Object.fromEntries(Object.entries(there).filter(([key]) => !property.includes(key)));
      return ask(
        rest.PATCH('/v1/aggregates/{aggregate}', {
          params,
          body: { metadata, ...(zone && { availability_zone: null }) },
        }),
      );
    },
    fields: FIELDS,
  });
}

function addHosts(noun: Noun): void {
  showVerb(noun, 'add host <aggregate> <host>', 'put a host into an aggregate', {
    one: ({ rest, ask }: Session, _given: unknown, aggregate: string, host: string) =>
      ask(rest.PUT('/v1/aggregates/{aggregate}/hosts/{host}', { params: { path: { aggregate, host } } })),
    fields: FIELDS,
  });
  showVerb(noun, 'remove host <aggregate> <host>', 'take a host out of an aggregate', {
    one: async ({ rest, ask }: Session, _given: unknown, aggregate: string, host: string) => {
      await ask(rest.DELETE('/v1/aggregates/{aggregate}/hosts/{host}', { params: { path: { aggregate, host } } }));
      return ask(rest.GET('/v1/aggregates/{aggregate}', { params: { path: { aggregate } } }));
    },
    fields: FIELDS,
  });
}
