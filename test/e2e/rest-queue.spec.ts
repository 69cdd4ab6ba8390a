import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { insertAllocations, insertHost, type RestApi, startRestApi } from '../support/rest-api.js';

const NOBODY = '00000000-0000-4000-8000-000000000000';
const GPU = { vendor_id: '10de', product_id: '1bb0' };

let api: RestApi;
beforeAll(async () => {
  api = await startRestApi(inject('databaseUrl'));
  await api.http
    .post('/v1/aliases')
    .send({ name: 'gpu', numa_policy: 'preferred', device_type: 'type-PCI', ...GPU })
    .expect(201);
});
afterAll(() => api?.close());
beforeEach(() => api.sql('TRUNCATE hosts, servers, outbox, idempotency_keys CASCADE'));

const fieldOf = (body: { errors?: { field: string }[] }): string | undefined => body.errors?.[0]?.field;

describe('servers of one call', () => {
  it('are as many as the most that is asked for, with one reservation, and one answer for one key', async () => {
    const body = { name: 'ring', devices: 'gpu:1', min_count: 2, max_count: 3, wait: true };
    const first = await api.http.post('/v1/servers').set('idempotency-key', 'k').send(body).expect(202);
    const { id, servers } = first.body;
    expect(first.body).toMatchObject({ name: 'ring-1', reservation_id: id, wait: true, waiting_since: null });
    expect(servers).toEqual(
      ['ring-1', 'ring-2', 'ring-3'].map((name, index) => ({
        ...{ id: index === 0 ? id : expect.any(String), name },
        href: `/v1/servers/${servers[index].id}`,
      })),
    );
    const again = await api.http.post('/v1/servers').set('idempotency-key', 'k').send(body).expect(202);
    expect(again.headers['idempotency-replayed']).toBe('true');
    expect(again.body.servers).toEqual(servers);
    expect(await api.sql('SELECT gang_min, gang_place FROM servers ORDER BY gang_place')).toEqual(
      [1, 2, 3].map((gang_place) => ({ gang_min: 2, gang_place })),
    );
    expect(await api.sql('SELECT 1 FROM outbox')).toHaveLength(1);
    await api.http
      .post('/v1/servers')
      .set('idempotency-key', 'k')
      .send({ ...body, max_count: 4 })
      .expect(422);
  });

  it('that need not be placed together are each nudged', async () => {
    const { body } = await api.http
      .post('/v1/servers')
      .send({ name: 'vm', devices: 'gpu:1', max_count: 2 })
      .expect(202);
    expect(body.servers).toHaveLength(2);
    expect(await api.sql('SELECT 1 FROM outbox')).toHaveLength(2);
    expect(await api.sql('SELECT 1 FROM servers WHERE gang_min IS NOT NULL')).toEqual([]);
  });

  it('one alone has neither a number nor a reservation', async () => {
    const { body } = await api.http
      .post('/v1/servers')
      .send({ name: 'vm', devices: 'gpu:1', min_count: 1 })
      .expect(202);
    expect(body).toMatchObject({ name: 'vm', reservation_id: null });
    expect(body).not.toHaveProperty('servers');
  });

  it.each([
    [{ min_count: 3, max_count: 2 }, 'max_count'],
    [{ min_count: 0 }, 'min_count'],
    [{ max_count: 100_000 }, 'max_count'],
    [{ max_count: 10, name: 'n'.repeat(254) }, 'name'],
    [{ wait: 'yes' }, 'wait'],
  ])('%j is refused', async (differing, field) => {
    const { body } = await api.http
      .post('/v1/servers')
      .send({ name: 'vm', devices: 'gpu:1', ...differing })
      .expect(400);
    expect(fieldOf(body)).toBe(field);
    expect(await api.sql('SELECT 1 FROM servers')).toEqual([]);
  });
});

describe('GET /v1/queue', () => {
  it('is empty at first, and refuses a marker that is no position', async () => {
    expect((await api.http.get('/v1/queue').expect(200)).body).toEqual({ servers: [], next: null });
    expect(fieldOf((await api.http.get('/v1/queue?marker=first').expect(400)).body)).toBe('marker');
  });

  it('a waiting server can be deleted, and is at once gone', async () => {
    const { body } = await api.http.post('/v1/servers').send({ name: 'vm', devices: 'gpu:1', wait: true }).expect(202);
    await api.sql(`UPDATE servers SET task_state = 'waiting', queued_at = now(), queue_rank = 0`);
    expect((await api.http.get(`/v1/servers/${body.id}`)).body).toMatchObject({
      queue_position: 1,
      task_state: 'waiting',
    });
    await api.http.delete(`/v1/servers/${body.id}`).expect(204);
    expect((await api.http.get('/v1/queue')).body.servers).toEqual([]);
  });
});

describe('POST /v1/placements/preemption-preview', () => {
  it('says who would have to leave, and writes nothing', async () => {
    const { id: hostId, deviceIds } = await insertHost(api, { name: 'a', devices: [{}] });
    const ask = { name: 'low', devices: 'gpu:1', preemptible: true, priority: 2 };
    const { body: low } = await api.http.post('/v1/servers').send(ask).expect(202);
    await insertAllocations(api, {
      ...{ serverId: low.id, hostId, active: true },
      devices: [{ id: deviceIds[0] ?? '', alias: 'gpu' }],
    });
    await api.sql('UPDATE hosts SET generation = generation + 1');
    const preview = (body: object) => api.http.post('/v1/placements/preemption-preview').send(body);
    expect((await preview({ devices: 'gpu:1', priority: 3 }).expect(200)).body).toEqual({
      ...{ outcome: 'preempts', host: 'a', least: true, message: expect.stringMatching(/^No valid host: /) },
      victims: [{ server_id: low.id, name: 'low', project_id: 'default', priority: 2, devices: ['0000:83:00.0'] }],
    });
    expect((await preview({ devices: 'gpu:1', priority: 2 })).body).toMatchObject({ outcome: 'rejected', victims: [] });
    expect((await preview({ vcpus: 1 })).body).toMatchObject({ outcome: 'fits', host: 'a', message: null });
    await preview({ devices: 'none:1' }).expect(400);
    expect((await api.http.get(`/v1/servers/${low.id}`)).body).toMatchObject({ status: 'ACTIVE', task_state: null });
  });
});

describe('devices of a running server', () => {
  /** An ACTIVE server with two GPUs in one IOMMU group, both asked for. */
  async function running(): Promise<{ id: string; path: string; devices: string[] }> {
    const addresses = ['0000:83:00.0', '0000:83:00.1'];
    const { id: hostId, deviceIds } = await insertHost(api, {
      name: 'a',
      devices: addresses.map((address) => ({ address })),
    });
    const { body } = await api.http.post('/v1/servers').send({ name: 'vm', devices: 'gpu:2' }).expect(202);
    const devices = deviceIds.map((id) => ({ id, alias: 'gpu' }));
    await insertAllocations(api, { serverId: body.id, hostId, active: true, devices });
    await api.sql('DELETE FROM outbox');
    return { id: body.id, path: `/v1/servers/${body.id}/devices`, devices: deviceIds };
  }

  it('are asked for: the server stays ACTIVE, and the scheduler is nudged; only one wish at a time', async () => {
    const { id, path, devices } = await running();
    const answer = await api.http
      .post(path)
      .send({ devices: [{ alias: 'gpu', count: 1 }] })
      .expect(202);
    expect(answer.body).toMatchObject({ id, status: 'ACTIVE', task_state: 'attaching' });
    expect(await api.sql('SELECT message FROM outbox')).toMatchObject([
      { message: { type: 'server.requested', body: { server_id: id } } },
    ]);
    const again = await api.http.post(path).send({ devices: 'gpu:1' }).expect(409);
    expect(again.body).toMatchObject({ code: 'server.invalid_status' });
    await api.http.delete(`${path}/${devices[0]}`).expect(409);
  });

  it('go along with what shares their IOMMU group: refused where that was asked for too, unless forced', async () => {
    const { path, devices } = await running();
    const refused = await api.http.delete(`${path}/${devices[0]}`).expect(409);
    expect(refused.body).toMatchObject({
      code: 'device.wanted',
      detail: expect.stringContaining('0000:83:00.1 (gpu)'),
    });
    expect(await api.sql('SELECT 1 FROM outbox')).toEqual([]);
    const { body } = await api.http.delete(`${path}/${devices[0]}?force=true`).expect(202);
    expect(body.detaching.map(({ address }: { address: string }) => address)).toEqual(['0000:83:00.0', '0000:83:00.1']);
    expect(await api.sql('SELECT queue, message FROM outbox')).toMatchObject([
      {
        queue: 'berth.agent.a',
        message: {
          type: 'devices.release',
          body: { split_from: { addresses: ['0000:83:00.0', '0000:83:00.1'] } },
        },
      },
    ]);
  });

  it.each<[string, object]>([
    ['nothing', {}],
    ['an empty text', { devices: '' }],
    ['an empty list', { devices: [] }],
    ['a text that is none', { devices: 'gpu:' }],
    ['an alias that there is not', { devices: 'none:1' }],
    ['more than devices', { devices: 'gpu:1', vcpus: 4 }],
  ])('%s is refused', async (_name, body) => {
    const { path } = await running();
    await api.http.post(path).send(body).expect(400);
    expect(await api.sql('SELECT 1 FROM outbox')).toEqual([]);
  });

  it('of a server that does not run, or is not, are refused; so is a device that it does not have', async () => {
    const { path, devices } = await running();
    const { body } = await api.http.post('/v1/servers').send({ name: 'new', devices: 'gpu:1' }).expect(202);
    await api.http.post(`/v1/servers/${body.id}/devices`).send({ devices: 'gpu:1' }).expect(409);
    await api.http.post(`/v1/servers/${NOBODY}/devices`).send({ devices: 'gpu:1' }).expect(404);
    await api.http.delete(`/v1/servers/${NOBODY}/devices/${devices[0]}`).expect(404);
    await api.http.delete(`${path}/${NOBODY}`).expect(404);
    await api.http.delete(`${path}/0000:83:00.0`).expect(404);
    await api.http.delete(`${path}/${devices[0]}?force=maybe`).expect(400);
  });
});
