import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { type ComputeApi, startComputeApi } from '../support/compute-users.js';

const SIZE = { ram: 512, vcpus: 1, disk: 10 };
interface Named {
  readonly id: string;
  readonly name: string;
}

describe('flavors of the compute face', () => {
  let face: ComputeApi;
  beforeAll(async () => {
    face = await startComputeApi(inject('databaseUrl'));
  });
  afterAll(() => face?.close());
  beforeEach(() => face.api.sql('TRUNCATE flavors, servers CASCADE'));

  const make = (flavor: object, version?: string) =>
    face.as('root', 'post', '/flavors', version).send({ flavor: { name: 'f', ...SIZE, ...flavor } });
  const names = async (user: 'root' | 'bob' | 'dave', query = ''): Promise<string[]> => {
    const { body } = await face.as(user, 'get', `/flavors/detail${query}`).expect(200);
    return (body.flavors as Named[]).map(({ name }) => name);
  };

  it('makes one of all that Nova takes, and shows it', async () => {
    const sent = {
      ...{ id: 42, ram: '1024', swap: 512, rxtx_factor: '2.5', description: 'big' },
      ...{ 'OS-FLV-EXT-DATA:ephemeral': '5', 'os-flavor-access:is_public': 'False' },
    };
    const { body } = await make(sent, '2.61').expect(200);
    expect(body.flavor).toMatchObject({
      ...{ id: '42', ram: 1024, swap: 512, rxtx_factor: 2.5, description: 'big', extra_specs: {} },
      ...{ 'OS-FLV-EXT-DATA:ephemeral': 5, 'os-flavor-access:is_public': false },
    });
    const shown = await face.as('root', 'get', '/flavors/42', '2.61').expect(200);
    expect(shown.body).toEqual(body);
  });

  it.each([null, undefined, 'auto'])('makes an id of its own for %s', async (id) => {
    const { body } = await make({ id }).expect(200);
    expect(body.flavor.id).toMatch(/^[0-9a-f-]{36}$/);
  });

  it.each([
    [{ id: ' x' }, 'flavor.id'],
    [{ id: '' }, 'flavor.id'],
    [{ ram: 0 }, 'flavor.ram'],
    [{ vcpus: '1.5' }, 'flavor.vcpus'],
    [{ disk: -1 }, 'flavor.disk'],
    [{ rxtx_factor: 0 }, 'flavor.rxtx_factor'],
    [{ rxtx_factor: '1e3' }, 'flavor.rxtx_factor'],
    [{ 'os-flavor-access:is_public': 'maybe' }, 'flavor.os-flavor-access:is_public'],
    [{ name: ' ' }, 'flavor.name'],
    [{ colour: 'red' }, 'flavor.colour'],
    [{ description: 'too early' }, 'flavor.description'],
    [{ disk: 2_000_000_000, swap: 2_000_000_000 }, 'disk_gb'],
  ])('refuses %j', async (flavor, field) => {
    const { body } = await make(flavor).expect(400);
    expect(body.badRequest).toMatchObject({ code: 400, message: expect.stringContaining(field) });
  });

  it('refuses a name and an id that there are already', async () => {
    await make({ id: 'one' }).expect(200);
    await make({ id: 'two' }).expect(409);
    await make({ id: 'one', name: 'other' }).expect(409);
  });

  it('finds by id alone, and changes only descriptions, from 2.55 on', async () => {
    await make({ id: 'one', name: 'named' }).expect(200);
    await face.as('bob', 'get', '/flavors/named').expect(404);
    const change = (body: object, version = '2.55') =>
      face.as('root', 'put', '/flavors/one', version).send({ flavor: body });
    expect((await change({ description: 'new' }).expect(200)).body.flavor.description).toBe('new');
    expect((await change({ description: null }).expect(200)).body.flavor.description).toBeNull();
    await change({}).expect(400);
    await change({ name: 'x' }).expect(400);
    await change({ description: 'x' }, '2.54').expect(404);
    await face.as('root', 'delete', '/flavors/named').expect(404);
    await face.as('root', 'delete', '/flavors/one').expect(202);
    await face.as('root', 'delete', '/flavors/one').expect(404);
  });

  it('pages, sorts and filters', async () => {
    for (const [id, ram, disk] of [
      ['a', 300, 1],
      ['b', 100, 3],
      ['c', 200, 2],
    ] as const) {
      await make({ id, name: id, ram, disk }).expect(200);
    }
    expect(await names('bob', '?sort_key=memory_mb')).toEqual(['b', 'c', 'a']);
    expect(await names('bob', '?sort_key=root_gb&sort_dir=desc')).toEqual(['b', 'c', 'a']);
    expect(await names('bob', '?sort_key=root_gb&sort_dir=desc&marker=c')).toEqual(['a']);
    expect(await names('bob', '?minRam=200')).toEqual(['a', 'c']);
    expect(await names('bob', '?minDisk=3')).toEqual(['b']);
    const first = (await face.as('bob', 'get', '/flavors?limit=2&minRam=1').expect(200)).body;
    expect(first.flavors.map((flavor: Named) => flavor.id)).toEqual(['a', 'b']);
    const next = new URL(first.flavors_links[0].href as string);
    const second = (await face.as('bob', 'get', next.pathname.replace('/compute/v2.1', '') + next.search)).body;
    expect(second).toEqual({ flavors: [expect.objectContaining({ id: 'c' })] });
    for (const key of ['created_at', 'description', 'disabled', 'id', 'is_public', 'rxtx_factor', 'vcpus']) {
      expect(await names('bob', `?sort_key=${key}&marker=b`)).toEqual(['c']);
    }
  });

  it.each([
    ...['limit=-1', 'limit=x', 'marker=nothing', 'minRam=x', 'minDisk=1.5', 'sort_key=colour', 'sort_dir=up'],
    'is_public=maybe',
  ])('refuses ?%s', async (query) => {
    await face.as('root', 'get', `/flavors?${query}`).expect(400);
  });

  it('passes over unknown parameters up to 2.74', async () => {
    await face.as('bob', 'get', '/flavors?colour=red', '2.74').expect(200);
    await face.as('bob', 'get', '/flavors?colour=red', '2.75').expect(400);
  });

  it('is for administrators to change', async () => {
    await make({ id: 'one' }).expect(200);
    for (const [method, path, body] of [
      ['post', '/flavors', { flavor: { name: 'g', ...SIZE } }],
      ['delete', '/flavors/one', undefined],
      ['post', '/flavors/one/action', { addTenantAccess: { tenant: 'red' } }],
      ['get', '/flavors/one/os-flavor-access', undefined],
      ['post', '/flavors/one/os-extra_specs', { extra_specs: {} }],
      ['put', '/flavors/one/os-extra_specs/a', { a: 'b' }],
      ['delete', '/flavors/one/os-extra_specs/a', undefined],
    ] as const) {
      const answer = await face.as('bob', method, path).send(body).expect(403);
      expect(answer.body.forbidden.code).toBe(403);
    }
  });

  describe('that are not public', () => {
    beforeEach(async () => {
      await make({ id: 'open', name: 'open' }).expect(200);
      await make({ id: 'closed', name: 'closed-secret', 'os-flavor-access:is_public': false }).expect(200);
    });
    const act = (body: object, version?: string) =>
      face.as('root', 'post', '/flavors/closed/action', version).send(body);

    it('are there for administrators who ask for them', async () => {
      expect(await names('root')).toEqual(['open']);
      for (const no of ['f', 'false', 'no', '0', 'False']) {
        expect(await names('root', `?is_public=${no}`)).toEqual(['closed-secret']);
      }
      for (const yes of ['t', 'true', 'yes', '1']) expect(await names('root', `?is_public=${yes}`)).toEqual(['open']);
      expect(await names('root', '?is_public=None')).toEqual(['closed-secret', 'open']);
      expect(await names('bob', '?is_public=None')).toEqual(['open']);
    });

    it('are nothing to a project without access, anywhere', async () => {
      for (const path of ['/flavors/closed', '/flavors/closed/os-extra_specs', '/v1/flavors/closed']) {
        const { text } = await face.as('bob', 'get', path).expect(404);
        expect(text).not.toContain('closed-secret');
      }
      expect((await face.as('bob', 'get', '/v1/flavors').expect(200)).text).not.toContain('closed');
      const server = { name: 's', flavor: 'closed-secre' };
      const near = await face.as('bob', 'post', '/v1/servers').send(server).expect(400);
      expect(near.text).not.toContain('closed-secret');
      await face
        .as('bob', 'post', '/v1/servers')
        .send({ ...server, flavor: 'closed' })
        .expect(400);
      await face.as('bob', 'post', '/v1/placements/dry-run').send({ flavor: 'closed' }).expect(400);
      const { body } = await face.as('bob', 'post', '/v1/placements').send({ placements: [{ flavor: 'closed' }] });
      expect(body.placements[0].outcome).not.toBe('placed');
      await face
        .as('root', 'post', '/v1/servers')
        .send({ ...server, flavor: 'closed' })
        .expect(202);
      await face.as('root', 'get', '/v1/flavors/closed-secret').expect(200);
    });

    it('are there for a project that gets access, until it loses it', async () => {
      const none = await face.as('root', 'get', '/flavors/closed/os-flavor-access').expect(200);
      expect(none.body).toEqual({ flavor_access: [] });
      const given = await act({ addTenantAccess: { tenant: 'red' } }).expect(200);
      expect(given.body).toEqual({ flavor_access: [{ flavor_id: 'closed', tenant_id: 'red' }] });
      await act({ addTenantAccess: { tenant: 'red' } }).expect(409);
      expect(await names('bob')).toEqual(['closed-secret', 'open']);
      expect(await names('dave')).toEqual(['open']);
      await face.as('bob', 'post', '/v1/servers').send({ name: 's', flavor: 'closed' }).expect(202);
      await act({ removeTenantAccess: { tenant: 'blue' } }).expect(404);
      const taken = await act({ removeTenantAccess: { tenant: 'red' } }).expect(200);
      expect(taken.body).toEqual({ flavor_access: [] });
      expect(await names('bob')).toEqual(['open']);
    });

    it('alone have a list of projects', async () => {
      await face.as('root', 'get', '/flavors/open/os-flavor-access').expect(404);
      await face.as('root', 'get', '/flavors/nothing/os-flavor-access').expect(404);
      const open = (version: string) =>
        face.as('root', 'post', '/flavors/open/action', version).send({ addTenantAccess: { tenant: 'red' } });
      await open('2.7').expect(409);
      await open('2.6').expect(200);
      for (const body of [{}, { removeAll: {} }, { addTenantAccess: {} }, { addTenantAccess: { tenant: 5 } }]) {
        await act(body).expect(400);
      }
      await act({ addTenantAccess: { tenant: 'a' }, removeTenantAccess: { tenant: 'a' } }).expect(400);
    });
  });

  describe('with extra specs', () => {
    beforeEach(() => make({ id: 'one' }).expect(200));
    const specs = (method: 'post' | 'put' | 'get' | 'delete', rest = '', body?: object, version?: string) =>
      face.as('root', method, `/flavors/one/os-extra_specs${rest}`, version).send(body);

    it('are set, shown and removed as Nova has them', async () => {
      const two = { 'hw:numa_nodes': '1', 'hw:cpu_policy': 'shared' };
      expect((await specs('post', '', { extra_specs: two }).expect(200)).body).toEqual({ extra_specs: two });
      expect((await specs('put', '/hw:numa_nodes', { 'hw:numa_nodes': '2' }).expect(200)).body).toEqual({
        'hw:numa_nodes': '2',
      });
      expect((await face.as('bob', 'get', '/flavors/one/os-extra_specs').expect(200)).body).toEqual({
        extra_specs: { ...two, 'hw:numa_nodes': '2' },
      });
      expect((await face.as('bob', 'get', '/flavors/one/os-extra_specs/hw:numa_nodes').expect(200)).body).toEqual({
        'hw:numa_nodes': '2',
      });
      // One vCPU for two nodes: found when a server is asked for.
      const refused = await face.as('bob', 'post', '/v1/servers').send({ name: 's', flavor: 'one' }).expect(400);
      expect(refused.body.detail).toContain('hw:numa_nodes');
      await specs('delete', '/hw:numa_nodes').expect(200);
      await specs('delete', '/hw:numa_nodes').expect(404);
      await specs('get', '/hw:numa_nodes').expect(404);
      const detail = (await face.as('bob', 'get', '/flavors/detail', '2.61').expect(200)).body;
      expect(detail.flavors[0].extra_specs).toEqual({ 'hw:cpu_policy': 'shared' });
    });

    it.each([
      [{ 'pci_passthrough:alias': 'gpu' }],
      [{ 'pci_passthrough:alias': 'nobody:1' }],
      [{ 'pci_passthrough:aliaz': 'gpu:1' }],
      [{ 'hw:pci_numa_affinity_policy': 'requird' }],
      [{ 'hw:numa_nodes': 'two' }],
      [{ 'hw:numa_mem.0': 'much' }],
      [{ 'hw:numa_cpus.0': 'all' }],
      [{ 'a/b': 'x' }],
      [{ a: { b: 'c' } }],
      [{ a: 'x'.repeat(256) }],
      [{ a: null }],
    ])('refuses %j at any version', async (extra_specs) => {
      const { body } = await specs('post', '', { extra_specs }).expect(400);
      expect(body.badRequest.code).toBe(400);
    });

    it('refuses unknown keys of known namespaces from 2.86 on', async () => {
      const odd = { extra_specs: { 'hw:cpu_polcy': 'shared' } };
      await specs('post', '', odd, '2.86').expect(400);
      await specs('post', '', { extra_specs: { 'foo:bar': 'baz', 'hw:boot_menu': 'true' } }, '2.86').expect(200);
      await specs('post', '', odd, '2.85').expect(200);
    });

    it('takes exactly the key of the path', async () => {
      for (const body of [{ b: '1' }, { a: '1', b: '1' }, {}]) await specs('put', '/a', body).expect(400);
      expect((await specs('put', '/a', { a: 5 }).expect(200)).body).toEqual({ a: '5' });
      await specs('post', '', {}).expect(400);
      await specs('post', '', { extra_specs: [] }).expect(400);
      await face
        .as('root', 'post', '/flavors/none/os-extra_specs')
        .send({ extra_specs: { a: 'b' } })
        .expect(404);
    });
  });

  it("counts all of a flavor's disks, and servers keep a copy of them", async () => {
    await make({ id: 'one', 'OS-FLV-EXT-DATA:ephemeral': 5, swap: 1025 }).expect(200);
    const { body } = await face.as('bob', 'post', '/v1/servers').send({ name: 's', flavor: 'one' }).expect(202);
    expect(body).toMatchObject({ disk_gb: 17, flavor: { disk_gb: 10, ephemeral_gb: 5, swap_mb: 1025 } });
  });

  it('and of the native face are the same', async () => {
    const native = { name: 'n', id: 'n', vcpus: 2, ram_mb: 64, swap_mb: 7, ephemeral_gb: 3, description: 'told' };
    const { body } = await face
      .as('root', 'post', '/v1/flavors')
      .send({ ...native, is_public: false })
      .expect(201);
    expect(body).toMatchObject({ ...native, disk_gb: 0, is_public: false });
    const shown = (await face.as('root', 'get', '/flavors/n', '2.75').expect(200)).body.flavor;
    expect(shown).toMatchObject({ swap: 7, 'OS-FLV-EXT-DATA:ephemeral': 3, 'os-flavor-access:is_public': false });
  });
});
