import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import bcrypt from 'bcryptjs';
import type { Test } from 'supertest';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { insertHost, type RestApi, startRestApi } from '../support/rest-api.js';

/** User: project and role. */
const USERS = {
  root: ['operations', 'admin'],
  bob: ['red', 'member'],
  rita: ['red', 'reader'],
  dave: ['blue', 'member'],
} as const;
type User = keyof typeof USERS;

/** What whoever is no administrator may ask, and with which role. */
const OPEN_TO: Readonly<Record<string, 'reader' | 'member'>> = {
  'get /compute/v2.1/os-availability-zone': 'reader',
  'get /compute/v2.1/os-server-groups': 'reader',
  'post /compute/v2.1/os-server-groups': 'member',
  'get /compute/v2.1/os-server-groups/{id}': 'reader',
  'delete /compute/v2.1/os-server-groups/{id}': 'member',
  'get /compute/v2.1/servers/{id}/os-instance-actions': 'reader',
  'get /compute/v2.1/servers/{id}/os-instance-actions/{request_id}': 'reader',
  'post /compute/v2.1/servers/{id}/action': 'member',
  'get /compute/v2.1/images': 'reader',
  'get /compute/v2.1/images/detail': 'reader',
  'get /compute/v2.1/images/{id}': 'reader',
  'get /compute/v2.1/flavors': 'reader',
  'get /compute/v2.1/flavors/detail': 'reader',
  'get /compute/v2.1/flavors/{id}': 'reader',
  'get /compute/v2.1/flavors/{id}/os-extra_specs': 'reader',
  'get /compute/v2.1/flavors/{id}/os-extra_specs/{key}': 'reader',
  'get /compute/v2.1/extensions': 'reader',
  'get /compute/v2.1/extensions/{alias}': 'reader',
  'get /compute/v2.1/limits': 'reader',
  'get /compute/v2.1/os-quota-sets/{project}': 'reader',
  'get /compute/v2.1/os-quota-sets/{project}/defaults': 'reader',
  'get /compute/v2.1/os-quota-sets/{project}/detail': 'reader',
  'get /compute/v2.1/os-simple-tenant-usage/{project}': 'reader',
  'get /compute/v2.1/os-keypairs': 'reader',
  'post /compute/v2.1/os-keypairs': 'member',
  'get /compute/v2.1/os-keypairs/{name}': 'reader',
  'delete /compute/v2.1/os-keypairs/{name}': 'member',
  'get /compute/v2.1/servers': 'reader',
  'post /compute/v2.1/servers': 'member',
  'get /compute/v2.1/servers/detail': 'reader',
  'get /compute/v2.1/servers/{id}': 'reader',
  'put /compute/v2.1/servers/{id}': 'member',
  'delete /compute/v2.1/servers/{id}': 'member',
  'get /compute/v2.1/servers/{id}/ips': 'reader',
  'get /compute/v2.1/servers/{id}/ips/{label}': 'reader',
  'get /compute/v2.1/servers/{id}/metadata': 'reader',
  'post /compute/v2.1/servers/{id}/metadata': 'member',
  'put /compute/v2.1/servers/{id}/metadata': 'member',
  'get /compute/v2.1/servers/{id}/metadata/{key}': 'reader',
  'put /compute/v2.1/servers/{id}/metadata/{key}': 'member',
  'delete /compute/v2.1/servers/{id}/metadata/{key}': 'member',
  'get /compute/v2.1/servers/{id}/os-interface': 'reader',
  'get /compute/v2.1/servers/{id}/os-security-groups': 'reader',
  'get /compute/v2.1/servers/{id}/os-server-password': 'reader',
  'delete /compute/v2.1/servers/{id}/os-server-password': 'member',
  'get /compute/v2.1/servers/{id}/os-volume_attachments': 'reader',
  'get /compute/v2.1/servers/{id}/tags': 'reader',
  'put /compute/v2.1/servers/{id}/tags': 'member',
  'delete /compute/v2.1/servers/{id}/tags': 'member',
  'get /compute/v2.1/servers/{id}/tags/{tag}': 'reader',
  'put /compute/v2.1/servers/{id}/tags/{tag}': 'member',
  'delete /compute/v2.1/servers/{id}/tags/{tag}': 'member',
  'get /compute/v2.1/servers/{id}/topology': 'reader',
  'get /identity/v3/auth/tokens': 'reader',
  'delete /identity/v3/auth/tokens': 'reader',
  'get /identity/v3/projects': 'reader',
  'get /identity/v3/projects/{id}': 'reader',
  'get /image/v2/images': 'reader',
  'get /image/v2/images/{id}': 'reader',
  'get /placement/usages': 'reader',
  'get /v1/aliases': 'reader',
  'get /v1/aliases/{name}': 'reader',
  'get /v1/aliases/{name}/versions': 'reader',
  'get /v1/aliases/{name}/versions/{version}': 'reader',
  'get /v1/availability-zones': 'reader',
  'get /v1/flavors': 'reader',
  'get /v1/flavors/{id}': 'reader',
  'get /v1/placements': 'reader',
  'post /v1/placements': 'member',
  'delete /v1/placements': 'member',
  'post /v1/placements/dry-run': 'reader',
  'get /v1/placements/{id}': 'reader',
  'delete /v1/placements/{id}': 'member',
  'get /v1/placements/{id}/decision': 'reader',
  'get /v1/quotas': 'reader',
  'get /v1/reservations': 'reader',
  'post /v1/reservations': 'member',
  'get /v1/reservations/{id}': 'reader',
  'patch /v1/reservations/{id}': 'member',
  'delete /v1/reservations/{id}': 'member',
  'get /v1/server-groups': 'reader',
  'post /v1/server-groups': 'member',
  'get /v1/server-groups/{id}': 'reader',
  'delete /v1/server-groups/{id}': 'member',
  'get /v1/servers': 'reader',
  'post /v1/servers': 'member',
  'get /v1/servers/{id}': 'reader',
  'delete /v1/servers/{id}': 'member',
  'get /v1/servers/{id}/decisions': 'reader',
  'post /v1/servers/{id}/actions/{action}': 'member',
  'post /v1/servers/{id}/devices': 'member',
  'delete /v1/servers/{id}/devices/{device_id}': 'member',
  'get /v1/servers/{id}/explanation': 'reader',
};
const FOR_EVERYBODY = [
  ...['get /compute', 'get /compute/v2', 'get /compute/v2.1'],
  ...['get /healthz', 'get /identity', 'get /identity/v3', 'get /image', 'get /placement', 'get /readyz'],
  ...['post /identity/v3/auth/tokens'],
];

describe('who may ask what', () => {
  const folder = mkdtempSync(join(tmpdir(), 'berth-users-'));
  const usersFile = join(folder, 'users');
  let api: RestApi;
  beforeAll(async () => {
    const hash = await bcrypt.hash('a password', 4);
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
    await insertHost(api, { name: 'host-of-secrets' });
  });
  afterAll(async () => {
    await api?.close();
    rmSync(folder, { recursive: true });
  });

  type Method = 'get' | 'post' | 'put' | 'patch' | 'delete';
  const as = (user: User | null, method: Method, path: string): Test => {
    const request = api.http[method](path);
    return user === null ? request : request.auth(user, 'a password');
  };

  /** Every operation of the API document, with something in the place of each parameter. */
  async function operations(): Promise<{ readonly key: string; readonly method: Method; readonly path: string }[]> {
    const { body } = await api.http.get('/v1/openapi.json').expect(200);
    const paths = (body as { paths: Record<string, Record<string, unknown>> }).paths;
    return Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => ({
        key: `${method} ${path}`,
        method: method as Method,
        path: path.replace('{project}', 'red').replace(/\{[^}]+\}/g, '00000000-0000-4000-8000-000000000000'),
      })),
    );
  }

  it('nobody gets anywhere without saying who he is, but to what says that the process lives', async () => {
    const open: string[] = [];
    for (const { key, method, path } of await operations()) {
      const answer = await as(null, method, path);
      if (answer.status !== 401) open.push(key);
      else expect(answer.headers['www-authenticate'], key).toContain('Basic realm="berth"');
    }
    expect(open.sort()).toEqual(FOR_EVERYBODY);
    await as(null, 'get', '/v1/servers').auth('bob', 'another password').expect(401);
  });

  it('every operation is for administrators, unless it is named here', async () => {
    const refused = async (user: User): Promise<string[]> => {
      const found: string[] = [];
      for (const { key, method, path } of await operations()) {
        const answer = await as(user, method, path);
        const isForbidden = answer.status === 403 && JSON.stringify(answer.body).includes('This needs the role');
        if (!isForbidden) expect([200, 400, 404], `${key} answered ${answer.status}`).toContain(answer.status);
        if (!isForbidden && !FOR_EVERYBODY.includes(key)) found.push(key);
      }
      return found.sort();
    };
    const open = Object.entries(OPEN_TO);
    expect(await refused('bob')).toEqual(open.map(([key]) => key).sort());
    expect(await refused('rita')).toEqual(open.flatMap(([key, role]) => (role === 'reader' ? [key] : [])).sort());
  });

  it("one project's servers, groups, placements and reservations are not there for another", async () => {
    const server = (await as('bob', 'post', '/v1/servers').send({ name: 'red one', vcpus: 1 }).expect(202)).body.id;
    const group = (
      await as('bob', 'post', '/v1/server-groups').send({ name: 'red group', policy: 'affinity' }).expect(201)
    ).body.id;
    const placed = await as('bob', 'post', '/v1/placements').send({ placements: [{ key: 'k', vcpus: 1 }] });
    const placement = placed.body.placements[0].id as string;
    await as('dave', 'get', `/compute/v2.1/os-server-groups/${group}`).expect(404);
    await as('dave', 'delete', `/compute/v2.1/os-server-groups/${group}`).expect(404);
    await as('rita', 'get', `/compute/v2.1/os-server-groups/${group}`).expect(200);
    const groups = async (user: User): Promise<object[]> =>
      (await as(user, 'get', '/compute/v2.1/os-server-groups?all_projects=1').expect(200)).body.server_groups;
    expect([await groups('dave'), await groups('rita'), await groups('root')].map((all) => all.length)).toEqual([
      0, 1, 1,
    ]);
    const own = [`/v1/servers/${server}`, `/v1/server-groups/${group}`, `/v1/placements/${placement}`];
    for (const path of own) {
      await as('rita', 'get', path).expect(200);
      await as('root', 'get', path).expect(200);
      const { body } = await as('dave', 'get', path).expect(404);
      expect(JSON.stringify(body)).not.toContain('red');
      await as('dave', 'delete', path).expect(404);
      await as('rita', 'delete', path).expect(403);
    }
    for (const path of [`${own[0]}/decisions`, `${own[0]}/explanation`, `${own[2]}/decision`]) {
      await as('dave', 'get', path).expect(404);
    }
    await as('dave', 'post', `${own[0]}/devices`).send({ devices: 'gpu:1' }).expect(404);
    const released = await as('dave', 'delete', '/v1/placements')
      .send({ ids: [placement] })
      .expect(200);
    expect(released.body.placements).toEqual([{ id: placement, outcome: 'unknown' }]);
    const joining = { name: 'blue', vcpus: 1, scheduler_hints: { group } };
    expect((await as('dave', 'post', '/v1/servers').send(joining).expect(400)).body.code).toBe('server_group.unknown');

    const seen = async (user: User): Promise<number[]> => {
      const lists = ['servers', 'server-groups', 'placements'] as const;
      const answers = await Promise.all(lists.map((list) => as(user, 'get', `/v1/${list}`).expect(200)));
      return answers.map(({ body }, at) => body[(lists[at] as string).replace('-', '_')].length as number);
    };
    expect(await seen('dave')).toEqual([0, 0, 0]);
    expect(await seen('rita')).toEqual([1, 1, 1]);
    expect(await seen('root')).toEqual([1, 1, 1]);
    expect((await as('root', 'get', '/v1/servers?project_id=blue').expect(200)).body.servers).toEqual([]);
    for (const path of ['/v1/servers?project_id=red', '/v1/placements?project_id=red', '/v1/quotas?project_id=red']) {
      expect((await as('dave', 'get', path).expect(403)).body.code).toBe('auth.forbidden');
    }
    await as('dave', 'get', `/v1/servers?marker=${server}`).expect(400);
  });

  it('the same idempotency keys of two projects are two keys', async () => {
    const create = (user: User) =>
      as(user, 'post', '/v1/servers').set('Idempotency-Key', 'once').send({ name: 'mine', vcpus: 1 }).expect(202);
    const [red, blue] = [(await create('bob')).body, (await create('dave')).body];
    expect(red.project_id).toBe('red');
    expect(blue.project_id).toBe('blue');
    expect((await create('bob')).body.id).toBe(red.id);
    const place = (user: User) =>
      as(user, 'post', '/v1/placements')
        .send({ placements: [{ key: 'same', vcpus: 1 }] })
        .expect(200);
    const ids = [await place('bob'), await place('dave'), await place('bob')].map(({ body }) => body.placements[0].id);
    expect(new Set(ids).size).toBe(2);
    expect(ids[2]).toBe(ids[0]);
  });

  it('a project is told nothing of hosts that it has nothing on', async () => {
    const alias = { name: 'gpu', specs: [{ vendor_id: '10de', product_id: '1db6', device_type: 'type-PCI' }] };
    await as('root', 'post', '/v1/aliases').send(alias).expect(201);
    const asked = { name: 'seen', devices: 'gpu:1' };
    const { body } = await as('dave', 'post', '/v1/placements/dry-run').send(asked).expect(200);
    expect(body.outcome).toBe('rejected');
    expect(JSON.stringify(body)).not.toContain('host-of-secrets');
    const inFull = await as('root', 'post', '/v1/placements/dry-run').send(asked).expect(200);
    expect(JSON.stringify(inFull.body)).toContain('host-of-secrets');
    await as('dave', 'post', '/v1/placements/dry-run?view=admin').send(asked).expect(403);
    await as('dave', 'get', '/v1/servers?host=host-of-secrets').expect(403);
    const rejected = await as('dave', 'post', '/v1/placements').send({ placements: [{ key: 'no', devices: 'gpu:1' }] });
    expect(rejected.body.placements[0].outcome).toBe('rejected');
    expect(JSON.stringify(rejected.body)).not.toContain('host-of-secrets');
  });

  describe('with a token for the password', () => {
    const login = (user: string, password: string, project?: string): Test =>
      api.http.post('/identity/v3/auth/tokens').send({
        auth: {
          identity: { methods: ['password'], password: { user: { name: user, password, domain: { id: 'default' } } } },
          ...(project === undefined ? {} : { scope: { project: { name: project, domain: { name: 'Default' } } } }),
        },
      });
    const tokenOf = async (user: User): Promise<string> =>
      (await login(user, 'a password').expect(201)).headers['x-subject-token'] as string;
    const servers = (token: string): Test => api.http.get('/v1/servers').set('X-Auth-Token', token);

    it('a user gets in as with the password, and finds where things are', async () => {
      const { body, headers } = await login('bob', 'a password', 'red').expect(201);
      expect(body.token).toMatchObject({
        ...{
          user: { name: 'bob' },
          project: { id: 'red', name: 'red' },
          roles: [{ name: 'member' }, { name: 'reader' }],
        },
      });
      const [identity] = body.token.catalog as { type: string; endpoints: { interface: string; url: string }[] }[];
      expect(identity).toMatchObject({ type: 'identity', endpoints: [{ interface: 'public' }, {}, {}] });
      const version = await fetch(`${identity?.endpoints[0]?.url}/v3`);
      expect(await version.json()).toMatchObject({ version: { id: 'v3.14', status: 'stable' } });
      const { body: seen } = await servers(headers['x-subject-token'] as string).expect(200);
      expect(seen.servers.every(({ project_id }: { project_id: string }) => project_id === 'red')).toBe(true);
      expect(JSON.stringify(body)).not.toContain(headers['x-subject-token']);
      const [row] = await api.sql<{ all: string }>(`SELECT jsonb_agg(t)::text AS all FROM identity_tokens t`);
      expect(row?.all, 'the ledger knows the hash alone').not.toContain(headers['x-subject-token']);
    });

    it.each([
      ['a wrong password', login.bind(null, 'bob', 'another'), 401],
      ['nobody', login.bind(null, 'mallory', 'a password'), 401],
      ["another's project", login.bind(null, 'bob', 'a password', 'blue'), 401],
    ])('%s gets none', async (_what, asked, status) => {
      const { body, headers } = await asked().expect(status);
      expect(body).toEqual({ error: { code: status, title: 'Unauthorized', message: expect.any(String) } });
      expect(headers['x-subject-token']).toBeUndefined();
    });

    it('a body that is no question is refused in the words of Keystone', async () => {
      const { body } = await api.http
        .post('/identity/v3/auth/tokens')
        .send({ auth: { identity: { methods: ['totp'] } } });
      expect(body).toMatchObject({ error: { code: 400, title: 'Bad Request' } });
      expect(body.error.message).toContain('auth.identity.methods: password is the only method there is');
    });

    it("is over when it is revoked, and others' tokens are nobody's business", async () => {
      const [bobs, daves, roots] = [await tokenOf('bob'), await tokenOf('dave'), await tokenOf('root')];
      const about = (method: 'get' | 'delete', own: string, subject: string): Test =>
        api.http[method]('/identity/v3/auth/tokens').set({ 'X-Auth-Token': own, 'X-Subject-Token': subject });
      await about('get', bobs, daves).expect(404);
      await about('delete', bobs, daves).expect(404);
      await servers(daves).expect(200);
      expect((await about('get', roots, daves).expect(200)).body.token.user.name).toBe('dave');
      await about('delete', roots, daves).expect(204);
      await servers(daves).expect(401);
      await about('delete', bobs, bobs).expect(204);
      await servers(bobs).expect(401);
      await servers(roots).expect(200);
    });

    it('is over with its time, and with another password', async () => {
      const [old, ritas] = [await tokenOf('bob'), await tokenOf('rita')];
      await api.sql(`UPDATE identity_tokens SET expires_at = now() WHERE user_name = 'bob'`);
      await servers(old).expect(401);
      const before = readFileSync(usersFile, 'utf8');
      const changed = await bcrypt.hash('another password', 4);
      writeFileSync(usersFile, before.replace(/^rita:.*$/m, `rita:${changed}`));
      await servers(ritas).expect(401);
      writeFileSync(usersFile, before);
      await servers(ritas).expect(200);
    });

    it('an administrator finds the projects that the settings name; others their own', async () => {
      const names = async (user: User, query = ''): Promise<string[]> => {
        const { body } = await as(user, 'get', `/identity/v3/projects${query}`).expect(200);
        return (body.projects as { name: string }[]).map(({ name }) => name);
      };
      expect(await names('root')).toEqual(['operations', 'blue', 'red']);
      expect(await names('root', '?name=red')).toEqual(['red']);
      expect(await names('bob')).toEqual(['red']);
      await as('bob', 'get', '/identity/v3/projects/blue').expect(404);
      await as('root', 'get', '/identity/v3/projects/blue').expect(200);
    });
  });
});
