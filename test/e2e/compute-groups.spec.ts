import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { insertHost, type RestApi, startRestApi } from '../support/rest-api.js';

const V21 = '/compute/v2.1';
const STAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}$/;

let api: RestApi;
beforeAll(async () => {
  api = await startRestApi(inject('databaseUrl'));
  await insertHost(api, { name: 'host-1' });
});
afterAll(() => api?.close());

const at = (minor: number) => ({ 'OpenStack-API-Version': `compute 2.${minor}` });
const get = (minor: number, path: string) => api.http.get(`${V21}${path}`).set(at(minor));
const post = (minor: number, path: string, body: object) => api.http.post(`${V21}${path}`).set(at(minor)).send(body);
const put = (minor: number, path: string, body: object) => api.http.put(`${V21}${path}`).set(at(minor)).send(body);
const remove = (minor: number, path: string) => api.http.delete(`${V21}${path}`).set(at(minor));

describe('aggregates of the compute face', () => {
  const create = async (name: string, zone?: string | null): Promise<number> => {
    const aggregate = { name, ...(zone === undefined ? {} : { availability_zone: zone }) };
    return (await post(1, '/os-aggregates', { aggregate }).expect(200)).body.aggregate.id as number;
  };
  const act = (id: number, body: object) => post(1, `/os-aggregates/${id}/action`, body);

  it('are made, shown and deleted', async () => {
    const { body } = await post(41, '/os-aggregates', {
      aggregate: { name: ' agg ', availability_zone: 'az1' },
    }).expect(200);
    expect(body.aggregate).toEqual({
      ...{ id: expect.any(Number), uuid: expect.any(String), name: 'agg', availability_zone: 'az1', updated_at: null },
      ...{ deleted: false, deleted_at: null, created_at: expect.stringMatching(STAMP) },
    });
    const { id, uuid } = body.aggregate as { id: number; uuid: string };
    expect((await api.http.get('/v1/aggregates/agg').expect(200)).body.id).toBe(uuid);
    const shown = (await get(1, `/os-aggregates/${id}`).expect(200)).body.aggregate;
    expect(shown).toMatchObject({ id, hosts: [], metadata: { availability_zone: 'az1' } });
    expect(shown).not.toHaveProperty('uuid');
    expect((await get(1, '/os-aggregates').expect(200)).body.aggregates).toEqual([shown]);
    await remove(1, `/os-aggregates/${id}`).expect(200);
    await remove(1, `/os-aggregates/${id}`).expect(404);
    await get(1, `/os-aggregates/${id}`).expect(404);
  });

  it('have numbers for ids: a name is no id, and a strange number is nobody', async () => {
    const id = await create('12345');
    await get(1, '/os-aggregates/-1').expect(404);
    await get(1, '/os-aggregates/12345').expect(404);
    await get(1, '/os-aggregates/99999999999999999999999').expect(404);
    await get(1, '/os-aggregates/agg').expect(400);
    await put(1, '/os-aggregates/agg', { aggregate: { name: 'x' } }).expect(400);
    await remove(1, '/os-aggregates/-1').expect(404);
    await remove(1, `/os-aggregates/${id}`).expect(200);
  });

  it('refuse names and zones that are none, or taken', async () => {
    const id = await create('one', null);
    await post(1, '/os-aggregates', { aggregate: { name: 'one' } }).expect(409);
    const bad = [{ name: '' }, { name: ' ' }, { name: 'a'.repeat(256) }, {}, { name: 'x', colour: 1 }, { name: 7 }];
    const badZones = ['', 'a:b', 7, 'z'.repeat(256)].map((zone) => ({ name: 'x', availability_zone: zone }));
    for (const aggregate of [...bad, ...badZones]) await post(1, '/os-aggregates', { aggregate }).expect(400);
    await post(1, '/os-aggregates', { name: 'x' }).expect(400);
    await put(1, `/os-aggregates/${id}`, { aggregate: {} }).expect(400);
    await put(1, `/os-aggregates/${id}`, { aggregate: { name: null } }).expect(400);
    await put(1, `/os-aggregates/${id}`, { aggregate: null }).expect(400);
    const two = await create('two');
    await put(1, `/os-aggregates/${id}`, { aggregate: { name: 'two' } }).expect(409);
    for (const one of [id, two]) await remove(1, `/os-aggregates/${one}`).expect(200);
  });

  it('change names, zones and metadata; the zone is among the metadata', async () => {
    const id = await create('first', 'az1');
    const renamed = await put(1, `/os-aggregates/${id}`, { aggregate: { name: 'second', availability_zone: 'az2' } });
    expect(renamed.body.aggregate).toMatchObject({ name: 'second', availability_zone: 'az2', hosts: [] });
    expect(renamed.body.aggregate.updated_at).toMatch(STAMP);
    const set = async (metadata: object) =>
      (await act(id, { set_metadata: { metadata } }).expect(200)).body.aggregate as { metadata: object };
    expect((await set({ pinned: 'true', ssd: 'no' })).metadata).toEqual({
      availability_zone: 'az2',
      pinned: 'true',
      ssd: 'no',
    });
    expect(await set({ ssd: null, availability_zone: 'az3' })).toMatchObject({
      ...{ availability_zone: 'az3', metadata: { availability_zone: 'az3', pinned: 'true' } },
    });
    expect(await set({ availability_zone: null })).toMatchObject({
      availability_zone: null,
      metadata: { pinned: 'true' },
    });
    for (const zone of ['', 'a:b']) {
      await act(id, { set_metadata: { metadata: { availability_zone: zone } } }).expect(400);
    }
    await act(id, { set_metadata: { metadata: { key: 7 } } }).expect(400);
    await act(id, { set_metadata: {} }).expect(400);
    await remove(1, `/os-aggregates/${id}`).expect(200);
  });

  it('take hosts in and out, each once, and stay while they have one', async () => {
    const id = await create('with hosts', 'az1');
    const added = await act(id, { add_host: { host: 'host-1' } }).expect(200);
    expect(added.body.aggregate.hosts).toEqual(['host-1']);
    await act(id, { add_host: { host: 'host-1' } }).expect(409);
    await act(id, { add_host: { host: 'nobody' } }).expect(404);
    await act(id, { remove_host: { host: 'nobody' } }).expect(404);
    await act(id, { explode: {} }).expect(400);
    await act(id, {}).expect(400);
    await act(id, { add_host: null }).expect(400);
    await act(id, { add_host: { host: null } }).expect(400);
    await act(id, { set_metadata: { metadata: null } }).expect(400);
    await act(id, { add_host: { host: 'host-1' }, remove_host: { host: 'host-1' } }).expect(400);
    await act(0, { add_host: { host: 'host-1' } }).expect(404);
    const other = await create('other zone', 'az2');
    expect((await act(other, { add_host: { host: 'host-1' } }).expect(409)).body).toHaveProperty('conflictingRequest');
    await put(1, `/os-aggregates/${other}`, { aggregate: { availability_zone: null } }).expect(200);
    await act(other, { add_host: { host: 'host-1' } }).expect(200);
    await put(1, `/os-aggregates/${other}`, { aggregate: { availability_zone: 'az2' } }).expect(400);
    await act(other, { set_metadata: { metadata: { availability_zone: 'az2' } } }).expect(400);
    expect((await remove(1, `/os-aggregates/${id}`).expect(400)).body.badRequest.message).toContain('1 hosts');
    for (const one of [id, other]) {
      expect((await act(one, { remove_host: { host: 'host-1' } }).expect(200)).body.aggregate.hosts).toEqual([]);
      await act(one, { remove_host: { host: 'host-1' } }).expect(404);
      await remove(1, `/os-aggregates/${one}`).expect(200);
    }
  });

  it('take images to cache from 2.81 on', async () => {
    const id = await create('cached');
    const image = { id: randomUUID() };
    await post(81, `/os-aggregates/${id}/images`, { cache: [image] }).expect(202);
    await post(80, `/os-aggregates/${id}/images`, { cache: [image] }).expect(404);
    for (const cache of [[image, image], [], [{ id: 'x' }], 'x', [{ ...image, more: 1 }]]) {
      await post(81, `/os-aggregates/${id}/images`, { cache }).expect(400);
    }
    await post(81, '/os-aggregates/0/images', { cache: [image] }).expect(404);
  });
});

describe('server groups of the compute face', () => {
  const create = async (minor: number, group: object) =>
    (await post(minor, '/os-server-groups', { server_group: group }).expect(200)).body.server_group;

  it('have policies up to 2.63, then a policy and rules', async () => {
    const old = await create(12, { name: 'old', policies: ['affinity'] });
    expect(old).toEqual({ id: expect.any(String), name: 'old', policies: ['affinity'], metadata: {}, members: [] });
    const owned = await create(15, { name: 'soft', policies: ['soft-anti-affinity'] });
    expect(owned).toMatchObject({ policies: ['soft-anti-affinity'], project_id: 'default', user_id: 'admin' });
    const rules = { max_server_per_host: '3' };
    const ruled = await create(64, { name: 'ruled', policy: 'anti-affinity', rules });
    expect(ruled).toEqual({
      ...{
        id: expect.any(String),
        name: 'ruled',
        policy: 'anti-affinity',
        rules: { max_server_per_host: 3 },
        members: [],
      },
      ...{ project_id: 'default', user_id: 'admin' },
    });
    expect((await get(64, `/os-server-groups/${ruled.id}`).expect(200)).body.server_group).toEqual(ruled);
    const { body } = await get(64, '/os-server-groups').expect(200);
    expect(body.server_groups.map(({ name }: { name: string }) => name)).toEqual(['old', 'soft', 'ruled']);
    expect((await get(64, '/os-server-groups?limit=1&offset=1').expect(200)).body.server_groups).toMatchObject([
      { name: 'soft', policy: 'soft-anti-affinity', rules: {} },
    ]);
    await get(1, '/os-server-groups?offset=-1').expect(400);
    await get(1, '/os-server-groups?limit=x').expect(400);
    expect((await get(74, '/os-server-groups?x=1').expect(200)).body.server_groups).toHaveLength(3);
    await get(75, '/os-server-groups?x=1').expect(400);
  });

  it.each([
    [1, { name: 'x' }],
    [1, { name: 'x', policies: [] }],
    [1, { name: 'x', policies: ['affinity', 'anti-affinity'] }],
    [1, { name: 'x', policies: 'affinity' }],
    [14, { name: 'x', policies: ['soft-affinity'] }],
    [1, { name: 'x', policies: ['storage-affinity'] }],
    [63, { name: 'x', policy: 'affinity' }],
    [63, { name: 'x', policies: ['anti-affinity'], rules: {} }],
    [64, { name: 'x', policies: ['affinity'] }],
    [64, { name: 'x' }],
    [64, { name: 'x', policy: null }],
    [64, { name: null, policy: 'affinity' }],
    [1, { name: 'x', policies: [null] }],
    [64, { name: 'x', policy: 'affinity', rules: { max_server_per_host: 2 } }],
    [64, { name: 'x', policy: 'anti-affinity', rules: { max_server_per_host: 0 } }],
    [64, { name: 'x', policy: 'anti-affinity', rules: { colour: 'red' } }],
    [64, { name: '', policy: 'affinity' }],
    [64, { policy: 'affinity' }],
  ])('2.%i refuses %j', async (minor, group) => {
    const { body } = await post(minor, '/os-server-groups', { server_group: group }).expect(400);
    expect(body.badRequest.code).toBe(400);
  });

  it('tell their members, and go without them', async () => {
    const { id } = await create(64, { name: 'with members', policy: 'affinity' });
    const asked = { name: 'vm', vcpus: 1, scheduler_hints: { group: id } };
    const server = (await api.http.post('/v1/servers').send(asked).expect(202)).body.id as string;
    expect((await get(1, `/os-server-groups/${id}`).expect(200)).body.server_group.members).toEqual([server]);
    const { body } = await get(1, '/os-server-groups').expect(200);
    expect(body.server_groups.at(-1)).toMatchObject({ id, members: [server] });
    await remove(1, `/os-server-groups/${id}`).expect(204);
    await remove(1, `/os-server-groups/${id}`).expect(404);
    await get(1, '/os-server-groups/grp1').expect(404);
    await get(1, `/os-server-groups/${randomUUID()}`).expect(404);
  });

  it('of other projects only an administrator sees, and only if he asks for all', async () => {
    const foreign = randomUUID();
    await api.sql(
      `INSERT INTO server_groups (id, name, project_id, policy) VALUES ($1, 'foreign', 'blue', 'affinity')`,
      [foreign],
    );
    const names = async (query: string) =>
      (await get(1, `/os-server-groups${query}`).expect(200)).body.server_groups.map(
        ({ name }: { name: string }) => name,
      ) as string[];
    expect(await names('')).not.toContain('foreign');
    expect(await names('?all_projects=True')).toContain('foreign');
  });
});
