import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { insertAllocations, insertHost, type RestApi, startRestApi, wireDevice } from '../support/rest-api.js';

const PF = '0000:05:00.0';
const NIC = { vendor_id: '8086', product_id: '10ed' };

describe('devices that an admin holds', () => {
  let api: RestApi;
  let ids: { pf: string; vf: string; gpu: string; used: string };
  beforeAll(async () => {
    api = await startRestApi(inject('databaseUrl'));
    const host = await insertHost(api, {
      name: 'node-1',
      devices: [
        wireDevice({ ...NIC, address: PF, device_type: 'type-PF', iommu_group: 30 }),
        wireDevice({ ...NIC, address: '0000:05:10.0', device_type: 'type-VF', parent_address: PF, iommu_group: 31 }),
        wireDevice({ address: '0000:83:00.0', iommu_group: 32 }),
        wireDevice({ address: '0000:84:00.0', iommu_group: 33 }),
      ],
    });
    const [pf, vf, gpu, used] = host.deviceIds as [string, string, string, string];
    ids = { pf, vf, gpu, used };
    const { body } = await api.http.post('/v1/servers').send({ name: 'owner', vcpus: 1 }).expect(202);
    const devices = [{ id: used, alias: null }];
    await insertAllocations(api, { serverId: body.id, hostId: host.id, active: true, devices });
  });
  afterAll(() => api?.close());

  const post = (id: string, event: string, body?: object) => api.http.post(`/v1/devices/${id}/${event}`).send(body);
  const shown = async (id: string): Promise<[string, string | null]> => {
    const { body } = await api.http.get(`/v1/devices/${id}`).expect(200);
    return [body.status, body.status_reason];
  };
  const generation = async (): Promise<unknown> => api.sql('SELECT generation FROM hosts');

  it('is reserved with a reason, and given back', async () => {
    const before = await generation();
    const { body } = await post(ids.gpu, 'reserve', { reason: 'for the demo on Friday' }).expect(200);
    expect(body).toMatchObject({ id: ids.gpu, status: 'reserved', status_reason: 'for the demo on Friday' });
    expect(await generation()).not.toEqual(before);
    const list = await api.http.get('/v1/devices?status=reserved').expect(200);
    expect(list.body.devices).toMatchObject([{ id: ids.gpu }]);
    const back = await post(ids.gpu, 'unreserve').expect(200);
    expect(back.body).toMatchObject({ status: 'available', status_reason: null });
  });

  it('is put into quarantine with its card, and repaired', async () => {
    await post(ids.pf, 'quarantine', { reason: 'ECC errors' }).expect(200);
    expect([await shown(ids.pf), await shown(ids.vf)]).toEqual([
      ['quarantined', 'ECC errors'],
      ['unclaimable', null],
    ]);
    await post(ids.vf, 'quarantine', { reason: 'so is this' }).expect(200);
    await post(ids.pf, 'repair').expect(200);
    expect([await shown(ids.pf), await shown(ids.vf)]).toEqual([
      ['unclaimable', null],
      ['quarantined', 'so is this'],
    ]);
    await post(ids.vf, 'repair').expect(200);
    expect([await shown(ids.pf), await shown(ids.vf)]).toEqual([
      ['available', null],
      ['available', null],
    ]);
  });

  it.each(['reserve', 'quarantine'])('of a server is left alone by %s', async (event) => {
    const { body } = await post(ids.used, event, { reason: 'mine' }).expect(409);
    expect(body).toMatchObject({ code: 'device.invalid_status', detail: expect.stringContaining('is allocated') });
    expect(await shown(ids.used)).toEqual(['allocated', null]);
  });

  it.each(['unreserve', 'repair'])('has to be held for %s', async (event) => {
    const { body } = await post(ids.gpu, event).expect(409);
    expect(body).toMatchObject({ code: 'device.invalid_status' });
  });

  it.each<[string, object | undefined]>([
    ['no body', undefined],
    ['no reason', {}],
    ['a blank one', { reason: '  ' }],
    ['one that is too long', { reason: 'x'.repeat(256) }],
    ['a number', { reason: 7 }],
    ['a further key', { reason: 'x', until: 'Friday' }],
  ])('is not held for %s', async (_name, body) => {
    await post(ids.gpu, 'reserve', body).expect(400);
    expect(await shown(ids.gpu)).toEqual(['available', null]);
  });

  it('is unknown under another id', async () => {
    const { body } = await post(randomUUID(), 'repair').expect(404);
    expect(body).toMatchObject({ code: 'device.unknown' });
    await post('gpu', 'repair').expect(404);
  });
});
