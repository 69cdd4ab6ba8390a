import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { insertAllocations, insertHost, type RestApi, startRestApi } from '../support/rest-api.js';

const VF = { vendor_id: '8086', product_id: '154c', device_type: 'type-VF', parent_address: '0000:81:00.0' } as const;
const PF = { vendor_id: '8086', product_id: '1572', device_type: 'type-PF' } as const;
const offer = (tags: Record<string, string | null>) => ({ entry: 0, tags, resource_class: null, traits: [] });
const PHYSNET = offer({ physical_network: 'physnet1' });
const PORT = { vnic_type: 'direct', physical_network: 'physnet1' };
const SIZE = { vcpus: 1, ram_mb: 512 };
const GPU = { vendor_id: '10de', product_id: '1bb0', device_type: 'type-PCI' };
const ALIAS = 'pci_passthrough:alias';

interface ShownPort {
  readonly name: string;
  readonly numa_policy: string;
}

describe('ports of servers', () => {
  let api: RestApi;
  let host: { id: string; deviceIds: string[] };
  beforeAll(async () => {
    api = await startRestApi(inject('databaseUrl'));
    const [iommu, none] = [{ iommu_group: 1 }, { link: null, reset_methods: [] }];
    host = await insertHost(api, {
      name: 'net-1',
      devices: [
        { ...PF, ...none, address: '0000:81:00.0', iommu_group: 40, sriov: { total_vfs: 64, num_vfs: 3 }, offer: null },
        { ...VF, ...none, address: '0000:81:02.0', offer: PHYSNET, ...iommu },
        { ...VF, ...none, address: '0000:81:02.1', offer: PHYSNET, iommu_group: 2, serial_number: 'MT2103X01234' },
        { ...VF, ...none, address: '0000:81:0a.0', offer: offer({ physical_network: null }), iommu_group: 3 },
        { ...PF, ...none, address: '0000:82:00.0', iommu_group: 41, offer: PHYSNET },
      ],
    });
    await api.http
      .post('/v1/aliases')
      .send({ name: 'vf', vendor_id: '8086', product_id: '154c', device_type: 'type-VF' })
      .expect(201);
  });
  afterAll(() => api?.close());

  it('are kept with the server, and shown with a name', async () => {
    const ports = [
      { ...PORT, name: 'data', trusted: true, numa_policy: 'required' },
      { vnic_type: 'direct-physical', physical_network: 'physnet1' },
      { vnic_type: 'macvtap', physical_network: null },
      { vnic_type: 'virtio-forwarder', physical_network: 'physnet1' },
      { vnic_type: 'vdpa', physical_network: 'physnet1' },
      { vnic_type: 'remote-managed', physical_network: 'physnet1', trusted: false },
    ];
    const answer = await api.http.post('/v1/servers').send({ name: 'six', ports }).expect(202);
    const unplaced = { device_id: null, address: null, pf_address: null, binding_profile: null };
    expect(answer.body.ports).toEqual([
      { ...ports[0], ...unplaced },
      { name: 'port1', ...ports[1], trusted: null, numa_policy: 'legacy', ...unplaced },
      { name: 'port2', ...ports[2], trusted: null, numa_policy: 'legacy', ...unplaced },
      { name: 'port3', ...ports[3], trusted: null, numa_policy: 'legacy', ...unplaced },
      { name: 'port4', ...ports[4], trusted: null, numa_policy: 'legacy', ...unplaced },
      { name: 'port5', ...ports[5], numa_policy: 'legacy', ...unplaced },
    ]);
    expect(answer.body.requested_devices[0]).toMatchObject({ alias: null, port: 'data', count: 1 });
    expect(answer.body.events[0].message).toContain('port data, port port1, port port2');
  });

  it('come after the devices of flavor and request, and take their policy from flavor or image', async () => {
    const extra_specs = { [ALIAS]: 'vf:1', 'hw:pci_numa_affinity_policy': 'socket' };
    await api.http
      .post('/v1/flavors')
      .send({ name: 'm1.vf', ...SIZE, extra_specs })
      .expect(201);
    const ports = [PORT, { ...PORT, name: 'own', numa_policy: 'preferred' }];
    const both = await api.http
      .post('/v1/servers')
      .send({ name: 's', flavor: 'm1.vf', devices: 'vf:2', ports })
      .expect(202);
    expect(
      both.body.requested_devices.map((one: Record<string, unknown>) => [one['alias'] ?? one['port'], one['count']]),
    ).toEqual([
      ['vf', 1],
      ['vf', 2],
      ['port0', 1],
      ['own', 1],
    ]);
    expect(both.body.ports.map((port: ShownPort) => port.numa_policy)).toEqual(['socket', 'preferred']);
    const image_properties = { hw_pci_numa_affinity_policy: 'required' };
    const image = await api.http.post('/v1/servers').send({ name: 's', ports, image_properties }).expect(202);
    expect(image.body.ports.map((port: ShownPort) => port.numa_policy)).toEqual(['required', 'preferred']);
  });

  it('are placed like any other request, each on a device of its network', async () => {
    const dryRun = async (...ports: object[]) =>
      (await api.http.post('/v1/placements/dry-run').send({ ports }).expect(200)).body;
    const overlay = { ...PORT, physical_network: null, name: 'tunnel' };
    expect(await dryRun(overlay, { ...PORT, name: 'data' })).toMatchObject({
      outcome: 'placed',
      devices: [
        { address: '0000:81:0a.0', alias: null, port: 'tunnel', request_index: 0 },
        { address: '0000:81:02.0', alias: null, port: 'data', request_index: 1 },
      ],
    });
    expect(await dryRun({ ...PORT, vnic_type: 'direct-physical' })).toMatchObject({
      devices: [{ address: '0000:82:00.0' }],
    });
    expect(await dryRun({ ...PORT, trusted: true })).toMatchObject({
      outcome: 'rejected',
      rejections: [
        { reasons: [{ message: expect.stringContaining('no device for port port0 (direct, physnet1, trusted)') }] },
      ],
    });
  });

  it('keep their devices from aliases that do not name the network', async () => {
    const { body } = await api.http.post('/v1/placements/dry-run').send({ devices: 'vf:1' }).expect(200);
    expect(body).toMatchObject({
      outcome: 'rejected',
      rejections: [{ reasons: [{ code: 'device.exclusive_tag', details: { exclusive_tags: ['physical_network'] } }] }],
    });
  });

  it('show the binding profile of what they got, with only what is known', async () => {
    const ports = [
      { ...PORT, name: 'a' },
      { ...PORT, name: 'b', vnic_type: 'direct-physical' },
    ];
    const { id } = (await api.http.post('/v1/servers').send({ name: 'bound', ports }).expect(202)).body;
    const devices = [
      { id: host.deviceIds[2] as string, alias: 'by a port' },
      { id: host.deviceIds[4] as string, alias: 'by a port' },
      { id: host.deviceIds[1] as string, alias: null },
    ];
    await insertAllocations(api, { serverId: id, hostId: host.id, active: true, devices });
    await api.sql(
      `UPDATE allocations SET alias = NULL, request_index = CASE device_id WHEN $1 THEN 0 ELSE 1 END
                   WHERE alias IS NOT NULL`,
      [devices[0]?.id],
    );
    const shown = (await api.http.get(`/v1/servers/${id}`).expect(200)).body;
    expect(shown.ports).toEqual([
      {
        ...{ name: 'a', ...PORT, trusted: null, numa_policy: 'legacy' },
        ...{ device_id: devices[0]?.id, address: '0000:81:02.1', pf_address: '0000:81:00.0' },
        binding_profile: {
          pci_vendor_info: '8086:154c',
          pci_slot: '0000:81:02.1',
          physical_network: 'physnet1',
          vf_num: 1,
          card_serial_number: 'MT2103X01234',
        },
      },
      {
        ...{ name: 'b', ...PORT, vnic_type: 'direct-physical', trusted: null, numa_policy: 'legacy' },
        ...{ device_id: devices[1]?.id, address: '0000:82:00.0', pf_address: null },
        binding_profile: { pci_vendor_info: '8086:1572', pci_slot: '0000:82:00.0', physical_network: 'physnet1' },
      },
    ]);
    expect(
      shown.devices.map((one: Record<string, unknown>) => [
        one['address'],
        one['port'],
        one['alias'],
        one['companion'],
      ]),
    ).toEqual([
      ['0000:81:02.0', null, null, true],
      ['0000:81:02.1', 'a', null, false],
      ['0000:82:00.0', 'b', null, false],
    ]);
    const owned = (await api.http.get(`/v1/devices?server_id=${id}`).expect(200)).body.devices;
    expect(owned.map((one: { owner: { port: string | null } }) => one.owner.port)).toEqual([null, 'a', 'b']);
    // a VF that is not reported: which number the others have cannot be told any more
    await api.sql(`DELETE FROM devices WHERE address = '0000:81:0a.0'`);
    const less = (await api.http.get(`/v1/servers/${id}`).expect(200)).body;
    expect(less.ports[0].binding_profile).not.toHaveProperty('vf_num');
  });

  it.each<[string, unknown, string, string]>([
    ['no list', 'direct', 'ports', 'has to be a list of objects'],
    ['no object', ['direct'], 'ports[0]', 'has to be an object'],
    ['33 of them', Array.from({ length: 33 }, () => PORT), 'ports', 'has more than 32'],
    ['no type', [{ physical_network: null }], 'ports[0].vnic_type', 'has to be one of direct, direct-physical'],
    ['a mistyped type', [PORT, { ...PORT, vnic_type: 'derict' }], 'ports[1].vnic_type', 'did you mean "direct"?'],
    ['a type of no device', [{ ...PORT, vnic_type: 'normal' }], 'ports[0].vnic_type', 'has to be one of'],
    ['no network', [{ vnic_type: 'direct' }], 'ports[0].physical_network', 'or null for an overlay network'],
    ['an empty network', [{ ...PORT, physical_network: '' }], 'ports[0].physical_network', 'name of a network'],
    ['a blank network', [{ ...PORT, physical_network: ' ' }], 'ports[0].physical_network', 'name of a network'],
    ['a number', [{ ...PORT, physical_network: 1 }], 'ports[0].physical_network', 'name of a network'],
    ['a long one', [{ ...PORT, physical_network: 'x'.repeat(256) }], 'ports[0].physical_network', '1 to 255'],
    ['a zero byte', [{ ...PORT, physical_network: 'a\u0000' }], 'ports[0].physical_network', 'control character'],
    ['trust in words', [{ ...PORT, trusted: 'true' }], 'ports[0].trusted', 'true or false, without quotes'],
    ['a wrong policy', [{ ...PORT, numa_policy: 'requird' }], 'ports[0].numa_policy', 'did you mean "required"?'],
    ['an empty policy', [{ ...PORT, numa_policy: '' }], 'ports[0].numa_policy', 'is empty; say one of required'],
    ['a blank name', [{ ...PORT, name: ' ' }], 'ports[0].name', 'is blank'],
    ['one name twice', [{ ...PORT, name: 'a' }, PORT, { ...PORT, name: 'a' }], 'ports[2].name', 'the name of ports[0]'],
    ['a name that another gets', [PORT, { ...PORT, name: 'port0' }], 'ports[1].name', 'take another one'],
    ['an unknown key', [{ ...PORT, vnictype: 'vdpa' }], 'ports[0].vnictype', 'did you mean "vnic_type"?'],
  ])('are refused with %s', async (_what, ports, field, says) => {
    for (const path of ['/v1/servers', '/v1/placements/dry-run']) {
      const { body } = await api.http.post(path).send({ name: 's', ports }).expect(400);
      expect(body).toMatchObject({ code: 'request.invalid', errors: [{ field }] });
      expect(body.errors[0].problem).toContain(says);
    }
  });

  it('count among the requests of a server', async () => {
    const devices = Array.from({ length: 20 }, () => ({ alias: 'vf', count: 1 }));
    const ports = Array.from({ length: 13 }, () => PORT);
    const { body } = await api.http.post('/v1/servers').send({ name: 's', devices, ports }).expect(400);
    expect(body).toMatchObject({ code: 'server.invalid', detail: expect.stringContaining('33 device requests') });
    await api.http.post('/v1/servers').send({ name: 's', ports: [] }).expect(400);
  });
});

describe('what servers ask for', () => {
  let api: RestApi;
  beforeAll(async () => {
    api = await startRestApi(inject('databaseUrl'));
    for (const name of ['gpu', 'b b']) {
      await api.http
        .post('/v1/aliases')
        .send({ name, numa_policy: 'preferred', ...GPU })
        .expect(201);
    }
  });
  afterAll(() => api?.close());

  const wishes = (body: { requested_devices: { alias: string; count: number }[] }): string[] =>
    body.requested_devices.map(({ alias, count }) => `${alias}:${count}`);

  it.each<[string, string[]]>([
    ['gpu:1', ['gpu:1']],
    [' gpu : 2 , b b: 1', ['gpu:2', 'b b:1']],
    ['gpu:01', ['gpu:1']],
    ['gpu:1,gpu:2', ['gpu:1', 'gpu:2']],
  ])('"%s", in a flavor and without one', async (text, expected) => {
    const flavor = `f${expected.join('')}`.replaceAll(/[: ]/g, '-') + text.length;
    await api.http
      .post('/v1/flavors')
      .send({ name: flavor, ...SIZE, extra_specs: { [ALIAS]: text } })
      .expect(201);
    expect(wishes((await api.http.post('/v1/servers').send({ name: 's', flavor }).expect(202)).body)).toEqual(expected);
    const adHoc = await api.http.post('/v1/servers').send({ name: 's', devices: text }).expect(202);
    expect(wishes(adHoc.body)).toEqual(expected);
  });

  it.each<[string, string]>([
    ['c:1', 'there is no alias "c"'],
    ['GPU:1', 'there is no alias "GPU"; did you mean "gpu"?'],
    ['gpu', 'write name:count'],
    ['gpu:', 'the count has to be a whole number'],
    ['gpu:x', 'the count has to be a whole number'],
    ['gpu:1.5', 'the count has to be a whole number'],
    ['gpu:1:2', 'write name:count'],
    ['gpu:1,', 'remove the comma too many'],
    ['gpu:1,,b b:1', 'item 2, there is nothing'],
    ['', 'is empty'],
    [':1', 'the alias name before ":" is missing'],
    ['gpu:0', 'the count must be 1 or more'],
    ['gpu:-1', 'the count must be 1 or more'],
    ['gpu:257', 'the count must be 256 or less'],
  ])('"%s" is refused, in a flavor and without one', async (text, says) => {
    const extra_specs = { [ALIAS]: text };
    const flavor = await api.http.post('/v1/flavors').send({ name: 'f', ...SIZE, extra_specs });
    const adHoc = await api.http.post('/v1/servers').send({ name: 's', devices: text });
    for (const [answer, field] of [
      [flavor, `extra_specs.${ALIAS}`],
      [adHoc, 'devices'],
    ] as const) {
      expect(answer.status).toBe(400);
      expect(answer.body.errors[0]).toMatchObject({ field, problem: expect.stringContaining(says) });
    }
  });

  it.each<[string, object, string | null, string, string]>([
    ['an empty property', { hw_pci_numa_affinity_policy: '' }, null, 'request.invalid', 'is empty; say one of'],
    ['a wrong one', { hw_pci_numa_affinity_policy: 'sockets' }, null, 'request.invalid', 'did you mean "socket"?'],
    ['one of another case', { hw_pci_numa_affinity_policy: 'SOCKET' }, null, 'request.invalid', 'has to be one of'],
    ["another than the flavor's", { hw_pci_numa_affinity_policy: 'socket' }, 'm1.req', 'numa_policy.conflict', 'agree'],
  ])('image properties with %s are refused', async (_what, image_properties, flavor, code, says) => {
    const extra_specs = { 'hw:pci_numa_affinity_policy': 'required' };
    await api.http.post('/v1/flavors').send({ name: 'm1.req', ...SIZE, extra_specs });
    const body = { name: 's', image_properties, ...(flavor === null ? { devices: 'gpu:1' } : { flavor }) };
    const answer = await api.http.post('/v1/servers').send(body).expect(400);
    expect(answer.body).toMatchObject({
      code,
      errors: [{ field: 'image_properties.hw_pci_numa_affinity_policy', problem: expect.stringContaining(says) }],
    });
  });

  describe('Idempotency-Key', () => {
    const creates: Readonly<Record<string, (name: string) => object>> = {
      '/v1/aliases': (name) => ({ name, ...GPU }),
      '/v1/flavors': (name) => ({ name, ...SIZE, extra_specs: { [ALIAS]: 'gpu:1' } }),
      '/v1/servers': (name) => ({ name, devices: 'gpu:1', ports: [PORT] }),
    };

    it.each(Object.entries(creates))('%s: made once, replayed, and never for another request', async (path, body) => {
      const send = (key: string, given: object) => api.http.post(path).set('Idempotency-Key', key).send(given);
      const key = `key of ${path}`.replaceAll(' ', '-');
      const answers = await Promise.all([1, 2, 3].map(() => send(key, body('once'))));
      const status = path === '/v1/servers' ? 202 : 201;
      expect(answers.map((answer) => answer.status)).toEqual([status, status, status]);
      expect(new Set(answers.map((answer) => answer.headers['location'])).size).toBe(1);
      expect(answers.filter((answer) => answer.headers['idempotency-replayed'] === 'true')).toHaveLength(2);
      const other = await send(key, body('other')).expect(422);
      expect(other.body.code).toBe('idempotency.key_reused');
      await send(`${key}-2`, body('second')).expect(status);
    });

    it('tells requests that differ in a port', async () => {
      const send = (ports: object[]) =>
        api.http.post('/v1/servers').set('Idempotency-Key', 'ports').send({ name: 's', ports });
      const first = await send([PORT]).expect(202);
      expect((await send([PORT]).expect(202)).body.id).toBe(first.body.id);
      await send([{ ...PORT, trusted: true }]).expect(422);
      await send([PORT, PORT]).expect(422);
    });

    it('can be used again when its request was refused', async () => {
      const send = (vnic_type: string) =>
        api.http
          .post('/v1/servers')
          .set('Idempotency-Key', 'refused')
          .send({ name: 's', ports: [{ ...PORT, vnic_type }] });
      await send('normal').expect(400);
      await send('vdpa').expect(202);
    });
  });
});
