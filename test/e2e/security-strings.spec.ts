import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { insertHost, type RestApi, startRestApi } from '../support/rest-api.js';

/** What means something to a database, a shell, a template, a log or a file system. */
const HOSTILE = [
  `'; DROP TABLE servers; --`,
  `") OR 1=1 UNION SELECT url FROM pg_stat_activity --`,
  '$(touch /tmp/berth-was-here) `id` | sh & \\',
  '../../../../etc/passwd',
  '%s%n${jndi:ldap://x}{{7*7}}<script>alert(1)</script>',
  '\r\nX-Injected: 1',
  '\u0000\u202e\ud83d',
  'x'.repeat(10_000),
] as const;

/** Words of a database's or a program's own errors, which tell an attacker that he got through. */
const LEAKS = /syntax error|relation "|invalid input syntax|QueryFailedError|at Object\.|node_modules|\/src\//i;

interface Schema {
  readonly $ref?: string;
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly format?: string;
  readonly minimum?: number;
  readonly example?: unknown;
  readonly oneOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | boolean;
}

interface Operation {
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly schema: Schema }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> };
}

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

type Method = 'get' | 'post' | 'put' | 'patch' | 'delete';
const AN_ID = '00000000-0000-4000-8000-000000000000';
const DEPTH_MAX = 6;

/** One place of a request that takes a text. */
interface Slot {
  readonly where: string;
  readonly fill: (text: string) => { readonly path: string; readonly body?: unknown };
}

describe('hostile texts in every text field of every operation', () => {
  let api: RestApi;
  let document: Document;
  beforeAll(async () => {
    api = await startRestApi(inject('databaseUrl'));
    await insertHost(api, { name: 'host-1', devices: [{}] });
    document = (await api.http.get('/v1/openapi.json').expect(200)).body as Document;
  });
  afterAll(() => api?.close());

  const resolved = (schema: Schema): Schema => {
    const named = schema.$ref?.split('/').at(-1);
    if (named !== undefined) return resolved(document.components.schemas[named] ?? {});
    const part = schema.allOf?.[0] ?? schema.oneOf?.[0];
    return part === undefined ? schema : resolved({ ...part });
  };

  /** Something of the form that a schema asks for. */
  function sample(given: Schema, depth = 0): unknown {
    const schema = resolved(given);
    if (schema.example !== undefined) return schema.example;
    if (schema.enum) return schema.enum[0];
    if (depth > DEPTH_MAX) return null;
    if (schema.type === 'integer' || schema.type === 'number') return schema.minimum ?? 1;
    if (schema.type === 'boolean') return true;
    if (schema.type === 'array') return [sample(schema.items ?? {}, depth + 1)];
    if (schema.type === 'string')
      return schema.format === 'uuid' ? AN_ID : schema.format === 'date-time' ? '2030-01-01T00:00:00Z' : 'text';
    const entries = Object.entries(schema.properties ?? {});
    return Object.fromEntries(entries.map(([name, one]) => [name, sample(one, depth + 1)]));
  }

  /** The paths to all texts below a schema. */
  function textsOf(given: Schema, path: readonly string[] = []): string[][] {
    const schema = resolved(given);
    if (path.length > DEPTH_MAX) return [];
    if (schema.type === 'string') return [[...path]];
    if (schema.type === 'array') return textsOf(schema.items ?? {}, [...path, '0']);
    const free = typeof schema.additionalProperties === 'object' ? [[...path, 'key']] : [];
    return [
      ...free,
      ...Object.entries(schema.properties ?? {}).flatMap(([name, one]) => textsOf(one, [...path, name])),
    ];
  }

  function slotsOf(path: string, operation: Operation): Slot[] {
    const parameters = operation.parameters ?? [];
    const withIds = (text: string | null, name: string): string =>
      path.replace(/\{([^}]+)\}/g, (_all, one: string) =>
        one === name && text !== null ? encodeURIComponent(wellFormed(text)) : AN_ID,
      );
    const inPath = [...path.matchAll(/\{([^}]+)\}/g)].map(([, name = '']): Slot => ({
      where: `path ${name}`,
      fill: (text) => ({ path: withIds(text, name) }),
    }));
    const inQuery = parameters
      .filter((one) => one.in === 'query')
      .map(({ name }): Slot => ({
        where: `query ${name}`,
        fill: (text) => ({ path: `${withIds(null, '')}?${name}=${encodeURIComponent(wellFormed(text))}` }),
      }));
    const schema = operation.requestBody?.content['application/json']?.schema;
    const inBody = (schema ? textsOf(schema) : []).map((place): Slot => ({
      where: `body ${place.join('.')}`,
      fill: (text) => ({ path: withIds(null, ''), body: withText(sample(schema as Schema), place, text) }),
    }));
    return [...inPath, ...inQuery, ...inBody];
  }

  /** Every text field, as `method`, place, and what fills it. */
  function allSlots(): (Slot & { readonly method: Method; readonly path: string })[] {
    return Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).flatMap(([method, operation]) =>
        slotsOf(path, operation).map((slot) => ({ ...slot, method: method as Method, path })),
      ),
    );
  }

  it('are refused or kept as they are, and break nothing', async () => {
    const tables = await countTables(api);
    const tried = { refused: 0, taken: 0 };
    const faults: string[] = [];
    const slots = allSlots();
    for (const { method, path, where, fill } of slots) {
      for (const text of HOSTILE) {
        const asked = fill(text);
        const request = api.http[method](asked.path);
        const answer = await (asked.body === undefined ? request : request.send(asked.body as object));
        tried[answer.status < 400 ? 'taken' : 'refused'] += 1;
        const fault = faultOf(answer, text);
        if (fault !== null) faults.push(`${method} ${path} (${where}) ${text.slice(0, 30)}: ${fault}`);
      }
    }
    console.log(`hostile texts in ${slots.length} fields: ${tried.refused} refused, ${tried.taken} taken as text`);
    expect(faults).toEqual([]);
    expect(await countTables(api)).toBe(tables);
    expect(slots.length).toBeGreaterThan(200);
  });
});

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** What an answer shows that the text got further than it may; null: nothing. */
function faultOf({ status, text, headers }: Answer, sent: string): string | null {
  if (status >= 500 && status !== 501) return `${status} ${text.slice(0, 200)}`;
  if (LEAKS.test(text.replaceAll(sent, ''))) return `says too much: ${text.slice(0, 200)}`;
  return headers['x-injected'] === undefined ? null : 'a header was injected';
}

/** encodeURIComponent has no form for half a surrogate pair. */
function wellFormed(text: string): string {
  return text.replace(/\p{Cs}/gu, '\ufffd');
}

function withText(body: unknown, [name, ...rest]: readonly string[], text: string): unknown {
  if (name === undefined) return text;
  if (Array.isArray(body)) return [withText(body[0], rest, text)];
  const object = (body ?? {}) as Readonly<Record<string, unknown>>;
  return { ...object, [name]: withText(object[name], rest, text) };
}

async function countTables(api: RestApi): Promise<number> {
  const [row] = await api.sql<{ count: string }>(
    `SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'`,
  );
  return Number(row?.count);
}
