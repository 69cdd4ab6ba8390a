import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { BODY_BYTES_MAX, PAGE_SIZE_MAX, type RestApi, startRestApi } from '../support/rest-api.js';

const SIZE = { vcpus: 2, ram_mb: 2048 };
const GPU = { vendor_id: '10de', product_id: '1bb0', device_type: 'type-PCI' };
const specs = (extra_specs: Record<string, unknown>) => ({ name: 'f', ...SIZE, extra_specs });
const nested = (depth: number): string => `{"name":${'['.repeat(depth)}${']'.repeat(depth)}}`;

interface Refusal {
  readonly what: string;
  readonly method?: 'get' | 'post' | 'put' | 'delete' | 'patch';
  readonly path: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly status: number;
  readonly code: string;
  /** Must be in the detail. */
  readonly says: string;
  /** Must be the field of the first error. */
  readonly field?: string;
}

const flavor = (what: string, extra: Record<string, unknown>, says: string, field?: string): Refusal => ({
  ...{ what: `flavor: ${what}`, path: '/v1/flavors', body: { name: 'f', ...SIZE, ...extra } },
  ...{ status: 400, code: 'request.invalid', says, ...(field === undefined ? {} : { field }) },
});

const extraSpec = (key: string, value: unknown, says: string, code = 'flavor.invalid'): Refusal => ({
  ...{ what: `extra spec ${key.slice(0, 40)} = ${JSON.stringify(value).slice(0, 40)}`, path: '/v1/flavors' },
  ...{ body: specs({ [key]: value }), status: 400, code, says },
});

const alias = (what: string, body: unknown, says: string, code = 'alias.invalid'): Refusal => ({
  ...{ what: `alias: ${what}`, path: '/v1/aliases', body, status: 400, code, says },
});

const server = (what: string, body: unknown, says: string, code = 'request.invalid', field?: string): Refusal => ({
  ...{ what: `server: ${what}`, path: '/v1/servers', body, status: 400, code, says },
  ...(field === undefined ? {} : { field }),
});

const query = (path: string, says: string, field: string, code = 'request.invalid'): Refusal => ({
  ...{ what: `query ${path}`, method: 'get', path, status: 400, code, says, field },
});

const body = (what: string, text: string, says: string, status = 400, code = 'request.invalid'): Refusal => ({
  ...{ what: `body: ${what}`, path: '/v1/flavors', body: text, status, code, says },
});

const ALIAS = 'pci_passthrough:alias';

const REFUSALS: readonly Refusal[] = [
  body('no JSON', '{"name": ', 'JSON'),
  body('empty', '', 'has to be a JSON object'),
  body('a list', '[]', 'has to be a JSON object'),
  body('null', 'null', 'has to be a JSON object'),
  body('a text', '"flavor"', 'has to be a JSON object'),
  body('__proto__', '{"__proto__": {"admin": true}, "name": "f"}', '__proto__: is a name that nothing may have'),
  body(
    'constructor.prototype',
    '{"constructor": {"prototype": {"admin": true}}}',
    'constructor: is a name that nothing may have',
  ),
  body('nested 30 deep', nested(30), 'nests deeper'),
  body('nested 20,000 deep', nested(20_000), 'nests deeper'),
  body('too large', `{"name": "${'x'.repeat(BODY_BYTES_MAX)}"}`, 'larger than the limit', 413, 'request.too_large'),
  {
    ...{ what: 'body: a form', path: '/v1/flavors', body: 'name=f', status: 415, code: 'request.invalid' },
    ...{ headers: { 'content-type': 'application/x-www-form-urlencoded' }, says: 'Media Type' },
  },
  { what: 'no such path', method: 'get', path: '/v1/nodes', status: 404, code: 'request.not_found', says: '/v1/nodes' },
  {
    what: 'no such path, no version',
    path: '/servers',
    body: {},
    status: 404,
    code: 'request.not_found',
    says: '/servers',
  },
  {
    what: 'a wrong method',
    method: 'patch',
    path: '/v1/aliases/gpu',
    body: {},
    status: 405,
    code: 'request.method_not_allowed',
    says: 'DELETE, GET, HEAD, PUT',
  },
  {
    what: 'a zero byte in a path',
    method: 'get',
    path: '/v1/hosts/%00',
    status: 404,
    code: 'request.not_found',
    says: 'nothing can have',
  },
  {
    what: 'a broken escape in a path',
    method: 'get',
    path: '/v1/hosts/%zz',
    status: 400,
    code: 'request.invalid',
    says: '%zz',
  },
  {
    what: 'an unknown host',
    method: 'get',
    path: '/v1/hosts/nowhere',
    status: 404,
    code: 'host.unknown',
    says: 'nowhere',
  },
  {
    what: 'an unknown alias',
    method: 'get',
    path: '/v1/aliases/gpuu',
    status: 404,
    code: 'alias.unknown',
    says: 'did you mean "gpu"?',
  },
  {
    what: 'an unknown flavor',
    method: 'delete',
    path: '/v1/flavors/x',
    status: 404,
    code: 'flavor.unknown',
    says: '"x"',
  },
  {
    what: 'an unknown alias, PUT',
    method: 'put',
    path: '/v1/aliases/x',
    body: GPU,
    status: 404,
    code: 'alias.unknown',
    says: '"x"',
  },
  {
    what: 'another name in the body',
    method: 'put',
    path: '/v1/aliases/gpu',
    body: { name: 'x', ...GPU },
    status: 400,
    code: 'request.invalid',
    says: 'keeps its name',
  },

  query('/v1/devices?vendorid=10de', 'did you mean "vendor_id"?', 'vendorid'),
  query('/v1/devices?colour=red', 'known are', 'colour'),
  query('/v1/devices?vendor_id=10d', 'four hex digits', 'vendor_id'),
  query('/v1/devices?numa_node=one', 'whole number', 'numa_node'),
  query('/v1/devices?offered=maybe', 'true or false', 'offered'),
  query('/v1/devices?device_type=PF', 'type-PF', 'device_type'),
  query('/v1/devices?status=free', 'available', 'status'),
  query('/v1/devices?server_id=1', 'UUID', 'server_id'),
  query('/v1/devices?alias=gpuu', 'did you mean "gpu"?', 'alias', 'alias.unknown'),
  query('/v1/devices?limit=0', 'from 1', 'limit'),
  query('/v1/devices?limit=1e1', 'whole number', 'limit'),
  query('/v1/devices?limit=1&limit=2', 'whole number', 'limit'),
  query(`/v1/devices?limit=${PAGE_SIZE_MAX + 1}`, `at most ${PAGE_SIZE_MAX}`, 'limit'),
  query('/v1/devices?marker=x', 'next', 'marker'),
  query('/v1/servers?marker=00000000-0000-4000-8000-000000000000', 'next', 'marker'),
  query('/v1/servers?host=a&host=b', 'more than once', 'host'),
  query('/v1/servers?host=%00', 'control character', 'host'),
  query('/v1/servers?status=active', 'ACTIVE', 'status'),
  query('/v1/hosts/a?verbose=1', 'no query parameters', 'verbose'),
  query('/v1/aliases?__proto__=1', 'nothing may have', '__proto__'),

  flavor('no name', { name: undefined }, 'name: has to be a text', 'name'),
  flavor('a blank name', { name: '  ' }, 'is blank', 'name'),
  flavor('a name of 256', { name: 'x'.repeat(256) }, '1 to 255', 'name'),
  flavor('a zero byte', { name: 'a\u0000b' }, 'control character', 'name'),
  flavor('half a surrogate pair', { name: 'a\ud800' }, 'control character', 'name'),
  flavor('a wrong id', { id: 'a/b' }, 'other characters', 'id'),
  flavor('negative vCPUs', { vcpus: -1 }, 'from 0', 'vcpus'),
  flavor('vCPUs as text', { vcpus: '4' }, 'whole number', 'vcpus'),
  flavor('half a vCPU', { vcpus: 0.5 }, 'whole number', 'vcpus'),
  flavor('huge memory', { ram_mb: 1e15 }, 'whole number', 'ram_mb'),
  flavor('no memory', { ram_mb: undefined }, 'is missing', 'ram_mb'),
  flavor('two memories', { ram: 1 }, 'leave one out', 'ram'),
  flavor('a mistyped field', { vcpu: 4 }, 'did you mean "vcpus"?', 'vcpu'),
  flavor('extra specs as a list', { extra_specs: [] }, 'object of texts', 'extra_specs'),
  extraSpec('a', 1, 'has to be a text'),
  extraSpec('a', 'x'.repeat(256), 'at most 255'),
  extraSpec('a/b', 'x', 'letters, digits'),
  extraSpec('k'.repeat(256), 'x', '1 to 255'),
  extraSpec('a', 'x\u0007', 'control character'),
  {
    ...extraSpec('a', 'b', ''),
    body: specs(Object.fromEntries(Array.from({ length: 129 }, (_, i) => [`k${i}`, 'v']))),
    says: 'at most 128',
  },
  extraSpec(ALIAS, '', 'empty'),
  extraSpec(ALIAS, 'gpu', 'name:count'),
  extraSpec(ALIAS, 'gpu:0', '1 or more'),
  extraSpec(ALIAS, 'gpu:-1', '1 or more'),
  extraSpec(ALIAS, 'gpu:x', 'whole number'),
  extraSpec(ALIAS, 'gpu:1,', 'comma'),
  extraSpec(ALIAS, 'gpu:200,gpu:200', 'at most 256'),
  extraSpec(ALIAS, 'GPU:1', 'did you mean "gpu"?', 'alias.unknown'),
  extraSpec('pci_passthrough:aliases', 'gpu:1', 'did you mean "pci_passthrough:alias"?'),
  extraSpec('hw:pci_numa_affinity_policy', 'requird', 'did you mean "required"?', 'numa_policy.invalid'),
  extraSpec('hw:numa_nodes', '0', 'from 1'),
  extraSpec('hw:numa_nodes', 'two', 'whole number'),
  extraSpec('hw:numa_nodes', '4', 'cannot be shared equally'),
  extraSpec('hw:numa_cpus.0', '0', 'means nothing without hw:numa_nodes'),
  {
    ...extraSpec('hw', '', ''),
    body: specs({ 'hw:numa_nodes': '2', 'hw:numa_cpus.0': '0', 'hw:numa_mem.0': '1024' }),
    says: 'hw:numa_cpus.1: is missing',
  },
  {
    ...extraSpec('hw', '', ''),
    body: specs({ 'hw:numa_nodes': '1', 'hw:numa_cpus.0': '0-2', 'hw:numa_mem.0': '2048' }),
    says: 'vCPUs 0 to 1',
  },
  {
    ...extraSpec('hw', '', ''),
    body: specs({ 'hw:numa_nodes': '1', 'hw:numa_cpus.0': '0,1', 'hw:numa_mem.0': '1' }),
    says: '1 MB together',
  },

  alias('no name', GPU, 'name', 'request.invalid'),
  alias('a name with a comma', { name: 'a,b', ...GPU }, 'rename it'),
  alias('a short id', { name: 'a', ...GPU, vendor_id: '10d' }, '4 hex digits'),
  alias('an id as a number', { name: 'a', ...GPU, product_id: 1 }, 'in quotes'),
  alias('no device type', { name: 'a', vendor_id: '10de', product_id: '1bb0' }, 'device_type'),
  alias('a wrong device type', { name: 'a', ...GPU, device_type: 'PF' }, 'did you mean "type-PF"?'),
  alias('anything goes', { name: 'a', device_type: 'type-PCI' }, 'would take any device'),
  alias('a wrong policy', { name: 'a', ...GPU, numa_policy: 'strict' }, 'required, preferred', 'request.invalid'),
  alias('both forms', { name: 'a', ...GPU, specs: [GPU] }, 'next to `specs`', 'request.invalid'),
  alias('no specs', { name: 'a', specs: [] }, 'needs 1 at least', 'request.invalid'),
  alias('specs that are no objects', { name: 'a', specs: ['gpu'] }, 'object', 'request.invalid'),
  alias(
    'a mistyped field in a spec',
    { name: 'a', specs: [{ ...GPU, vendorid: '10de' }] },
    'did you mean "vendor_id"?',
    'request.invalid',
  ),
  alias('specs that disagree', { name: 'a', specs: [GPU, { ...GPU, device_type: 'type-VF' }] }, 'make them agree'),

  server('no name', { devices: 'gpu:1' }, 'name', 'request.invalid', 'name'),
  server('nothing asked for', { name: 's' }, 'Name a flavor', 'server.invalid'),
  server('an unknown flavor', { name: 's', flavor: 'm1.gpi' }, 'did you mean "m1.gpu"?', 'flavor.unknown', 'flavor'),
  server('an unknown alias', { name: 's', devices: 'gpuu:1' }, 'did you mean "gpu"?', 'alias.unknown', 'devices'),
  server('an empty wish', { name: 's', devices: '' }, 'empty', 'request.invalid', 'devices'),
  server('a wrong count', { name: 's', devices: 'gpu:0' }, '1 or more', 'request.invalid', 'devices'),
  server(
    'a wrong count in a list',
    { name: 's', devices: [{ alias: 'gpu', count: 0 }] },
    'from 1',
    'request.invalid',
    'devices[0].count',
  ),
  server('a number of devices', { name: 's', devices: 2 }, 'has to be a list', 'request.invalid', 'devices'),
  server('too many devices', { name: 's', devices: 'gpu:200,gpu:100' }, 'at most 256', 'server.invalid'),
  server(
    'size and flavor',
    { name: 's', flavor: 'm1.gpu', vcpus: 2 },
    'comes from the flavor',
    'request.invalid',
    'vcpus',
  ),
  server(
    'contradicting policies',
    { name: 's', flavor: 'm1.gpu', image_properties: { hw_pci_numa_affinity_policy: 'socket' } },
    'make them agree',
    'numa_policy.conflict',
  ),
  server(
    'an unknown image property',
    { name: 's', flavor: 'm1.gpu', image_properties: { hw_pci_numa_afinity_policy: 'socket' } },
    'did you mean "hw_pci_numa_affinity_policy"?',
    'request.invalid',
    'image_properties.hw_pci_numa_afinity_policy',
  ),
  {
    ...server(
      'a key with a blank',
      { name: 's', devices: 'gpu:1' },
      'visible ASCII',
      'request.invalid',
      'Idempotency-Key',
    ),
    headers: { 'idempotency-key': 'a b' },
  },
  {
    ...server('a key of 256', { name: 's', devices: 'gpu:1' }, '1 to 255', 'request.invalid'),
    headers: { 'idempotency-key': 'k'.repeat(256) },
  },
  {
    ...server('dry run: an unknown alias', { devices: 'nic:1' }, 'nic', 'alias.unknown', 'devices'),
    path: '/v1/placements/dry-run',
  },
];

describe('requests that are refused', () => {
  let api: RestApi;
  beforeAll(async () => {
    api = await startRestApi(inject('databaseUrl'));
    await api.http
      .post('/v1/aliases')
      .send({ name: 'gpu', ...GPU })
      .expect(201);
    const extra_specs = { [ALIAS]: 'gpu:1', 'hw:pci_numa_affinity_policy': 'required' };
    await api.http
      .post('/v1/flavors')
      .send({ name: 'm1.gpu', ...SIZE, extra_specs })
      .expect(201);
  });
  afterAll(() => api?.close());

  it.each(REFUSALS)('$what → $status $code', async (refusal) => {
    const send = api.http[refusal.method ?? 'post'](refusal.path);
    if (refusal.body !== undefined) send.set('content-type', 'application/json');
    for (const [name, value] of Object.entries(refusal.headers ?? {})) send.set(name, value);
    const answer = await send.send(refusal.body as object | string | undefined);
    expect(answer.body).toMatchObject({ status: refusal.status, code: refusal.code });
    expect(answer.status).toBe(refusal.status);
    expect(answer.headers['content-type']).toContain('application/problem+json');
    expect(answer.body.detail).toContain(refusal.says);
    expect(answer.body.type).toBe(`urn:berth:problem:${refusal.code}`);
    if (refusal.field !== undefined) expect(answer.body.errors[0].field).toBe(refusal.field);
  });

  it('leaves nothing behind', async () => {
    for (const table of ['servers', 'outbox', 'idempotency_keys']) {
      expect(await api.sql(`SELECT 1 FROM ${table}`), table).toEqual([]);
    }
    expect(await api.sql('SELECT 1 FROM flavors')).toHaveLength(1);
    expect(await api.sql('SELECT 1 FROM aliases')).toHaveLength(1);
  });

  it('names the allowed methods', async () => {
    const answer = await api.http.delete('/v1/servers').expect(405);
    expect(answer.headers['allow']).toBe('GET, HEAD, POST');
  });
});

describe('the REST face without its database', () => {
  let api: RestApi;
  beforeAll(async () => {
    api = await startRestApi(inject('databaseUrl'));
  });
  afterAll(() => api?.close());

  it('is alive and ready while it is there', async () => {
    expect((await api.http.get('/healthz').expect(200)).body).toEqual({ status: 'alive', role: 'api' });
    expect((await api.http.get('/readyz').expect(200)).body).toEqual({
      status: 'ready',
      role: 'api',
      checks: { database: { ok: true }, migrations: { ok: true } },
    });
  });

  it('says so when the schema is not there', async () => {
    await api.sql('ALTER TABLE migrations RENAME TO elsewhere');
    await api.sql('ALTER TABLE hosts RENAME TO elsewhere_too');
    const ready = await api.http.get('/readyz').expect(503);
    expect(ready.body.checks.migrations).toMatchObject({
      ok: false,
      message: expect.stringContaining('berth migrate'),
    });
    expect((await api.http.get('/v1/hosts').expect(503)).body.code).toBe('database.not_migrated');
    await api.sql('ALTER TABLE elsewhere RENAME TO migrations');
    await api.sql('ALTER TABLE elsewhere_too RENAME TO hosts');
    await api.http.get('/v1/hosts').expect(200);
  });

  it('answers 503 with Retry-After while it is gone, and works again afterwards', async () => {
    const name = new URL(api.databaseUrl).pathname.slice(1);
    const admin = new pg.Client({ connectionString: inject('databaseUrl') });
    await admin.connect();
    await admin.query(`ALTER DATABASE ${name} ALLOW_CONNECTIONS false`);
    await admin.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1`, [name]);
    for (const answer of [
      await api.http.get('/v1/hosts'),
      await api.http.post('/v1/servers').send({ name: 's', devices: 'gpu:1' }),
    ]) {
      expect(answer.body).toMatchObject({ status: 503, code: 'database.unavailable' });
      expect(answer.headers['retry-after']).toBe('5');
    }
    await api.http.get('/healthz').expect(200);
    expect((await api.http.get('/readyz').expect(503)).body).toMatchObject({
      status: 'not_ready',
      checks: { database: { ok: false } },
    });
    await admin.query(`ALTER DATABASE ${name} ALLOW_CONNECTIONS true`);
    await admin.end();
    await api.http.get('/v1/hosts').expect(200);
    await api.http.get('/readyz').expect(200);
  });

  it('serves its own description', async () => {
    const { body } = await api.http.get('/v1/openapi.json').expect(200);
    expect(Object.keys(body.paths)).toContain('/v1/placements/dry-run');
  });
});
