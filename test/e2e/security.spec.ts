import { request as httpRequest } from 'node:http';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import bcrypt from 'bcryptjs';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { decodeEnvelope, envelope } from '../../src/messages/envelope.js';
import { ledgerDataSource } from '../../src/store/database.js';
import { absorbReport } from '../../src/store/inventory.store.js';
import { aReport } from '../support/reports.js';
import { BODY_BYTES_MAX, insertHost, type RestApi, startRestApi } from '../support/rest-api.js';

/** User: project and role. Dave is the one who tries. */
const USERS = {
  root: ['operations', 'admin'],
  bob: ['red', 'member'],
  dave: ['blue', 'member'],
  rita: ['blue', 'reader'],
} as const;
type User = keyof typeof USERS;
const PASSWORD = 'a password';
const AN_ID = '00000000-0000-4000-8000-000000000000';

/** What bob has, and dave is after. */
interface Treasure {
  readonly server: string;
  readonly group: string;
  readonly placement: string;
  readonly token: string;
}

interface Attempt {
  readonly what: string;
  /** null: nobody. */
  readonly as?: User | null;
  readonly method?: string;
  readonly path: string | ((treasure: Treasure) => string);
  readonly headers?: Readonly<Record<string, string>> | ((treasure: Treasure) => Readonly<Record<string, string>>);
  readonly body?: unknown;
  /** Any of these. */
  readonly status: number | readonly number[];
}

const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`;
const get = (what: string, path: Attempt['path'], status: Attempt['status'] = 404): Attempt => ({ what, path, status });
const send = (
  what: string,
  method: string,
  path: Attempt['path'],
  body: unknown,
  status: Attempt['status'],
): Attempt => ({
  ...{ what, method, path, status },
  ...(body === undefined ? {} : { body }),
});

const OTHERS: readonly Attempt[] = [
  get("another project's server", ({ server }) => `/v1/servers/${server}`),
  send("deleting another project's server", 'DELETE', ({ server }) => `/v1/servers/${server}`, undefined, 404),
  get("decisions on another project's server", ({ server }) => `/v1/servers/${server}/decisions`),
  get("explanation of another project's server", ({ server }) => `/v1/servers/${server}/explanation`),
  send(
    "devices for another project's server",
    'POST',
    ({ server }) => `/v1/servers/${server}/devices`,
    { devices: 'gpu:1' },
    404,
  ),
  get("another project's server group", ({ group }) => `/v1/server-groups/${group}`),
  send(
    "deleting another project's server group",
    'DELETE',
    ({ group }) => `/v1/server-groups/${group}`,
    undefined,
    404,
  ),
  get("another project's placement", ({ placement }) => `/v1/placements/${placement}`),
  get("decision on another project's placement", ({ placement }) => `/v1/placements/${placement}/decision`),
  send(
    "deleting another project's placement",
    'DELETE',
    ({ placement }) => `/v1/placements/${placement}`,
    undefined,
    404,
  ),
  get("a list of another project's servers", '/v1/servers?project_id=red', 403),
  get("a list of another project's placements", '/v1/placements?project_id=red', 403),
  get("another project's quotas", '/v1/quotas?project_id=red', 403),
  get("another project's server as the marker of a page", ({ server }) => `/v1/servers?marker=${server}`, 400),
  get("another project in identity's projects", '/identity/v3/projects/red'),
];

const ROLES: readonly Attempt[] = [
  send('a member makes an alias', 'POST', '/v1/aliases', { name: 'a', specs: [{ vendor_id: '10de' }] }, 403),
  send('a member makes a flavor', 'POST', '/v1/flavors', { name: 'f', vcpus: 1, ram_mb: 1 }, 403),
  get('a member lists hosts', '/v1/hosts', 403),
  get('a member lists devices', '/v1/devices', 403),
  get('a member reads the audit', '/v1/audit', 403),
  send('a member disables a host', 'PATCH', '/v1/hosts/host-of-secrets', { disabled: true }, 403),
  send('a member empties a host', 'POST', '/v1/hosts/host-of-secrets/evacuate', {}, 403),
  send('a member raises his quota', 'PUT', '/v1/quotas/blue', { limits: { instances: 1000 } }, 403),
  get(
    'a member asks for a view of administrators',
    ({ server }) => `/v1/servers/${server}/decisions?view=admin`,
    [403, 404],
  ),
  get('a member asks for servers of a host', '/v1/servers?host=host-of-secrets', 403),
  { ...send('a reader makes a server', 'POST', '/v1/servers', { name: 'x', vcpus: 1 }, 403), as: 'rita' },
  {
    ...send('a reader makes a placement', 'POST', '/v1/placements', { placements: [{ key: 'k', vcpus: 1 }] }, 403),
    as: 'rita',
  },
  {
    ...send('a reader makes a group', 'POST', '/v1/server-groups', { name: 'g', policy: 'affinity' }, 403),
    as: 'rita',
  },
  send("a member's server for another project", 'POST', '/v1/servers', { name: 'x', vcpus: 1, project_id: 'red' }, 400),
];

const CREDENTIALS: readonly Attempt[] = [
  { what: 'nobody', as: null, path: '/v1/servers', status: 401 },
  {
    what: 'a wrong password',
    as: null,
    path: '/v1/servers',
    headers: { authorization: basic('bob:wrong') },
    status: 401,
  },
  { what: 'no password', as: null, path: '/v1/servers', headers: { authorization: basic('bob:') }, status: 401 },
  { what: 'a user and no colon', as: null, path: '/v1/servers', headers: { authorization: basic('bob') }, status: 401 },
  {
    what: 'a password of 73 bytes that begins right',
    as: null,
    path: '/v1/servers',
    headers: { authorization: basic(`bob:${PASSWORD}\0${'x'.repeat(63)}`) },
    status: 401,
  },
  {
    what: 'a user of the prototype',
    as: null,
    path: '/v1/servers',
    headers: { authorization: basic(`__proto__:${PASSWORD}`) },
    status: 401,
  },
  {
    what: 'a user named constructor',
    as: null,
    path: '/v1/servers',
    headers: { authorization: basic(`constructor:${PASSWORD}`) },
    status: 401,
  },
  {
    what: 'credentials that are no base64',
    as: null,
    path: '/v1/servers',
    headers: { authorization: 'Basic \u00ff\u00fe%%' },
    status: 401,
  },
  {
    what: 'another scheme',
    as: null,
    path: '/v1/servers',
    headers: { authorization: `Bearer ${basic(`root:${PASSWORD}`)}` },
    status: 401,
  },
  {
    what: 'a token that was made up',
    as: null,
    path: '/v1/servers',
    headers: { 'x-auth-token': 'gAAAAAB'.repeat(20) },
    status: 401,
  },
  {
    what: 'the token of the stub of clients',
    as: null,
    path: '/v1/servers',
    headers: { 'x-auth-token': 'notused' },
    status: 401,
  },
  {
    what: 'the hash of a token instead of the token',
    as: null,
    path: '/v1/servers',
    headers: { 'x-auth-token': 'a'.repeat(64) },
    status: 401,
  },
  {
    what: "another's token, asked about",
    path: '/identity/v3/auth/tokens',
    headers: ({ token }) => ({ 'x-subject-token': token }),
    status: 404,
  },
  {
    what: "another's token, revoked",
    method: 'DELETE',
    path: '/identity/v3/auth/tokens',
    headers: ({ token }) => ({ 'x-subject-token': token }),
    status: 404,
  },
  {
    what: 'headers that a proxy of Keystone sets',
    as: null,
    path: '/v1/servers',
    headers: {
      'x-identity-status': 'Confirmed',
      'x-roles': 'admin',
      'x-user-id': 'root',
      'x-project-id': 'operations',
    },
    status: 401,
  },
  {
    what: 'the same beside a real user',
    path: '/v1/hosts',
    headers: { 'x-identity-status': 'Confirmed', 'x-roles': 'admin', 'x-is-admin-project': 'True' },
    status: 403,
  },
  {
    what: 'headers of a proxy that says who asks',
    as: null,
    path: '/v1/servers',
    headers: { 'x-forwarded-user': 'root', 'x-remote-user': 'root', 'x-forwarded-for': '127.0.0.1' },
    status: 401,
  },
  {
    ...send(
      'scope of another project',
      'POST',
      '/identity/v3/auth/tokens',
      {
        auth: {
          identity: { methods: ['password'], password: { user: { name: 'dave', password: PASSWORD } } },
          scope: { project: { name: 'red' } },
        },
      },
      401,
    ),
    as: null,
  },
  {
    ...send(
      'a method of identity without a password',
      'POST',
      '/identity/v3/auth/tokens',
      { auth: { identity: { methods: ['external'] } } },
      400,
    ),
    as: null,
  },
];

const TRICKS: readonly Attempt[] = [
  { ...get('a path for everybody and two dots', '/healthz/../v1/servers', [400, 401, 404]), as: null },
  { ...get('the same, encoded', '/healthz/%2e%2e/v1/servers', [400, 401, 404]), as: null },
  { ...get('two slashes before the path', '//v1/servers', [400, 401, 404]), as: null },
  { ...get('capital letters', '/V1/SERVERS', [401, 404]), as: null },
  { ...get('a parameter of the path', '/v1/servers;jsessionid=1', [401, 404]), as: null },
  { ...get('a null byte', '/v1/servers%00', [400, 401, 404]), as: null },
  { ...get('a path that everybody may ask as a query', '/v1/servers?/healthz', 401), as: null },
  { ...get('an encoded slash', '/v1%2fservers', [400, 401, 404]), as: null },
  { ...get('a broken percent-encoding', '/v1/servers/%zz', [400, 401, 404]), as: null },
  { ...get('an absolute URL of another host', 'http://elsewhere.example/v1/servers', [400, 401, 404]), as: null },
  {
    what: 'another method by a header',
    path: ({ server }) => `/v1/servers/${server}`,
    headers: { 'x-http-method-override': 'DELETE' },
    status: 404,
  },
  {
    what: 'another path by a header',
    path: '/v1/hosts',
    headers: { 'x-original-url': '/healthz', 'x-rewrite-url': '/healthz' },
    status: 403,
  },
  { what: 'TRACE', method: 'TRACE', path: '/v1/servers', status: [400, 401, 404, 405, 501] },
  get('an id that is none', `/v1/servers/${AN_ID}'--`, [400, 404]),
  get('two values of a parameter', '/v1/servers?name=a&name=b', 400),
  get('an object as a parameter', '/v1/servers?name[$ne]=x', 400),
  get('a prototype as a parameter', '/v1/servers?__proto__=x', 400),
  get('a path longer than any', `/v1/servers/${'x'.repeat(10_000)}`, [400, 404, 414, 431]),
];

const BODIES: readonly Attempt[] = [
  send('a body above the limit', 'POST', '/v1/servers', `{"name":"${'x'.repeat(BODY_BYTES_MAX)}"}`, 413),
  {
    ...send(
      'a body above the limit from nobody',
      'POST',
      '/identity/v3/auth/tokens',
      `{"auth":"${'x'.repeat(BODY_BYTES_MAX)}"}`,
      413,
    ),
    as: null,
  },
  send('a body nested 10,000 deep', 'POST', '/v1/servers', `{"name":${'['.repeat(10_000)}${']'.repeat(10_000)}}`, 400),
  send('__proto__ in a body', 'POST', '/v1/servers', '{"name":"x","__proto__":{"role":"admin"}}', 400),
  send(
    'constructor in a body',
    'POST',
    '/v1/servers',
    '{"name":"x","constructor":{"prototype":{"role":"admin"}}}',
    400,
  ),
  send('a body that is no JSON', 'POST', '/v1/servers', '{name:x}', 400),
  send('1,000,000 servers in one call', 'POST', '/v1/servers', { name: 'x', vcpus: 1, min_count: 1_000_000 }, 400),
  send('a number beyond all', 'POST', '/v1/servers', '{"name":"x","vcpus":1e400}', 400),
  {
    ...send('XML', 'POST', '/v1/servers', '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', 415),
    headers: { 'content-type': 'application/xml' },
  },
  {
    ...send('a form', 'POST', '/v1/servers', 'name=x', 415),
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  },
  {
    ...send('a compressed body', 'POST', '/v1/servers', '\x1f\x8b\b\0\0', 400),
    headers: { 'content-encoding': 'gzip' },
  },
];

const FACES: readonly Attempt[] = [
  get("another project's server of the compute face", ({ server }) => `/compute/v2.1/servers/${server}`),
  get('the same by an old path', ({ server }) => `/v2.1/servers/${server}`),
  get("another project's path", '/v2.1/red/servers', 400),
  send('deleting it', 'DELETE', ({ server }) => `/compute/v2.1/servers/${server}`, undefined, 404),
  send('renaming it', 'PUT', ({ server }) => `/compute/v2.1/servers/${server}`, { server: { name: 'mine' } }, 404),
  send('stopping it', 'POST', ({ server }) => `/compute/v2.1/servers/${server}/action`, { 'os-stop': null }, 404),
  send('locking it', 'POST', ({ server }) => `/compute/v2.1/servers/${server}/action`, { lock: null }, 404),
  send(
    'resizing it',
    'POST',
    ({ server }) => `/compute/v2.1/servers/${server}/action`,
    { resize: { flavorRef: '1' } },
    404,
  ),
  send(
    'its metadata',
    'POST',
    ({ server }) => `/compute/v2.1/servers/${server}/metadata`,
    { metadata: { a: 'b' } },
    404,
  ),
  get('what was done with it', ({ server }) => `/compute/v2.1/servers/${server}/os-instance-actions`),
  get('servers of all projects', '/compute/v2.1/servers/detail?all_tenants=1', 403),
  get("another project's server as a marker", ({ server }) => `/compute/v2.1/servers?marker=${server}`, 400),
  get("another project's server group", ({ group }) => `/compute/v2.1/os-server-groups/${group}`),
  send(
    'a server in the group of another project',
    'POST',
    '/compute/v2.1/servers',
    { server: { name: 'x', flavorRef: '1', imageRef: '' }, 'os:scheduler_hints': { group: AN_ID } },
    400,
  ),
  get("another project's usage", '/compute/v2.1/os-simple-tenant-usage/red', 403),
  get("another project's quota set", '/compute/v2.1/os-quota-sets/red', 403),
  send('a quota set of his own', 'PUT', '/compute/v2.1/os-quota-sets/blue', { quota_set: { cores: 1000 } }, 403),
  {
    ...get("another user's keypairs", '/compute/v2.1/os-keypairs?user_id=bob', 403),
    headers: { 'openstack-api-version': 'compute 2.10' },
  },
  get('hypervisors', '/compute/v2.1/os-hypervisors', 403),
  get('services', '/compute/v2.1/os-services', 403),
  get('aggregates', '/compute/v2.1/os-aggregates', 403),
  get('zones with their hosts', '/compute/v2.1/os-availability-zone/detail', 403),
  get('migrations', '/compute/v2.1/os-migrations', 403),
  send('a flavor', 'POST', '/compute/v2.1/flavors', { flavor: { name: 'f', vcpus: 1, ram: 1, disk: 1 } }, 403),
  send(
    'access to a flavor',
    'POST',
    `/compute/v2.1/flavors/${AN_ID}/action`,
    { addTenantAccess: { tenant: 'blue' } },
    403,
  ),
  send(
    'a host for his server',
    'POST',
    '/compute/v2.1/servers',
    { server: { name: 'x', flavorRef: '1', imageRef: '', availability_zone: 'nova:host-of-secrets' } },
    [400, 403],
  ),
  {
    ...get('a version that is none', '/compute/v2.1/servers', 400),
    headers: { 'openstack-api-version': 'compute ../2' },
  },
  {
    ...get('a version of the future', '/compute/v2.1/servers', 406),
    headers: { 'openstack-api-version': 'compute 2.999' },
  },
  get('a pattern made to take for ever', `/compute/v2.1/servers?name=${'(a+)+'.repeat(20)}b(?=c)`, 400),
  { ...get('compute without saying who', '/compute/v2.1/flavors', 401), as: null },
  get('resource providers', '/placement/resource_providers', 403),
  get('candidates', '/placement/allocation_candidates?resources=VCPU:1', 403),
  {
    ...get("another project's usages", '/placement/usages?project_id=red', 403),
    headers: { 'openstack-api-version': 'placement 1.9' },
  },
  get("allocations of another project's server", ({ server }) => `/placement/allocations/${server}`, 403),
  send('taking them away', 'DELETE', ({ server }) => `/placement/allocations/${server}`, undefined, 403),
  send('a trait', 'PUT', '/placement/traits/CUSTOM_X', undefined, 403),
  { ...get('placement without saying who', '/placement/traits', 401), as: null },
  send('an image', 'POST', '/image/v2/images', { name: 'x', visibility: 'public' }, 403),
  send('an image deleted', 'DELETE', `/image/v2/images/${AN_ID}`, undefined, [403, 404]),
  { ...get('images without saying who', '/image/v2/images', 401), as: null },
];

const MESSAGE_BYTES_MAX = 100_000;
const MESSAGE = envelope(
  'agent.report',
  aReport({ host: 'honest', devices: [{ address: '0000:81:00.0', ids: '10de:1bb0' }] }),
);

const GROUPS = {
  'what belongs to another project': OTHERS,
  'more than the role allows': ROLES,
  'being somebody else': CREDENTIALS,
  'tricks with paths and headers': TRICKS,
  'hostile bodies': BODIES,
  'by the faces of OpenStack': FACES,
} as const;

describe('attempts to get what one may not have', () => {
  const folder = mkdtempSync(join(tmpdir(), 'berth-security-'));
  const tried: string[] = [];
  let api: RestApi;
  let port: number;
  let treasure: Treasure;
  beforeAll(async () => {
    const usersFile = join(folder, 'users');
    const hash = await bcrypt.hash(PASSWORD, 4);
    writeFileSync(
      usersFile,
      Object.keys(USERS)
        .map((user) => `${user}:${hash}\n`)
        .join(''),
    );
    const of = (at: 0 | 1) => Object.fromEntries(Object.entries(USERS).map(([user, given]) => [user, given[at]]));
    api = await startRestApi(inject('databaseUrl'), {
      ...{ strategy: 'http_basic', usersFile, projects: of(0) },
      roles: of(1) as Record<User, 'reader' | 'member' | 'admin'>,
    });
    port = Number(new URL(api.http.get('/').url).port);
    await insertHost(api, { name: 'host-of-secrets', devices: [{}] });
    treasure = await hidden(api);
  });
  afterAll(async () => {
    console.log(`${tried.length} attempts, all refused:\n${tried.join('\n')}`);
    await api?.close();
    rmSync(folder, { recursive: true });
  });

  describe.each(Object.entries(GROUPS))('%s', (group, attempts) => {
    it.each(attempts.map((attempt) => [attempt.what, attempt] as const))('%s', async (what, attempt) => {
      const { status, text } = await asked(port, attempt, treasure);
      expect([attempt.status].flat(), text.slice(0, 300)).toContain(status);
      expect(text, 'a name of another project').not.toMatch(/host-of-secrets|red server|red group/);
      tried.push(`  ${group}: ${what}: ${status}`);
    });
  });

  it.each([
    [
      'two lengths of a body',
      'POST /v1/servers HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 40\r\n\r\n{}\r\n',
      /^HTTP\/1\.1 400/,
    ],
    [
      'a length and chunks',
      'POST /v1/servers HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /v1/hosts HTTP/1.1\r\n\r\n',
      /^HTTP\/1\.1 400/,
    ],
    [
      'headers of 100 kB',
      `GET /healthz HTTP/1.1\r\nHost: a\r\nX-Long: ${'x'.repeat(100_000)}\r\n\r\n`,
      /^HTTP\/1\.1 431/,
    ],
    ['a line feed in a header', `GET /v1/servers HTTP/1.1\r\nHost: a\nX-Roles: admin\r\n\r\n`, /^HTTP\/1\.1 40[01]/],
    ['no HTTP at all', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n', /^HTTP\/1\.1 400/],
  ])('on the wire: %s', async (what, bytes, expected) => {
    const answer = await onTheWire(port, bytes);
    expect(answer).toMatch(expected);
    expect(answer.match(/HTTP\/1\.1 /g), 'one answer, so nothing was smuggled').toHaveLength(1);
    tried.push(`  on the wire: ${what}: ${answer.slice(9, 12)}`);
  });

  it.each([
    ['no JSON', '{'],
    ['no object', '[]'],
    ['no id', JSON.stringify({ ...MESSAGE, id: '1' })],
    ['a type that there is not', JSON.stringify({ ...MESSAGE, type: 'constructor' })],
    ['a time that is none', JSON.stringify({ ...MESSAGE, sent_at: 'now' })],
    [
      'a host of 10,000 characters',
      JSON.stringify({ ...MESSAGE, body: { ...MESSAGE.body, host: 'x'.repeat(10_000) } }),
    ],
    ['fields that nobody knows', JSON.stringify({ ...MESSAGE, body: { ...MESSAGE.body, role: 'admin' } })],
    ['an address that leads elsewhere', JSON.stringify(MESSAGE).replaceAll('0000:81:00.0', '../../etc/passwd')],
    ['halves of UTF-8', Buffer.from([0x7b, 0x22, 0xc3, 0x28])],
    ['more bytes than a message has', ' '.repeat(MESSAGE_BYTES_MAX + 1)],
  ])('a forged message: %s', (what, bytes) => {
    const code = /^message\.(?:invalid|too_large)$/;
    expect(() => decodeEnvelope(Buffer.from(bytes as string), MESSAGE_BYTES_MAX)).toThrow(
      expect.objectContaining({ code: expect.stringMatching(code) as string }),
    );
    tried.push(`  forged messages: ${what}: refused`);
  });

  it('a report that was heard before, or is of a former life of its agent, changes nothing', async () => {
    const source = await ledgerDataSource(api.databaseUrl, 1).initialize();
    const devices = [{ address: '0000:81:00.0', ids: '10de:1bb0' }];
    const said = (epoch: number, sequence: number, shown = devices) =>
      source.transaction((tx) => absorbReport(tx, aReport({ host: 'honest', epoch, sequence, devices: shown })));
    await said(7, 5);
    const kept = async () => api.sql(`SELECT status, report_sequence FROM hosts WHERE name = 'honest'`);
    const before = await kept();
    expect(await said(7, 4, [])).toEqual({ outcome: 'ignored', why: 'stale_sequence' });
    expect(await said(6, 9, [])).toEqual({ outcome: 'ignored', why: 'stale_epoch' });
    expect(await kept()).toEqual(before);
    expect(
      await api.sql(`SELECT 1 FROM devices d JOIN hosts h ON h.id = d.host_id WHERE h.name = 'honest'`),
    ).toHaveLength(1);
    await source.destroy();
    tried.push('  replayed reports: of an earlier time: ignored', '  replayed reports: of a former life: ignored');
  });

  it('nothing of what bob has was changed', async () => {
    expect(await api.sql(`SELECT status FROM servers WHERE name = 'red server'`)).toEqual([{ status: 'BUILD' }]);
    expect(await api.sql(`SELECT count(*)::int FROM servers WHERE project_id = 'blue'`)).toEqual([{ count: 0 }]);
    await api.http.get('/v1/servers').set('x-auth-token', treasure.token).expect(200);
    expect(tried.length).toBeGreaterThanOrEqual(60);
  });
});

async function hidden(api: RestApi): Promise<Treasure> {
  const bob = (method: 'post', path: string, body: object) => api.http[method](path).auth('bob', PASSWORD).send(body);
  const { body: server } = await bob('post', '/v1/servers', { name: 'red server', vcpus: 1 }).expect(202);
  const { body: group } = await bob('post', '/v1/server-groups', { name: 'red group', policy: 'affinity' }).expect(201);
  const { body: placed } = await bob('post', '/v1/placements', { placements: [{ key: 'k', vcpus: 1 }] }).expect(200);
  const user = { name: 'bob', password: PASSWORD };
  const { headers } = await bob('post', '/identity/v3/auth/tokens', {
    auth: { identity: { methods: ['password'], password: { user } } },
  }).expect(201);
  return {
    server: server.id as string,
    group: group.id as string,
    placement: placed.placements[0].id as string,
    token: headers['x-subject-token'] as string,
  };
}

/** By Node's own client: others tidy a path up before they send it. */
function asked(port: number, attempt: Attempt, treasure: Treasure): Promise<{ status: number; text: string }> {
  const { as = 'dave', method = 'GET', path, headers = {}, body } = attempt;
  const given = typeof headers === 'function' ? headers(treasure) : headers;
  const payload = body === undefined ? null : typeof body === 'string' ? body : JSON.stringify(body);
  const length = payload === null ? {} : { 'content-length': String(Buffer.byteLength(payload)) };
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      {
        ...{ host: '127.0.0.1', port, method, path: typeof path === 'function' ? path(treasure) : path },
        headers: {
          ...(as === null ? {} : { authorization: basic(`${as}:${PASSWORD}`) }),
          ...(payload === null ? {} : { 'content-type': 'application/json' }),
          ...length,
          ...given,
        },
      },
      (answer) => {
        let text = '';
        answer.setEncoding('utf8').on('data', (part: string) => (text += part));
        answer.once('end', () => resolve({ status: answer.statusCode ?? 0, text }));
      },
    );
    request.once('error', reject).end(payload ?? undefined);
  });
}

function onTheWire(port: number, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes, 'latin1'));
    socket.setTimeout(2_000, () => socket.destroy());
    socket.on('data', (part) => (answer += part.toString('latin1'))).once('close', () => resolve(answer));
    socket.once('error', (error) => (answer === '' ? reject(error) : undefined));
  });
}
