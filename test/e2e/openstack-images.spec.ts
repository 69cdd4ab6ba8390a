import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import bcrypt from 'bcryptjs';
import type { Test } from 'supertest';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { type RestApi, startRestApi } from '../support/rest-api.js';

const PATCH = 'application/openstack-images-v2.1-json-patch';
const NOWHERE = '00000000-0000-4000-8000-000000000000';
const POLICY = 'hw_pci_numa_affinity_policy';

describe('the image face', () => {
  const folder = mkdtempSync(join(tmpdir(), 'berth-images-'));
  let api: RestApi;
  beforeAll(async () => {
    const hash = await bcrypt.hash('a password', 4);
    writeFileSync(join(folder, 'users'), ['root', 'rita', 'bob'].map((user) => `${user}:${hash}\n`).join(''));
    api = await startRestApi(inject('databaseUrl'), {
      ...{ strategy: 'http_basic', usersFile: join(folder, 'users') },
      ...{ projects: { root: 'operations', rita: 'red', bob: 'blue' }, roles: { root: 'admin' } },
    });
  });
  beforeEach(async () => {
    await api.sql('DELETE FROM images');
  });
  afterAll(async () => {
    await api?.close();
    rmSync(folder, { recursive: true });
  });

  type User = 'root' | 'rita' | 'bob';
  const as = (user: User, method: 'get' | 'post' | 'patch' | 'put' | 'delete', path: string): Test =>
    api.http[method](path).auth(user, 'a password');
  const create = async (said: object): Promise<string> =>
    (await as('root', 'post', '/image/v2/images').send(said).expect(201)).body.id as string;
  const names = async (user: User, query = ''): Promise<string[]> => {
    const { body } = await as(user, 'get', `/image/v2/images${query}`).expect(200);
    return (body.images as { name: string }[]).map(({ name }) => name);
  };
  const patch = (id: string, steps: unknown): Test =>
    as('root', 'patch', `/image/v2/images/${id}`).set('content-type', PATCH).send(JSON.stringify(steps));

  it('says where its version 2 is, to anybody', async () => {
    const { body } = await api.http.get('/image/').expect(200);
    const [version] = body.versions as { id: string; status: string; links: { href: string }[] }[];
    expect(version).toMatchObject({ id: 'v2.15', status: 'CURRENT' });
    expect(version?.links[0]?.href).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/image\/v2\/$/);
    await api.http.get('/image/v2/images').expect(401);
  });

  it('keeps the name and the properties of an image, which is active at once', async () => {
    const said = {
      ...{ name: 'cirros', disk_format: 'raw', container_format: 'bare', visibility: 'public', min_ram: 64 },
      ...{ [POLICY]: 'required', hw_architecture: 'x86_64', tags: ['small'] },
    };
    const { body, headers } = await as('root', 'post', '/image/v2/images').send(said).expect(201);
    expect(body).toMatchObject({
      ...said,
      status: 'active',
      owner: 'operations',
      protected: false,
      min_disk: 0,
      size: 0,
    });
    expect(body).toMatchObject({ self: `/v2/images/${body.id}`, os_hidden: false, checksum: null });
    expect(headers['location']).toMatch(new RegExp(`/image/v2/images/${body.id}$`));
    expect((await as('bob', 'get', `/image/v2/images/${body.id}`).expect(200)).body).toEqual(body);
    const [row] = await api.sql<{ properties: object }>('SELECT properties FROM images');
    expect(row?.properties).toEqual({ [POLICY]: 'required', hw_architecture: 'x86_64' });
  });

  it.each([
    [{ name: 7 }, 'name: has to be a text'],
    [{ id: 'cirros' }, 'id: has to be a UUID'],
    [{ visibility: 'community' }, 'visibility: has to be one of public, private, shared'],
    [{ disk_format: 'floppy' }, 'disk_format: has to be one of'],
    [{ min_ram: -1 }, 'min_ram: has to be a whole number'],
    [{ protected: 'yes' }, 'protected: has to be true or false'],
    [{ tags: ['a', 2] }, 'tags: has to be a text'],
    [{ hw_architecture: true }, 'hw_architecture: has to be a text'],
    [{ hw_note: 'a\u0000b' }, 'hw_note: has a control character'],
    [{ [POLICY]: 'requird' }, 'did you mean "required"?'],
    [{ hw_pci_numa_afinity_policy: 'required' }, `did you mean "${POLICY}"?`],
    [Object.fromEntries(Array.from({ length: 129 }, (_one, at) => [`key${at}`, 'v'])), 'at most 128 properties'],
  ])('refuses %j', async (said, problem) => {
    const { body } = await as('root', 'post', '/image/v2/images').send(said).expect(400);
    expect(body).toMatchObject({ code: 400, title: 'Bad Request', message: expect.stringContaining(problem) });
    expect(await names('root')).toEqual([]);
  });

  it('refuses what only Glance itself says, a second image of an id, and what is no object', async () => {
    expect((await as('root', 'post', '/image/v2/images').send({ status: 'queued' }).expect(403)).body.message).toBe(
      "Attribute 'status' is read-only.",
    );
    const id = await create({ name: 'one' });
    await as('root', 'post', '/image/v2/images').send({ id }).expect(409);
    await as('root', 'post', '/image/v2/images')
      .send([{ name: 'one' }])
      .expect(400);
  });

  it('is changed by a patch, whole or not at all', async () => {
    const id = await create({ name: 'one', hw_old: 'x', visibility: 'public' });
    const { body } = await patch(id, [
      { op: 'replace', path: '/name', value: 'two' },
      { op: 'add', path: '/hw_a~1b', value: 'slash' },
      { op: 'remove', path: '/hw_old' },
    ]).expect(200);
    expect(body).toMatchObject({ name: 'two', 'hw_a/b': 'slash' });
    expect(body).not.toHaveProperty('hw_old');
    const refused: readonly [unknown, number][] = [
      [[{ op: 'replace', path: '/hw_none', value: 'x' }], 409],
      [[{ op: 'remove', path: '/hw_none' }], 409],
      [[{ op: 'replace', path: '/status', value: 'queued' }], 403],
      [[{ op: 'replace', path: '/id', value: NOWHERE }], 403],
      [[{ op: 'remove', path: '/name' }], 403],
      [[{ op: 'move', path: '/name', from: '/x' }], 400],
      [[{ op: 'add', path: 'name', value: 'x' }], 400],
      [[{ op: 'add', path: '/tags/0', value: 'x' }], 400],
      [
        [
          { op: 'add', path: '/name' },
          { op: 'add', path: `/${POLICY}`, value: 'never' },
        ],
        400,
      ],
      [[{ op: 'add', path: '/__proto__', value: { polluted: true } }], 400],
      ['name', 400],
      [{ name: 'three' }, 400],
    ];
    for (const [steps, status] of refused) {
      expect((await patch(id, steps)).status, JSON.stringify(steps)).toBe(status);
    }
    expect((await as('root', 'get', `/image/v2/images/${id}`).expect(200)).body).toMatchObject({ name: 'two' });
    await as('root', 'patch', `/image/v2/images/${id}`).send({ steps: [] }).expect(415);
    await patch(NOWHERE, []).expect(404);
  });

  it('is deleted, unless it is protected', async () => {
    const id = await create({ protected: true });
    await as('root', 'delete', `/image/v2/images/${id}`).expect(403);
    await patch(id, [{ op: 'replace', path: '/protected', value: false }]).expect(200);
    await as('root', 'delete', `/image/v2/images/${id}`).expect(204);
    const { body } = await as('root', 'get', `/image/v2/images/${id}`).expect(404);
    expect(body).toEqual({ code: 404, title: 'Not Found', message: `Image ${id} could not be found.` });
    await as('root', 'get', '/image/v2/images/cirros').expect(404);
  });

  it('takes no data', async () => {
    const id = await create({ name: 'one' });
    const upload = as('root', 'put', `/image/v2/images/${id}/file`).set('content-type', 'application/octet-stream');
    const { body } = await upload.send(Buffer.alloc(1_000_000)).expect(409);
    expect(body.message).toContain('no data');
    const empty = as('root', 'put', `/image/v2/images/${id}/file`).set('content-type', 'application/octet-stream');
    await empty.send(Buffer.alloc(0)).expect(204);
    await as('root', 'put', `/image/v2/images/${id}/file`).send({ is_empty: false }).expect(409);
  });

  it('is seen by its project, by members when it is shared, by everybody when it is public', async () => {
    await create({ name: 'for all', visibility: 'public' });
    const shared = await create({ name: "red's and blue's", owner: 'red' });
    const own = await create({ name: "red's", owner: 'red', visibility: 'private' });
    expect(await names('root')).toEqual(["red's", "red's and blue's", 'for all']);
    expect(await names('rita')).toEqual(["red's", "red's and blue's", 'for all']);
    expect(await names('bob')).toEqual(['for all']);
    const path = `/image/v2/images/${shared}/members`;
    await as('root', 'post', path).send({ member: 'blue' }).expect(200);
    await as('root', 'post', path).send({ member: 'blue' }).expect(409);
    await as('root', 'post', `/image/v2/images/${own}/members`).send({ member: 'blue' }).expect(403);
    expect(await names('bob')).toEqual(["red's and blue's", 'for all']);
    expect((await as('root', 'get', path).expect(200)).body.members).toMatchObject([
      { member_id: 'blue', image_id: shared, status: 'accepted' },
    ]);
    await as('root', 'delete', `${path}/blue`).expect(204);
    await as('root', 'delete', `${path}/blue`).expect(404);
    await as('bob', 'get', `/image/v2/images/${shared}`).expect(404);
    await as('bob', 'get', `/compute/v2.1/images/${shared}`).expect(404);
    for (const refused of [
      as('rita', 'post', '/image/v2/images').send({ name: 'mine' }),
      as('rita', 'delete', `/image/v2/images/${own}`),
      as('rita', 'patch', `/image/v2/images/${own}`).set('content-type', PATCH).send('[]'),
      as('rita', 'post', path).send({ member: 'blue' }),
    ]) {
      await refused.expect(403);
    }
  });

  it('is found by what clients filter by, and in pages', async () => {
    const first = await create({ name: 'a', hw_kind: 'x', tags: ['t', 'u'], min_disk: 1 });
    const second = await create({ name: 'b', hw_kind: 'y', tags: ['u'], disk_format: 'iso' });
    await create({ name: 'c, d', protected: true });
    expect(await names('root', '?name=a')).toEqual(['a']);
    expect(await names('root', `?id=in:${first},${second},nobody`)).toEqual(['b', 'a']);
    expect(await names('root', `?name=in:"c, d",a`)).toEqual(['c, d', 'a']);
    expect(await names('root', '?hw_kind=y')).toEqual(['b']);
    expect(await names('root', '?tag=u&tag=t')).toEqual(['a']);
    expect(await names('root', '?disk_format=iso')).toEqual(['b']);
    expect(await names('root', '?protected=True')).toEqual(['c, d']);
    expect(await names('root', '?status=queued')).toEqual([]);
    expect(await names('root', '?visibility=public')).toEqual([]);
    expect(await names('root', '?sort=name:asc')).toEqual(['a', 'b', 'c, d']);
    expect(await names('root', '?sort_key=name&sort_dir=desc')).toEqual(['c, d', 'b', 'a']);
    const seen: string[] = [];
    let path: string | undefined = '/v2/images?limit=1&sort=name:asc';
    for (let page = 0; path !== undefined && page < 5; page += 1) {
      const { body } = await as('root', 'get', `/image${path}`).expect(200);
      seen.push(...(body.images as { name: string }[]).map(({ name }) => name));
      path = body.next as string | undefined;
    }
    expect(seen).toEqual(['a', 'b', 'c, d']);
    for (const query of [
      ...['?limit=x', '?limit=-1', '?sort_key=size', '?sort_dir=up', '?protected=perhaps', '?visibility=all'],
      ...['?name=a&name=b', `?marker=${NOWHERE}`, '?marker=x', '?name=%00', '?__proto__=x'],
    ]) {
      expect((await as('root', 'get', `/image/v2/images${query}`)).status, query).toBe(400);
    }
  });

  describe("in Nova's words", () => {
    it('shows images until 2.35', async () => {
      const id = await create({ name: 'cirros', visibility: 'public', min_ram: 64, hw_kind: 'x' });
      const { body } = await as('bob', 'get', `/compute/v2.1/images/${id}`).expect(200);
      expect(body.image).toMatchObject({ id, name: 'cirros', status: 'ACTIVE', minRam: 64, minDisk: 0, progress: 100 });
      expect(body.image).toMatchObject({ metadata: { hw_kind: 'x' }, 'OS-EXT-IMG-SIZE:size': 0 });
      expect(body.image.created).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
      const list = await as('bob', 'get', '/v2.1/images').expect(200);
      expect(list.body.images).toEqual([{ id, name: 'cirros', links: expect.any(Array) }]);
      const details = await as('bob', 'get', '/v2.1/images/detail?name=cirros').expect(200);
      expect(details.body).toEqual({ images: [body.image] });
      const now = as('bob', 'get', '/v2.1/images').set('X-OpenStack-Nova-API-Version', '2.36');
      expect((await now.expect(404)).body).toHaveProperty('itemNotFound');
    });

    it('pages them', async () => {
      const [a, b] = [await create({ name: 'a', visibility: 'public' }), await create({ name: 'b' })];
      const { body } = await as('root', 'get', '/v2.1/images?limit=1').expect(200);
      expect(body.images).toMatchObject([{ id: b }]);
      expect(body.images_links[0].href).toMatch(new RegExp(`/v2\\.1/images\\?limit=1&marker=${b}$`));
      const next = await as('root', 'get', `/v2.1/images?limit=1&marker=${b}`).expect(200);
      expect(next.body.images).toMatchObject([{ id: a }]);
      await as('root', 'get', '/v2.1/images?limit=many').expect(400);
      expect((await as('root', 'get', '/v2.1/images/detail?status=SAVING').expect(200)).body.images).toEqual([]);
    });
  });
});
