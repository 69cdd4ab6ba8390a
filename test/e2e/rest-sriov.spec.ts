import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { berth } from '../support/cli.js';
import { insertAllocations, insertHost, type RestApi, startRestApi, wireDevice } from '../support/rest-api.js';

const [PF, VF, PLAIN] = ['0000:81:00.0', '0000:81:02.0', '0000:90:00.0'];
const NIC = { vendor_id: '8086', product_id: '1572', class_code: '020000', offer: null, not_offered: 'no entry' };

describe('VFs over REST', () => {
  let api: RestApi;
  let host: { id: string; deviceIds: string[] };
  beforeAll(async () => {
    api = await startRestApi(inject('databaseUrl'));
  });
  afterAll(() => api?.close());
  beforeEach(async () => {
    await api.sql('TRUNCATE hosts, servers, outbox CASCADE');
    const pf = { ...NIC, address: PF, device_type: 'type-PF', driver: 'i40e' } as const;
    host = await insertHost(api, {
      name: 'node-1',
      devices: [
        wireDevice({ ...pf, netdevs: ['ens1f0'], sriov: { total_vfs: 64, num_vfs: 1 } }),
        wireDevice({ address: VF, product_id: '154c', device_type: 'type-VF', parent_address: PF }),
        wireDevice({ address: PLAIN }),
      ],
    });
  });

  const path = (address?: string) => `/v1/hosts/node-1/sriov${address ? `/${address}` : ''}`;
  const commands = () => api.sql<{ queue: string; message: object }>(`SELECT queue, message FROM outbox ORDER BY id`);

  it('lists PFs and who says what shall be', async () => {
    const told = {
      ...{
        address: PF,
        source: 'file',
        where: '/etc/berth/agent.yaml:9',
        vf_count: 8,
        state: 'refused',
        step: 'check',
      },
      ...{ errno: null, message: 'its VF is in use', vfs: [] },
    };
    await api.sql(`UPDATE hosts SET sriov = $1`, [JSON.stringify([told])]);
    const { body } = await api.http.get(path()).expect(200);
    expect(body).toEqual({
      host: 'node-1',
      pfs: [
        {
          ...{ address: PF, vendor_id: '8086', product_id: '1572', driver: 'i40e', netdevs: ['ens1f0'] },
          ...{ num_vfs: 1, total_vfs: 64 },
          wanted: {
            ...{ source: 'file', where: '/etc/berth/agent.yaml:9', vf_count: 8, autoprobe: null, vfs: null },
            ...{
              state: 'refused',
              step: 'check',
              errno: null,
              message: 'its VF is in use',
              vf_problems: [],
              asked_at: null,
            },
          },
        },
      ],
    });
    await api.http.get('/v1/hosts/node-2/sriov').expect(404);
  });

  it('takes down a wish and tells the agent all that is wished', async () => {
    const vfs = { '*': { trust: false }, '0': { mac: '02:00:00:00:00:01' } };
    const { body } = await api.http.put(path('81:00.0')).send({ vf_count: 8, autoprobe: false, vfs }).expect(202);
    expect(body).toMatchObject({
      ...{ address: PF, num_vfs: 1 },
      wanted: { source: 'ledger', vf_count: 8, autoprobe: false, vfs, state: 'applying', step: null },
    });
    expect(await commands()).toMatchObject([
      {
        queue: 'berth.agent.node-1',
        message: { type: 'sriov.set', body: { wishes: [{ address: PF, vf_count: 8, autoprobe: false, vfs }] } },
      },
    ]);
    const [pf] = await api.sql(`SELECT status, status_reason FROM devices WHERE address = $1`, [PF]);
    expect(pf).toEqual({ status: 'reserved', status_reason: 'the number of its VFs is being changed' });
    await api.http.delete(path(PF)).expect(204);
    expect(await api.sql(`SELECT status, status_reason FROM devices WHERE address = $1`, [PF])).toEqual([
      { status: 'available', status_reason: null },
    ]);
    expect((await commands()).at(-1)).toMatchObject({ message: { body: { wishes: [] } } });
    await api.http.delete(path(PF)).expect(404);
  });

  it('refuses a change while a server has a VF, and names it', async () => {
    const { body: server } = await api.http.post('/v1/servers').send({ name: 'owner', vcpus: 1 }).expect(202);
    const devices = [{ id: host.deviceIds[1] ?? '', alias: null }];
    await insertAllocations(api, { serverId: server.id as string, hostId: host.id, active: true, devices });
    const { body } = await api.http.put(path(PF)).send({ vf_count: 0 }).expect(409);
    expect(body).toMatchObject({ code: 'sriov.in_use' });
    expect(body.detail).toContain(`${VF} (server owner, ${server.id})`);
    await api.http
      .put(path(PF))
      .send({ vf_count: 1, vfs: { 0: { vlan: 5 } } })
      .expect(202);
  });

  it.each<[object, string]>([
    [{}, 'vf_count'],
    [{ vf_count: 65 }, 'vf_count'],
    [{ vf_count: -1 }, 'vf_count'],
    [{ vf_count: '8' }, 'vf_count'],
    [{ vf_count: 8, autoprobe: 'no' }, 'autoprobe'],
    [{ vf_count: 8, vfs: [] }, 'vfs'],
    [{ vf_count: 8, vfs: { 8: {} } }, 'vfs.8'],
    [{ vf_count: 8, vfs: { 0: { vlan: 5000 } } }, 'vfs.0.vlan'],
    [{ vf_count: 8, vfs: { 0: { mac: 'x; reboot' } } }, 'vfs.0.mac'],
    [{ vf_count: 8, teapot: true }, 'teapot'],
  ])('refuses %j', async (sent, field) => {
    const { body } = await api.http.put(path(PF)).send(sent).expect(400);
    expect((body.errors as { field: string }[]).map((error) => error.field)).toEqual([field]);
    expect(await commands()).toEqual([]);
  });

  it.each([
    [PLAIN, 404],
    [VF, 404],
    ['0000:99:00.0', 404],
    ['nonsense', 400],
  ])('has nothing to say of %s', async (address, status) => {
    await api.http.put(path(address)).send({ vf_count: 1 }).expect(status);
  });

  it('can be said on the command line', async () => {
    const url = new URL((await api.http.get('/v1/hosts')).request.url as string).origin;
    const sriov = async (...words: string[]): Promise<{ code: number; out: string }> => {
      const { code, stdout, stderr } = await berth(['sriov', ...words], { BERTH_URL: url });
      return { code, out: stdout + stderr };
    };
    const set = await sriov('set', 'node-1', PF, '--vf-count', '8', '--autoprobe', 'off', '--vfs', '{"0":{"vlan":7}}');
    expect(set.code).toBe(0);
    expect(set.out).toMatch(/\| wanted +\| 8 +\|\n\| said_by +\| ledger +\|\n\| state +\| applying +\|/);
    expect(await commands()).toMatchObject([
      { message: { body: { wishes: [{ vf_count: 8, autoprobe: false, vfs: { 0: { vlan: 7 } } }] } } },
    ]);
    const waited = await sriov('set', 'node-1', PF, '--vf-count', '9', '--wait', '--timeout', '1');
    expect(waited.code).toBe(1);
    await api.sql(`UPDATE sriov_wishes SET state = 'refused', message = 'no room'`);
    const list = await sriov('list', 'node-1');
    expect([list.code, list.out]).toEqual([0, expect.stringMatching(/0000:81:00\.0 \| ens1f0 .*\| no room +\|/)]);
    expect(await sriov('unset', 'node-1', PF)).toEqual({ code: 0, out: '' });
    expect((await sriov('list', 'node-1')).out).not.toContain('ledger');
  });
});
