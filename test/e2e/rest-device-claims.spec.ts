import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { berth } from '../support/cli.js';
import { insertAllocations, insertHost, type RestApi, startRestApi, wireDevice } from '../support/rest-api.js';

const [GPU, AUDIO, PORT, ALONE, NIC] = ['0000:83:00.0', '0000:83:00.1', '0000:80:02.0', '0000:90:00.0', '0000:02:00.0'];
const NOT_OFFERED = { offer: null, not_offered: 'no entry' };

describe('device claims over REST', () => {
  let api: RestApi;
  let host: { id: string; deviceIds: string[] };
  beforeAll(async () => {
    api = await startRestApi(inject('databaseUrl'));
  });
  afterAll(() => api?.close());
  beforeEach(async () => {
    await api.sql('TRUNCATE hosts, servers, outbox CASCADE');
    const reasons = [{ code: 'default_route', text: 'carries the default route (eth0)', remedy: 'move it' }];
    host = await insertHost(api, {
      name: 'node-1',
      devices: [
        wireDevice({ address: GPU, driver: 'nvidia' }),
        wireDevice({
          ...NOT_OFFERED,
          address: AUDIO,
          product_id: '10f0',
          class_code: '040300',
          driver: 'snd_hda_intel',
        }),
        wireDevice({ ...NOT_OFFERED, address: PORT, class_code: '060400', driver: 'pcieport' }),
        wireDevice({ address: ALONE, driver: 'nvidia', iommu_group: 30 }),
        wireDevice({
          ...{ ...NOT_OFFERED, address: NIC, driver: 'igb', iommu_group: 4, netdevs: ['eth0'] },
          protection: { reasons, overridden: false },
        }),
      ],
    });
  });

  const PATH = '/v1/hosts/node-1/device-claims';
  const preview = (address: string) => api.http.get(`${PATH}/preview?address=${address}`);
  const commands = () => api.sql<{ queue: string; message: object }>(`SELECT queue, message FROM outbox ORDER BY id`);

  it('shows before what would be taken, with drivers, and what stays', async () => {
    const { body } = await preview('83:00.0').expect(200);
    expect(body).toMatchObject({
      ...{ host: 'node-1', address: GPU, claimable: true, refusals: [], stays: [] },
      takes: [
        { address: GPU, companion: false, driver: 'nvidia', binds_to: 'vfio-pci', offered: true, server: null },
        {
          address: AUDIO,
          companion: true,
          driver: 'snd_hda_intel',
          binds_to: 'vfio-pci',
          offered: false,
          protection: [],
        },
      ],
      bridges: [{ address: PORT, companion: false }],
    });
    expect(await commands()).toEqual([]);
  });

  it('takes companions only when they are named, and tells the agent just these', async () => {
    const silent = await api.http.post(PATH).send({ address: GPU }).expect(409);
    expect(silent.body).toMatchObject({ code: 'device_claim.companions' });
    expect(silent.body.detail).toContain(`${AUDIO} (driver snd_hda_intel) would be taken along and is not named`);
    const more = await api.http
      .post(PATH)
      .send({ address: GPU, companions: [AUDIO, ALONE] })
      .expect(409);
    expect(more.body.detail).toContain(`${ALONE} is named and would not be taken along`);
    expect(await commands()).toEqual([]);
    const { body } = await api.http
      .post(PATH)
      .send({ address: '83:00.0', companions: ['83:00.1'] })
      .expect(202);
    expect(body).toMatchObject({
      ...{ host: 'node-1', address: GPU, state: 'pending', ends: false, step: null, held_by: null, message: null },
      devices: [
        { address: GPU, companion: false, driver: 'nvidia', original_driver: null, server: null },
        { address: AUDIO, companion: true, driver: 'snd_hda_intel' },
      ],
    });
    const devices = [{ address: GPU, vendor_id: '10de', product_id: '1bb0' }, { address: AUDIO }];
    expect(await commands()).toMatchObject([
      {
        queue: 'berth.agent.node-1',
        message: { type: 'device_claims.set', body: { claims: [{ claim_id: body.id, address: GPU, devices }] } },
      },
    ]);
    const again = await api.http
      .post(PATH)
      .send({ address: AUDIO, companions: [GPU] })
      .expect(409);
    expect(again.body.detail).toContain(`${AUDIO}: claimed: the claim on ${GPU} has it`);
    expect((await api.http.get(PATH).expect(200)).body).toEqual({ host: 'node-1', device_claims: [body] });
    expect((await api.http.get(`${PATH}/${body.id}`).expect(200)).body).toEqual(body);
  });

  it('ends, and can be asked to end again', async () => {
    const { body } = await api.http.post(PATH).send({ address: ALONE }).expect(202);
    for (let time = 1; time <= 2; time += 1) {
      const ended = await api.http.delete(`${PATH}/${body.id}`).expect(202);
      expect(ended.body).toMatchObject({ id: body.id, state: 'releasing', ends: true });
      expect((await commands()).at(-1)).toMatchObject({ message: { body: { claims: [{ ends: true }] } } });
    }
    const actions = await api.sql(
      `SELECT body->>'action' AS action FROM audit_pending WHERE body->>'claim_id' = $1 ORDER BY id`,
      [body.id],
    );
    expect(actions).toEqual([{ action: 'device_claim.create' }, { action: 'device_claim.delete' }]);
  });

  it('refuses what the host needs, what a server has, and all of a read-only host, with remedies', async () => {
    const kept = await api.http.post(PATH).send({ address: NIC }).expect(409);
    expect(kept.body).toMatchObject({ code: 'device_claim.refused' });
    expect(kept.body.detail).toContain(
      `${NIC}: protected: the host needs it: it carries the default route (eth0); move it`,
    );
    const { body: server } = await api.http.post('/v1/servers').send({ name: 'owner', vcpus: 1 }).expect(202);
    const devices = [{ id: host.deviceIds[0] ?? '', alias: null }];
    await insertAllocations(api, { serverId: server.id as string, hostId: host.id, active: true, devices });
    const used = await api.http
      .post(PATH)
      .send({ address: AUDIO, companions: [GPU] })
      .expect(409);
    expect(used.body.detail).toContain(`${GPU}: in_use: server owner (${server.id}) has it`);
    await api.sql(`UPDATE hosts SET read_only = true`);
    const { body } = await preview(ALONE).expect(200);
    expect(body).toMatchObject({ claimable: false, refusals: [{ code: 'read_only', address: null }] });
  });

  it.each<[object, string]>([
    [{}, 'address'],
    [{ address: 7 }, 'address'],
    [{ address: ALONE, companions: GPU }, 'companions'],
    [{ address: ALONE, companions: [7] }, 'companions'],
    [{ address: ALONE, teapot: true }, 'teapot'],
  ])('refuses %j', async (sent, field) => {
    const { body } = await api.http.post(PATH).send(sent).expect(400);
    expect((body.errors as { field: string }[]).map((error) => error.field)).toEqual([field]);
    expect(await commands()).toEqual([]);
  });

  it('knows no other hosts, devices and claims', async () => {
    await api.http.post(PATH).send({ address: 'nonsense' }).expect(400);
    await api.http.get(`${PATH}/preview`).expect(400);
    await preview('0000:99:00.0').expect(404);
    await api.http.post(PATH).send({ address: '0000:99:00.0' }).expect(404);
    await api.http.get('/v1/hosts/node-2/device-claims').expect(404);
    for (const id of ['nonsense', '99999999-9999-4999-8999-999999999999']) {
      await api.http.get(`${PATH}/${id}`).expect(404);
      await api.http.delete(`${PATH}/${id}`).expect(404);
    }
  });

  it('can be said on the command line', async () => {
    const url = new URL((await api.http.get('/v1/hosts')).request.url as string).origin;
    const claim = async (...words: string[]): Promise<{ code: number; out: string }> => {
      const { code, stdout, stderr } = await berth(['device', 'claim', ...words], { BERTH_URL: url });
      return { code, out: stdout + stderr };
    };
    const shown = await claim('preview', 'node-1', GPU);
    expect(shown.code).toBe(0);
    expect(shown.out).toMatch(/0000:83:00\.1 +taken along +10de:10f0 +040300 +snd_hda_intel +vfio-pci/);
    const kept = await claim('preview', 'node-1', NIC);
    expect([kept.code, kept.out]).toEqual([1, expect.stringContaining('protected: the host needs it')]);
    const silent = await claim('create', 'node-1', GPU);
    expect([silent.code, silent.out]).toEqual([2, expect.stringContaining('would be taken along')]);
    const made = await claim('create', 'node-1', GPU, '--with-companions', '--wait', '--timeout', '1');
    expect(made.code).toBe(1);
    expect(made.out).toMatch(/pending +0000:83:00\.0 +10de:1bb0 +nvidia/);
    await api.sql(
      `UPDATE device_claims SET state = 'blocked', held_by = 'server 7', message = 'Server 7 has it', step = 'check'`,
    );
    const list = await claim('list', 'node-1');
    expect([list.code, list.out]).toEqual([0, expect.stringContaining('Server 7 has it (check, held by server 7)')]);
    expect((await claim('show', 'node-1', '83:00.1')).out).toMatch(/blocked +0000:83:00\.0/);
    const ended = await claim('delete', 'node-1', GPU);
    expect([ended.code, ended.out]).toEqual([0, expect.stringMatching(/releasing +0000:83:00\.0/)]);
  });
});
