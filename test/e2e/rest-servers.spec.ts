import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { insertAllocations, insertHost, type RestApi, startRestApi } from '../support/rest-api.js';

const NOBODY = '00000000-0000-4000-8000-000000000000';

describe('a server over REST, from wish to end', () => {
  let api: RestApi;
  let serverId: string;
  beforeAll(async () => {
    api = await startRestApi(inject('databaseUrl'));
    const gpu = { vendor_id: '10de', product_id: '1bb0', device_type: 'type-PCI' };
    await api.http
      .post('/v1/aliases')
      .send({ name: 'gpu', numa_policy: 'preferred', ...gpu })
      .expect(201);
    const extra_specs = { 'pci_passthrough:alias': 'gpu:1', 'hw:numa_nodes': '2' };
    await api.http
      .post('/v1/flavors')
      .send({ name: 'm1.gpu', vcpus: 4, ram_mb: 8192, disk_gb: 40, extra_specs })
      .expect(201);
  });
  afterAll(() => api?.close());

  it('is accepted and waits, with the nudge in the outbox', async () => {
    const answer = await api.http.post('/v1/servers').send({ name: 'first', flavor: 'm1.gpu' }).expect(202);
    serverId = answer.body.id;
    expect(answer.headers['location']).toBe(`/v1/servers/${serverId}`);
    expect(answer.body).toMatchObject({
      name: 'first',
      project_id: 'default',
      status: 'BUILD',
      task_state: 'scheduling',
      host: null,
      simulated: false,
      flavor: { name: 'm1.gpu', ram_mb: 8192 },
      vcpus: 4,
      ram_mb: 8192,
      disk_gb: 40,
      requested_devices: [{ alias: 'gpu', count: 1, numa_policy: 'preferred' }],
      fault: null,
      devices: [],
      decision_id: null,
    });
    expect(answer.body.events.map((event: { event: string }) => event.event)).toEqual(['requested']);
    const outbox = await api.sql<{ queue: string; message: { type: string; body: object } }>('SELECT * FROM outbox');
    expect(outbox).toMatchObject([
      { queue: 'berth.requests', message: { type: 'server.requested', body: { server_id: serverId } } },
    ]);
    const [row] = await api.sql<{ request: object }>('SELECT request FROM servers WHERE id = $1', [serverId]);
    expect(row?.request).toMatchObject({
      serverName: 'first',
      memoryMb: 8192,
      guestCells: [
        { vcpus: 2, memoryMb: 4096 },
        { vcpus: 2, memoryMb: 4096 },
      ],
      devices: [{ alias: 'gpu', count: 1, numaPolicy: 'preferred', specs: [{ vendorId: '10de', productId: '1bb0' }] }],
    });
  });

  it('takes ad-hoc devices without a flavor, as text or as a list, and beside one', async () => {
    const text = await api.http.post('/v1/servers').send({ name: 'ad-hoc', devices: 'gpu:2' }).expect(202);
    expect(text.body).toMatchObject({
      flavor: null,
      vcpus: 1,
      ram_mb: 512,
      disk_gb: 0,
      requested_devices: [{ alias: 'gpu', count: 2 }],
    });
    const devices = [{ alias: 'gpu', count: 1, numa_policy: 'required' }];
    const list = await api.http.post('/v1/servers').send({ name: 'list', devices, vcpus: 0, ram_mb: 0 }).expect(202);
    expect(list.body).toMatchObject({
      vcpus: 0,
      requested_devices: [{ alias: 'gpu', count: 1, numa_policy: 'required' }],
    });
    const both = await api.http.post('/v1/servers').send({ name: 'both', flavor: 'm1.gpu', devices }).expect(202);
    expect(both.body.requested_devices).toHaveLength(2);
  });

  it('lets the image property override the alias', async () => {
    const body = { name: 'image', flavor: 'm1.gpu', image_properties: { hw_pci_numa_affinity_policy: 'required' } };
    const answer = await api.http.post('/v1/servers').send(body).expect(202);
    expect(answer.body.requested_devices[0].numa_policy).toBe('required');
  });

  it('is written once for one idempotency key', async () => {
    const send = (name: string) =>
      api.http.post('/v1/servers').set('Idempotency-Key', 'create-1').send({ flavor: 'm1.gpu', name });
    const answers = await Promise.all([send('same'), send('same'), send('same')]);
    expect(answers.map((answer) => answer.status)).toEqual([202, 202, 202]);
    expect(new Set(answers.map((answer) => answer.headers['location'])).size).toBe(1);
    const [count] = await api.sql<{ count: string }>(`SELECT count(*) FROM servers WHERE name = 'same'`);
    expect(Number(count?.count)).toBe(1);
    expect((await send('other')).status).toBe(422);
  });

  it('shows a claimed device without attachment, and an active one with it', async () => {
    const group = { iommu_group: 25 };
    const host = await insertHost(api, {
      name: 'compute-1',
      kernelKind: 'simulated',
      devices: [group, { ...group, address: '0000:83:00.1', product_id: '10f0', class_code: '040300' }],
    });
    const devices = [
      { id: host.deviceIds[0] as string, alias: 'gpu' },
      { id: host.deviceIds[1] as string, alias: null },
    ];
    await insertAllocations(api, { serverId, hostId: host.id, active: false, devices });
    const claimed = (await api.http.get(`/v1/servers/${serverId}`).expect(200)).body;
    expect(claimed).toMatchObject({ status: 'BUILD', task_state: 'preparing', host: 'compute-1', simulated: true });
    expect(claimed.devices[0]).toMatchObject({
      address: '0000:83:00.0',
      driver: null,
      vfio: null,
      libvirt_hostdev_xml: null,
      qemu_args: null,
      cdi_device: null,
      iommu_group: 25,
    });
    expect(claimed.container).toBeNull();

    await api.sql(`UPDATE servers SET status = 'ACTIVE', task_state = NULL WHERE id = $1`, [serverId]);
    await api.sql(
      `UPDATE allocations a SET binding = json_build_object('address', d.address, 'driver', 'vfio-pci',
         'original_driver', 'nvidia', 'iommu_group', 25) FROM devices d WHERE d.id = a.device_id AND a.server_id = $1`,
      [serverId],
    );
    const active = (await api.http.get(`/v1/servers/${serverId}`).expect(200)).body;
    expect(active.devices[0]).toMatchObject({
      address: '0000:83:00.0',
      alias: 'gpu',
      companion: false,
      simulated: true,
      driver: 'vfio-pci',
      iommu_group: 25,
      numa_node: 1,
      vfio: '/dev/vfio/25',
      qemu_args: ['-device', 'vfio-pci,host=0000:83:00.0'],
      cdi_device: 'berth.dev/pci=0000:83:00.0',
      libvirt_hostdev_xml:
        '<hostdev mode="subsystem" type="pci" managed="no"><driver name="vfio"/><source>' +
        '<address domain="0x0000" bus="0x83" slot="0x00" function="0x0"/></source></hostdev>',
    });
    expect(active.devices[1]).toMatchObject({ address: '0000:83:00.1', alias: null, companion: true });
    expect(active.container).toMatchObject({
      cdi_device: `berth.dev/pci=${serverId}`,
      cdi_spec: {
        kind: 'berth.dev/pci',
        devices: [serverId, '0000:83:00.0', '0000:83:00.1'].map((name) => ({ name })),
      },
      cdi_run_args: [`--device=berth.dev/pci=${serverId}`, '--ulimit=memlock=-1:-1'],
      run_args: [
        '--device=/dev/vfio/vfio:/dev/vfio/vfio:rw',
        '--device=/dev/vfio/25:/dev/vfio/25:rw',
        '--ulimit=memlock=-1:-1',
        '--env=PCIDEVICE_BERTH_DEV_PCI=0000:83:00.0,0000:83:00.1',
      ],
    });
    const owned = await api.http.get(`/v1/devices?server_id=${serverId}`).expect(200);
    expect(owned.body.devices.map((device: { owner: object }) => device.owner)).toMatchObject([
      { server_id: serverId, server_name: 'first', alias: 'gpu' },
      { server_id: serverId, alias: null },
    ]);
  });

  it('lists newest first, filters and pages', async () => {
    const all = (await api.http.get('/v1/servers').expect(200)).body.servers as { id: string; name: string }[];
    expect(all.map((server) => server.name)).toEqual(['same', 'image', 'both', 'list', 'ad-hoc', 'first']);
    const active = await api.http.get('/v1/servers?status=ACTIVE&host=compute-1').expect(200);
    expect(active.body.servers.map((server: { name: string }) => server.name)).toEqual(['first']);
    expect((await api.http.get('/v1/servers?name=list')).body.servers).toHaveLength(1);
    const names: string[] = [];
    let next: string | null = '/v1/servers?limit=4&status=BUILD';
    while (next !== null) {
      const page = (await api.http.get(next).expect(200)).body as { servers: { name: string }[]; next: string | null };
      names.push(...page.servers.map((server) => server.name));
      next = page.next;
    }
    expect(names).toEqual(['same', 'image', 'both', 'list', 'ad-hoc']);
  });

  it('shows recorded decisions in the words of the wire', async () => {
    const rejections = [
      {
        filter: 'PciPassthroughFilter',
        hosts: ['compute-1'],
        hostCount: 1,
        reasons: [{ code: 'device.all_in_use', message: 'all in use', details: {} }],
      },
    ];
    const record = { outcome: 'rejected', message: 'nowhere', rejections, hostsConsidered: 1 };
    await api.sql(
      `INSERT INTO decisions (id, server_id, attempt, outcome, record) VALUES (gen_random_uuid(), $1, 1, 'rejected', $2)`,
      [serverId, JSON.stringify(record)],
    );
    const fault = { code: 'placement.no_valid_host', message: 'nowhere', details: { rejections } };
    await api.sql(`UPDATE servers SET fault = $2 WHERE id = $1`, [serverId, JSON.stringify(fault)]);
    const { decisions } = (await api.http.get(`/v1/servers/${serverId}/decisions`).expect(200)).body;
    expect(decisions).toMatchObject([
      { attempt: 1, outcome: 'rejected', message: 'nowhere', hosts_considered: 1, host: null },
    ]);
    expect(decisions[0].rejections[0]).toMatchObject({ filter: 'PciPassthroughFilter', host_count: 1 });
    const shown = (await api.http.get(`/v1/servers/${serverId}`)).body;
    expect(shown.decision_id).toBe(decisions[0].id);
    expect(shown.fault.details.rejections[0].host_count).toBe(1);
  });

  it('ends at once when it holds nothing, and through the scheduler when it does', async () => {
    const { id } = (await api.http.post('/v1/servers').send({ name: 'short', flavor: 'm1.gpu' })).body as {
      id: string;
    };
    await api.http.delete(`/v1/servers/${id}`).expect(204);
    await api.http.delete(`/v1/servers/${id}`).expect(204);
    expect((await api.http.get(`/v1/servers/${id}`).expect(404)).body.code).toBe('server.unknown');

    await api.sql('DELETE FROM outbox');
    await api.http.delete(`/v1/servers/${serverId}`).expect(202);
    await api.http.delete(`/v1/servers/${serverId}`).expect(202);
    expect((await api.http.get(`/v1/servers/${serverId}`).expect(200)).body).toMatchObject({
      status: 'DELETING',
      task_state: 'releasing',
    });
    expect(await api.sql('SELECT message FROM outbox')).toMatchObject([
      { message: { type: 'server.deleted', body: { server_id: serverId } } },
    ]);
  });

  it('sees the claim of a scheduler that holds the server while it is deleted', async () => {
    const { body } = await api.http.post('/v1/servers').send({ name: 'raced', vcpus: 1 }).expect(202);
    const [host] = await api.sql<{ id: string }>('SELECT id FROM hosts');
    const scheduler = new pg.Client({ connectionString: api.databaseUrl });
    await scheduler.connect();
    await scheduler.query('BEGIN');
    await scheduler.query('SELECT 1 FROM servers WHERE id = $1 FOR UPDATE', [body.id]);
    const deleting = api.http.delete(`/v1/servers/${body.id}`).then((answer) => answer.status);
    await scheduler.query(
      `INSERT INTO claims (id, server_id, host_id, attempt, status, vcpus, memory_mb, disk_gb)
       VALUES (gen_random_uuid(), $1, $2, 1, 'claimed', 1, 512, 0)`,
      [body.id, host?.id],
    );
    await scheduler.query('SELECT pg_sleep(0.3)');
    await scheduler.query('COMMIT');
    await scheduler.end();
    expect(await deleting).toBe(202);
  });

  it('says that there is no such server', async () => {
    for (const path of [`/v1/servers/${NOBODY}`, '/v1/servers/first', `/v1/servers/${NOBODY}/decisions`]) {
      const answer = await api.http.get(path).expect(404);
      expect(answer.body.code).toBe('server.unknown');
    }
    await api.http.delete(`/v1/servers/${NOBODY}`).expect(404);
  });
});
