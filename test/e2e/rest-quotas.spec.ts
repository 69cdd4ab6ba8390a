import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { berth, type Ended } from '../support/cli.js';
import { insertAllocations, insertHost, type RestApi, startRestApi } from '../support/rest-api.js';

const GPU = { vendor_id: '10de', product_id: '1bb0' };

let api: RestApi;
let deviceIds: string[];
let hostId: string;

beforeAll(async () => {
  api = await startRestApi(inject('databaseUrl'));
  await api.http
    .post('/v1/aliases')
    .send({ name: 'gpu', numa_policy: 'preferred', device_type: 'type-PCI', ...GPU })
    .expect(201);
});
afterAll(() => api?.close());
beforeEach(async () => {
  await api.sql('TRUNCATE hosts, servers, outbox, idempotency_keys, quotas CASCADE');
  const devices = [1, 2, 3, 4].map((slot) => ({ address: `0000:8${slot}:00.0`, iommu_group: slot }));
  ({ id: hostId, deviceIds } = await insertHost(api, { name: 'node-1', devices }));
});

/** A server that runs with the next of the host's devices. */
async function running(name: string, count: number, from = 0): Promise<string> {
  const { body } = await api.http
    .post('/v1/servers')
    .send({ name, devices: `gpu:${count}` })
    .expect(202);
  const devices = deviceIds.slice(from, from + count).map((id) => ({ id, alias: 'gpu' }));
  await insertAllocations(api, { serverId: body.id, hostId, active: true, devices });
  return body.id;
}

interface Quota {
  readonly resource: string;
  readonly hard_limit: number;
}

const quotaOf = (body: { quotas: Quota[] }, name: string): Quota | undefined =>
  body.quotas.find(({ resource }) => resource === name);

const put = (limits: object, project = 'default') => api.http.put(`/v1/quotas/${project}`).send({ limits });

describe('quotas of a project', () => {
  it('are unlimited at first, and tell what is used', async () => {
    await running('vm', 2);
    const { body } = await api.http.get('/v1/quotas').expect(200);
    expect(body).toMatchObject({ project_id: 'default', hints: [] });
    expect(quotaOf(body, 'alias:gpu')).toEqual({
      ...{ resource: 'alias:gpu', hard_limit: -1, own_limit: null, default_limit: null, used: 2 },
    });
    expect(quotaOf(body, 'class:10de:1bb0')).toMatchObject({ used: 2 });
    expect(body.quotas.map(({ resource }: Quota) => resource).slice(0, 5)).toEqual([
      ...['servers', 'vcpus', 'memory_mb', 'disk_gb', 'devices'],
    ]);
  });

  it('are set as a whole, changed one by one, merged with the defaults, and removed', async () => {
    await put({ servers: 5, 'alias:gpu': 3 }, '*').expect(200);
    const set = await put({ 'alias:gpu': 8, devices: -1 }).expect(200);
    expect(quotaOf(set.body, 'alias:gpu')).toMatchObject({ hard_limit: 8, own_limit: 8, default_limit: 3 });
    expect(quotaOf(set.body, 'servers')).toMatchObject({ hard_limit: 5, own_limit: null, default_limit: 5 });
    const changed = await api.http
      .patch('/v1/quotas/default')
      .send({ limits: { servers: -1, 'alias:gpu': null, vcpus: 64 } })
      .expect(200);
    expect(quotaOf(changed.body, 'alias:gpu')).toMatchObject({ hard_limit: 3, own_limit: null });
    expect(quotaOf(changed.body, 'servers')).toMatchObject({ hard_limit: -1, own_limit: -1 });
    expect(quotaOf(changed.body, 'vcpus')).toMatchObject({ hard_limit: 64 });
    const again = await put({ disk_gb: 9 }).expect(200);
    expect(quotaOf(again.body, 'vcpus')).toMatchObject({ hard_limit: -1 });
    await api.http.delete('/v1/quotas/default').expect(204);
    await api.http.delete('/v1/quotas/default').expect(204);
    const { body } = await api.http.get('/v1/quotas?project_id=default').expect(200);
    expect(quotaOf(body, 'disk_gb')).toMatchObject({ hard_limit: -1, own_limit: null });
    const defaults = await api.http.get('/v1/quotas?project_id=*').expect(200);
    expect(quotaOf(defaults.body, 'servers')).toMatchObject({ hard_limit: 5, used: null });
  });

  it('below what is used, and of an alias that does not exist, are taken with a hint', async () => {
    await running('vm', 2);
    const { body } = await put({ 'alias:gpu': 1, 'alias:gpuu': 4 }).expect(200);
    expect(body.hints).toEqual([
      'alias:gpu: 2 used, above the limit of 1; nothing is taken away, and nothing more is given out.',
      'alias:gpuu: there is no alias "gpuu"; did you mean "gpu"?',
    ]);
  });

  it.each([
    [{}, 'limits'],
    [{ limits: [] }, 'limits'],
    [{ limits: null }, 'limits'],
    [{ limits: 'gpu=1' }, 'limits'],
    [{ limits: { gpu: 1 } }, 'limits'],
    [{ limits: { alias: 1 } }, 'limits'],
    [{ limits: { 'alias:': 1 } }, 'limits'],
    [{ limits: { [`alias:${'x'.repeat(256)}`]: 1 } }, 'limits'],
    [{ limits: { 'alias:a\u0000b': 1 } }, 'limits'],
    [{ limits: { 'class:gold': 1 } }, 'limits'],
    [{ limits: { 'class:10DE:20B0': 1 } }, 'limits'],
    [{ limits: { 'class:10de:20b0:1': 1 } }, 'limits'],
    [{ limits: { devices: -2 } }, 'limits'],
    [{ limits: { devices: 1.5 } }, 'limits'],
    [{ limits: { devices: '4' } }, 'limits'],
    [{ limits: { devices: null } }, 'limits'],
    [{ limits: { devices: 1e13 } }, 'limits'],
    [{ limits: { devices: { hard_limit: 1 } } }, 'limits'],
    [{ limits: Object.fromEntries(Array.from({ length: 257 }, (_unused, n) => [`alias:a${n}`, 1])) }, 'limits'],
    [{ limits: {}, quota: 1 }, 'quota'],
  ])('body no. %# is refused', async (body, field) => {
    const { body: problem } = await api.http.put('/v1/quotas/default').send(body).expect(400);
    expect(problem).toMatchObject({ code: 'request.invalid', errors: [{ field }] });
    expect(await api.sql('SELECT 1 FROM quotas')).toEqual([]);
  });

  it('says what a mistyped resource may have meant', async () => {
    const { body } = await put({ server: 1 }).expect(400);
    expect(body.errors[0].problem).toMatch(/^server: is no resource; .*did you mean "servers"/);
  });

  it('has no more limits after many changes than one call may set', async () => {
    const many = (prefix: string): object =>
      Object.fromEntries(Array.from({ length: 200 }, (_unused, n) => [`alias:${prefix}${n}`, 1]));
    await put(many('a')).expect(200);
    await api.http
      .patch('/v1/quotas/default')
      .send({ limits: many('b') })
      .expect(400);
    expect(await api.sql('SELECT 1 FROM quotas')).toHaveLength(200);
  });

  it.each(['/v1/quotas/a%00b', `/v1/quotas/${'p'.repeat(300)}`])(
    'a path with a name that nothing can have, no. %#',
    async (path) => {
      await api.http.put(path).send({ limits: {} }).expect(404);
    },
  );

  it('refuses queries that it does not know', async () => {
    await api.http.get('/v1/quotas?project=x').expect(400);
    await api.http.get('/v1/quotas?project_id=').expect(400);
    await api.http.get('/v1/quotas?project_id=a&project_id=b').expect(400);
  });
});

describe('what a quota refuses', () => {
  const ask = (devices: string, more: object = {}) =>
    api.http.post('/v1/servers').send({ name: 'vm', devices, ...more });

  it('a server that would be above it is not even written down', async () => {
    await put({ 'alias:gpu': 3 }).expect(200);
    await running('first', 2);
    await ask('gpu:1').expect(202);
    const { body } = await ask('gpu:2').expect(403);
    expect(body).toMatchObject({
      code: 'quota.exceeded',
      detail: 'Project default is at its quota of alias:gpu: the limit is 3, 2 used, 2 more wanted.',
    });
    expect(await api.sql('SELECT 1 FROM servers')).toHaveLength(2);
  });

  it('counts each resource, and the least of several servers', async () => {
    await put({ vcpus: 4 }).expect(200);
    await api.http.post('/v1/servers').send({ name: 'vm', vcpus: 5 }).expect(403);
    await put({ 'class:10de:1bb0': 1 }).expect(200);
    await ask('gpu:2').expect(403);
    await put({ servers: 2 }).expect(200);
    await ask('gpu:1', { min_count: 3 }).expect(403);
    await ask('gpu:1', { min_count: 2, max_count: 3 }).expect(202);
  });

  it('one that may wait is refused only when it could never be had', async () => {
    await put({ 'alias:gpu': 2 }).expect(200);
    await running('first', 2);
    await ask('gpu:1').expect(403);
    await ask('gpu:1', { wait: true }).expect(202);
    await ask('gpu:3', { wait: true }).expect(403);
  });

  it('the same key gets the same answer when the quota is used up meanwhile', async () => {
    const body = { name: 'vm', devices: 'gpu:1' };
    const first = await api.http.post('/v1/servers').set('idempotency-key', 'k').send(body).expect(202);
    await put({ servers: 0 }).expect(200);
    const again = await api.http.post('/v1/servers').set('idempotency-key', 'k').send(body).expect(202);
    expect(again.body.id).toBe(first.body.id);
  });

  it('devices for a running server', async () => {
    const id = await running('vm', 2);
    await put({ 'alias:gpu': 2 }).expect(200);
    await api.http.post(`/v1/servers/${id}/devices`).send({ devices: 'gpu:1' }).expect(403);
    await put({ 'alias:gpu': 3, servers: 0 }).expect(200);
    await api.http.post(`/v1/servers/${id}/devices`).send({ devices: 'gpu:1' }).expect(202);
  });

  it('a dry run says no, with the quota as the reason, for both audiences', async () => {
    await running('vm', 1);
    await put({ 'class:CUSTOM_PCI_10DE_1BB0': 1 }).expect(200);
    const dryRun = (view: string) =>
      api.http.post(`/v1/placements/dry-run?view=${view}`).send({ devices: 'gpu:1' }).expect(200);
    const message =
      'Project default is at its quota of class:CUSTOM_PCI_10DE_1BB0: the limit is 1, 1 used, 1 more wanted.';
    for (const view of ['admin', 'project']) {
      const { body } = await dryRun(view);
      expect(body).toMatchObject({
        ...{ outcome: 'rejected', host: null, devices: [], message },
        rejections: [
          {
            ...{ filter: 'Quota', hosts: [], host_count: 0 },
            reasons: [
              {
                code: 'quota.exceeded',
                details: { resource: 'class:CUSTOM_PCI_10DE_1BB0', limit: 1, used: 1, wanted: 1 },
              },
            ],
          },
        ],
      });
    }
    await put({}).expect(200);
    expect((await dryRun('admin')).body).toMatchObject({ outcome: 'placed', host: 'node-1' });
  });

  it('whoever waits for a quota is looked at again when it changes', async () => {
    const { body } = await ask('gpu:1', { wait: true }).expect(202);
    await api.sql(
      `UPDATE servers SET task_state = 'waiting', queued_at = now(), queue_rank = 1, fault = '{"code": "quota.exceeded"}'`,
    );
    await api.sql('TRUNCATE outbox');
    await put({ 'alias:gpu': 1 }, 'other').expect(200);
    expect(await api.sql('SELECT 1 FROM outbox')).toEqual([]);
    await put({ 'alias:gpu': 1 }, '*').expect(200);
    await put({ 'alias:gpu': 1 }).expect(200);
    const nudges = await api.sql<{ id: string }>(`SELECT message #>> '{body,server_id}' AS id FROM outbox`);
    expect(nudges.map(({ id }) => id)).toEqual([body.id, body.id]);
  });
});

describe('berth quota', () => {
  const run = (...words: string[]): Promise<Ended> =>
    berth(['quota', ...words], { BERTH_URL: new URL(api.http.get('/').url).origin });

  it('sets, shows and deletes', async () => {
    await running('vm', 2);
    const set = await run('set', 'alias:gpu=1', 'servers=unlimited', '--project', 'default');
    expect(set.code).toBe(0);
    expect(set.stdout).toMatch(/^\| Resource +\| Limit +\| Used +\| Own Limit +\| Default Limit +\|$/m);
    expect(set.stdout).toMatch(/^\| alias:gpu +\| 1 +\| 2 +\| 1 +\|  +\|$/m);
    expect(set.stdout).toMatch(/^\| servers +\| unlimited +\| 1 +\| unlimited +\|  +\|$/m);
    expect(set.stderr).toContain('note: alias:gpu: 2 used, above the limit of 1;');
    await run('set', 'devices=7', '--project', '*');
    const changed = await run('set', 'alias:gpu=default', '--project', 'default');
    expect(changed.stdout).toMatch(/^\| alias:gpu +\| unlimited +\| 2 +\| +\|  +\|$/m);
    expect(changed.stdout).toMatch(/^\| servers +\| unlimited +\| 1 +\| unlimited +\|  +\|$/m);
    const replaced = await run('set', 'vcpus=9', '--replace', '--project', 'default');
    expect(replaced.stdout).toMatch(/^\| servers +\| unlimited +\| 1 +\| +\|  +\|$/m);
    const removed = await run('delete', '--project', 'default');
    expect(removed.stdout).toMatch(/^\| vcpus +\| unlimited +\| 4 +\| +\|  +\|$/m);
    const { stdout } = await run('show', '--project', '*', '-f', 'json');
    expect(JSON.parse(stdout)).toContainEqual(expect.objectContaining({ resource: 'devices', limit: 7 }));
  });

  it.each([
    ['alias:gpu', 2, 'has to be RESOURCE=LIMIT'],
    ['alias:gpu=-1', 2, 'has to be RESOURCE=LIMIT'],
    ['=4', 2, 'has to be RESOURCE=LIMIT'],
    ['gpu=4', 1, 'is no resource'],
  ])('%s ends with %d', async (pair, wanted, problem) => {
    const { code, stderr } = await run('set', pair, '--project', 'default');
    expect(code).toBe(wanted);
    expect(stderr).toContain(problem);
  });
});
