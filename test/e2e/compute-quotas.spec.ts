import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { type ComputeApi, startComputeApi } from '../support/compute-users.js';
import { insertHost } from '../support/rest-api.js';

describe('quotas, limits and usage of the compute face', () => {
  let face: ComputeApi;
  let hostId: string;
  beforeAll(async () => {
    face = await startComputeApi(inject('databaseUrl'));
    hostId = (await insertHost(face.api, { name: 'host-1' })).id;
  });
  afterAll(() => face?.close());
  beforeEach(() => face.api.sql('TRUNCATE quotas, servers, keypairs, server_groups CASCADE'));

  const quotas = async (user: 'root' | 'bob', version = '2.57', rest = ''): Promise<Record<string, unknown>> =>
    (await face.as(user, 'get', `/os-quota-sets/red${rest}`, version).expect(200)).body.quota_set;
  const set = (quota_set: object, version = '2.57') =>
    face.as('root', 'put', '/os-quota-sets/red', version).send({ quota_set });

  /** As the scheduler would have placed it, and the agent ended it. */
  async function server(
    project: string,
    name: string,
    hoursAgo: number,
    endedHoursAgo: number | null,
  ): Promise<string> {
    const id = randomUUID();
    const request = { serverName: name, projectId: project, vcpus: 2, memoryMb: 512, diskGb: 10, devices: [] };
    const [status, ended] = endedHoursAgo === null ? ['ACTIVE', 0] : ['DELETED', endedHoursAgo];
    await face.api.sql(
      `INSERT INTO servers (id, name, project_id, status, request, host_id, created_at, updated_at)
       VALUES ($1, $2, $3, $4, $5, $6, now() - $7 * interval '1 hour', now() - $8 * interval '1 hour')`,
      [id, name, project, status, JSON.stringify(request), hostId, hoursAgo, ended],
    );
    await face.api.sql(
      `INSERT INTO claims (id, server_id, host_id, attempt, status, vcpus, memory_mb, disk_gb, created_at)
       SELECT $1, id, host_id, 1, $3, 2, 512, 10, created_at FROM servers WHERE id = $2`,
      [randomUUID(), id, endedHoursAgo === null ? 'allocated' : 'released'],
    );
    return id;
  }

  it('are set, shown and taken back', async () => {
    const before = await quotas('bob');
    expect(before).toMatchObject({ id: 'red', instances: -1, cores: -1, ram: -1, key_pairs: 100, server_groups: -1 });
    const changes = { instances: '5', cores: 8, ram: 4096, key_pairs: 7, server_groups: 3, force: 'True' };
    const { body } = await set(changes).expect(200);
    const after = { instances: 5, cores: 8, ram: 4096, key_pairs: 7, server_groups: 3, metadata_items: 128 };
    expect(body.quota_set).toEqual({ ...after, server_group_members: -1 });
    expect(await quotas('bob')).toMatchObject(after);
    expect(await quotas('bob', '2.57', '/defaults')).toEqual(before);
    const native = (await face.as('bob', 'get', '/v1/quotas').expect(200)).body.quotas;
    expect(native).toContainEqual(expect.objectContaining({ resource: 'servers', own_limit: 5 }));
    expect(JSON.stringify(native)).not.toContain('kept:');
    await face
      .as('root', 'put', '/v1/quotas/red')
      .send({ limits: { 'alias:gpu': 2 } })
      .expect(200);
    expect(await quotas('bob')).toMatchObject({ instances: -1, key_pairs: 7 });
    await face.as('root', 'delete', '/os-quota-sets/red').expect(202);
    expect(await quotas('bob')).toEqual(before);
    const limits = (await face.as('root', 'get', '/v1/quotas?project_id=red').expect(200)).body.quotas;
    expect(limits).toContainEqual(expect.objectContaining({ resource: 'alias:gpu', own_limit: 2 }));
  });

  it('hold: for servers, and for keypairs', async () => {
    await set({ cores: 0, key_pairs: 0 }).expect(200);
    const refused = await face.as('bob', 'post', '/v1/servers').send({ name: 's', vcpus: 1 }).expect(403);
    expect(refused.body.code).toBe('quota.exceeded');
    await face
      .as('bob', 'post', '/os-keypairs')
      .send({ keypair: { name: 'k' } })
      .expect(403);
    await set({ cores: -1, key_pairs: -1 }).expect(200);
    await face.as('bob', 'post', '/v1/servers').send({ name: 's', vcpus: 1 }).expect(202);
    await face
      .as('bob', 'post', '/os-keypairs')
      .send({ keypair: { name: 'k' } })
      .expect(200);
  });

  it('are not set below what is used, but by force', async () => {
    await server('red', 'one', 2, null);
    await server('red', 'two', 2, null);
    expect((await quotas('bob', '2.57', '/detail'))['instances']).toEqual({ limit: -1, in_use: 2, reserved: 0 });
    const { body } = await set({ instances: 1 }).expect(400);
    expect(body.badRequest.message).toContain('quota_set.instances');
    await set({ instances: 2, cores: -1 }).expect(200);
    await set({ instances: 1, force: true }).expect(200);
  });

  it.each([
    ['2.1', { instances: -2 }],
    ['2.1', { instances: 2_147_483_648 }],
    ['2.1', { instances: 'many' }],
    ['2.1', { networks: 5 }],
    ['2.36', { fixed_ips: 5 }],
    ['2.57', { injected_files: 5 }],
    ['2.57', { instances: 5, colour: 5 }],
  ])('refuse at %s %j', async (version, quota_set) => {
    await set(quota_set, version).expect(400);
    expect(await quotas('bob')).toMatchObject({ instances: -1 });
  });

  it('are of projects, not of users', async () => {
    await face.as('bob', 'get', '/os-quota-sets/red?user_id=bob').expect(200);
    for (const method of ['put', 'delete'] as const) {
      await face
        .as('root', method, '/os-quota-sets/red?user_id=bob')
        .send({ quota_set: { ram: 1 } })
        .expect(400);
    }
    await face.as('bob', 'get', '/os-quota-sets/red?colour=red', '2.75').expect(400);
  });

  it("of others are administrators' business", async () => {
    for (const path of ['/os-quota-sets/blue', '/os-quota-sets/blue/detail', '/limits?tenant_id=blue']) {
      await face.as('bob', 'get', path).expect(403);
      await face.as('root', 'get', path).expect(200);
    }
    await face
      .as('bob', 'put', '/os-quota-sets/red')
      .send({ quota_set: { ram: 1 } })
      .expect(403);
    await face.as('bob', 'get', '/os-quota-class-sets/default').expect(403);
  });

  it('have a class for every project', async () => {
    const before = (await face.as('root', 'get', '/os-quota-class-sets/default').expect(200)).body.quota_class_set;
    expect(before.id).toBe('default');
    const { id: _, ...keys } = before as Record<string, number>;
    const more = Object.fromEntries(Object.entries(keys).map(([key, limit]) => [key, limit + 100]));
    const changed = await face.as('root', 'put', '/os-quota-class-sets/default').send({ quota_class_set: more });
    expect(changed.body.quota_class_set).toEqual(more);
    expect(await quotas('bob', '2.1')).toMatchObject(more);
    await face.as('root', 'get', '/os-quota-class-sets/gold').expect(404);
    await face
      .as('root', 'put', '/os-quota-class-sets/default')
      .send({ quota_class_set: { force: true } })
      .expect(400);
    const late = face.as('root', 'put', '/os-quota-class-sets/default', '2.50');
    await late.send({ quota_class_set: { fixed_ips: 1 } }).expect(400);
  });

  it('are told as limits, with what is used', async () => {
    await server('red', 'one', 2, null);
    await face.as('bob', 'post', '/v1/server-groups').send({ name: 'g', policy: 'affinity' }).expect(201);
    const { body } = await face.as('bob', 'get', '/limits?reserved=1').expect(200);
    expect(body.limits.absolute).toMatchObject({
      ...{ totalInstancesUsed: 1, totalCoresUsed: 2, totalRAMUsed: 512, totalServerGroupsUsed: 1 },
      ...{ maxTotalInstances: -1, maxTotalKeypairs: 100, maxImageMeta: 128 },
    });
    await face.as('bob', 'get', '/limits?reserved=1', '2.75').expect(400);
  });

  describe('usage', () => {
    const ago = (hours: number): string => new Date(Date.now() - hours * 3_600_000).toISOString().slice(0, -1);
    const usage = (user: 'root' | 'bob', rest: string, version = '2.1') =>
      face.as(user, 'get', `/os-simple-tenant-usage${rest}`, version);

    it('counts servers that are there and servers that are gone', async () => {
      await server('red', 'alive', 3, null);
      const gone = await server('red', 'gone', 5, 4);
      await server('red', 'long gone', 50, 40);
      await server('blue', 'other', 1, null);
      const window = `start=${ago(24)}&end=${ago(-24)}`;
      const { body } = await usage('bob', `/red?${window}`).expect(200);
      const { tenant_usage: own } = body;
      expect(own.total_hours).toBeCloseTo(4, 1);
      expect(own.total_memory_mb_usage).toBeCloseTo(4 * 512, -1);
      expect(own.server_usages).toHaveLength(2);
      expect(own.server_usages[0]).toMatchObject({ instance_id: gone, state: 'terminated', uptime: 3600 });
      const all = (await usage('root', `?${window}&detailed=1`).expect(200)).body.tenant_usages;
      expect(all.map((one: object) => Object.keys(one).length)).toEqual([8, 8]);
      const brief = (await usage('root', `?${window}`).expect(200)).body.tenant_usages;
      expect(brief[0]).not.toHaveProperty('server_usages');
      const shorter = (await usage('bob', `/red?start=${ago(2)}&end=${ago(1)}`).expect(200)).body.tenant_usage;
      expect(shorter.total_hours).toBeCloseTo(1, 5);
      expect((await usage('root', `/green?${window}`).expect(200)).body).toEqual({ tenant_usage: {} });
    });

    it('does not count what was never placed', async () => {
      await face.as('bob', 'post', '/v1/servers').send({ name: 's', vcpus: 1 }).expect(202);
      expect((await usage('bob', `/red?start=${ago(1)}`).expect(200)).body).toEqual({ tenant_usage: {} });
    });

    it('has pages from 2.40 on', async () => {
      for (const [name, hours] of [['c', 1], ['a', 3], ['b', 2]] as const) await server('red', name, hours, null); // prettier-ignore
      const { body } = await usage('bob', `/red?start=${ago(24)}&limit=2`, '2.40').expect(200);
      expect(body.tenant_usage.server_usages.map((one: { name: string }) => one.name)).toEqual(['a', 'b']);
      const next = new URL(body.tenant_usage_links[0].href as string);
      const second = (await usage('bob', `/red${next.search}`, '2.40').expect(200)).body;
      expect(second.tenant_usage.server_usages.map((one: { name: string }) => one.name)).toEqual(['c']);
      expect(second).not.toHaveProperty('tenant_usage_links');
      const unpaged = (await usage('bob', `/red?start=${ago(24)}&limit=2`, '2.39').expect(200)).body;
      expect(unpaged.tenant_usage.server_usages).toHaveLength(3);
    });

    it.each([
      ...['start=2026-11-22T00:00:00&end=2026-11-21T00:00:00', 'start=yesterday', 'end=2026-13-01T00:00:00'],
      ...['start=2026-11-22', 'marker=nothing', `marker=${randomUUID()}`, 'limit=-1'],
    ])('refuses ?%s', async (query) => {
      await usage('bob', `/red?${query}`, '2.40').expect(400);
      await usage('root', `?${query}`, '2.40').expect(400);
    });

    it("of others is administrators' business, and a project has a name", async () => {
      await usage('bob', '').expect(403);
      await usage('bob', '/blue').expect(403);
      await usage('root', `/?start=${ago(1)}`).expect(404);
      await usage('bob', '/red?colour=red', '2.75').expect(400);
      await usage('bob', `/red?start=${encodeURIComponent('2026-11-20 00:00:00.123456')}`, '2.74').expect(200);
    });
  });

  it('extensions are those that are served', async () => {
    const { body } = await face.as('bob', 'get', '/extensions').expect(200);
    expect(body.extensions).toContainEqual(expect.objectContaining({ alias: 'os-keypairs', links: [] }));
    const one = (await face.as('bob', 'get', '/extensions/os-keypairs').expect(200)).body;
    expect(body.extensions).toContainEqual(one.extension);
    await face.as('bob', 'get', '/extensions/os-consoles').expect(404);
  });

  it('versions are the first, which knew no versions, and 2.1; each is found where its link says', async () => {
    const { body } = await face.api.http.get('/compute').expect(200);
    expect(body.versions.map((version: { id: string }) => version.id)).toEqual(['v2.0', 'v2.1']);
    for (const { id, links } of body.versions as { id: string; links: { rel: string; href: string }[] }[]) {
      const shown = await face.api.http.get(new URL(links[0]?.href ?? '').pathname).expect(200);
      expect(shown.body.version).toMatchObject({ id, links: expect.arrayContaining(links) });
    }
    await face.api.http.get('/v2/extensions').auth('bob', 'a password').expect(200);
    await face.api.http.get('/v2/red/extensions').auth('bob', 'a password').expect(200);
    await face.api.http.get('/v2/blue/extensions').auth('bob', 'a password').expect(400);
  });
});
