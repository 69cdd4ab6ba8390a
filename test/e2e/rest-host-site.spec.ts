import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { insertAllocations, insertHost, type RestApi, startRestApi } from '../support/rest-api.js';

let api: RestApi;
beforeAll(async () => {
  api = await startRestApi(inject('databaseUrl'));
  for (const name of ['node-1', 'node-2', 'node-3']) await insertHost(api, { name });
  await insertHost(api, { name: 'node-4', status: 'down' });
  const alias = { name: 'gpu', vendor_id: '10de', product_id: '1bb0', device_type: 'type-PCI' };
  await api.http.post('/v1/aliases').send(alias).expect(201);
});
afterAll(() => api?.close());

const generationOf = async (host: string): Promise<number> =>
  (await api.http.get(`/v1/hosts/${host}`).expect(200)).body.generation;

describe('aggregates over REST', () => {
  const PATH = '/v1/aggregates';

  it('are made, shown by name and by id, changed key by key, and deleted', async () => {
    const body = { name: 'fast nics', availability_zone: 'room-1', metadata: { ssd: 'true', rack: 'a' } };
    const made = await api.http.post(PATH).send(body).expect(201);
    expect(made.headers['location']).toBe(`${PATH}/${made.body.id}`);
    expect(made.body).toMatchObject({ ...body, hosts: [], host_count: 0, generation: 1 });
    const byName = await api.http.get(`${PATH}/fast%20nics`).expect(200);
    expect((await api.http.get(`${PATH}/${made.body.id}`).expect(200)).body).toEqual(byName.body);
    const changes = { name: 'nics', metadata: { ssd: null, speed: '100' } };
    const changed = await api.http.patch(`${PATH}/fast%20nics`).send(changes).expect(200);
    expect(changed.body).toMatchObject({
      ...{ name: 'nics', availability_zone: 'room-1', generation: 2 },
      metadata: { rack: 'a', speed: '100' },
    });
    const zoneless = await api.http.patch(`${PATH}/nics`).send({ availability_zone: null }).expect(200);
    expect(zoneless.body).toMatchObject({ name: 'nics', availability_zone: null, metadata: { rack: 'a' } });
    await api.http.delete(`${PATH}/nics`).expect(204);
    await api.http.get(`${PATH}/nics`).expect(404);
  });

  it('are made once for one idempotency key', async () => {
    const send = (name: string) => api.http.post(PATH).set('Idempotency-Key', 'aggregate-1').send({ name });
    const answers = [await send('once'), await send('once')];
    expect(answers.map(({ status }) => status)).toEqual([201, 201]);
    expect(answers[0]?.body.id).toBe(answers[1]?.body.id);
    expect((await send('twice')).status).toBe(422);
    await api.http.delete(`${PATH}/once`).expect(204);
  });

  it('take hosts in and let them go; each change is one that decisions see', async () => {
    await api.http.post(PATH).send({ name: 'ssd' }).expect(201);
    const before = [await generationOf('node-1'), await generationOf('node-2')];
    await api.http.put(`${PATH}/ssd/hosts/node-1`).expect(200);
    const both = await api.http.put(`${PATH}/ssd/hosts/node-2`).expect(200);
    expect(both.body).toMatchObject({ hosts: ['node-1', 'node-2'], host_count: 2, generation: 3 });
    expect((await api.http.put(`${PATH}/ssd/hosts/node-2`).expect(200)).body.generation).toBe(3);
    expect((await api.http.get('/v1/hosts/node-1').expect(200)).body).toMatchObject({
      ...{ aggregates: ['ssd'], availability_zone: 'nova', generation: (before[0] ?? 0) + 1 },
    });
    const listed = await api.http.get('/v1/hosts?aggregate=ssd').expect(200);
    expect(listed.body.hosts.map(({ name }: { name: string }) => name)).toEqual(['node-1', 'node-2']);
    await api.http
      .patch(`${PATH}/ssd`)
      .send({ metadata: { ssd: 'true' } })
      .expect(200);
    expect(await generationOf('node-2')).toBe((before[1] ?? 0) + 2);
    await api.http.delete(`${PATH}/ssd/hosts/node-2`).expect(204);
    expect(await generationOf('node-2')).toBe((before[1] ?? 0) + 3);
    await api.http.delete(`${PATH}/ssd/hosts/node-2`).expect(404);
    await api.http.delete(`${PATH}/ssd`).expect(204);
    expect(await generationOf('node-1')).toBe((before[0] ?? 0) + 3);
  });

  it('put no host into two zones, whichever way it would come to that', async () => {
    await api.http.post(PATH).send({ name: 'room-1', availability_zone: 'room-1' }).expect(201);
    await api.http.post(PATH).send({ name: 'room-2', availability_zone: 'room-2' }).expect(201);
    await api.http.post(PATH).send({ name: 'racks' }).expect(201);
    for (const name of ['room-1', 'racks']) await api.http.put(`${PATH}/${name}/hosts/node-1`).expect(200);
    const conflict = {
      code: 'aggregate.zone_conflict',
      detail: expect.stringContaining('Host node-1 would be in the zones room-1 and room-2'),
    };
    expect((await api.http.put(`${PATH}/room-2/hosts/node-1`).expect(409)).body).toMatchObject(conflict);
    const zone = { availability_zone: 'room-2' };
    expect((await api.http.patch(`${PATH}/racks`).send(zone).expect(409)).body).toMatchObject(conflict);
    await api.http.patch(`${PATH}/racks`).send({ availability_zone: 'room-1' }).expect(200);
    expect((await api.http.get('/v1/hosts/node-1').expect(200)).body).toMatchObject({
      ...{ availability_zone: 'room-1', aggregates: ['racks', 'room-1'] },
    });
    expect((await api.http.get(`${PATH}/room-2`).expect(200)).body.hosts).toEqual([]);
  });

  it('keep a server in the zone that it asked for', async () => {
    const wish = { name: 'zoned', vcpus: 1, availability_zone: 'room-2' };
    const { body } = await api.http.post('/v1/servers').send(wish).expect(202);
    expect(body).toMatchObject({ availability_zone: 'room-2' });
    await api.http.put(`${PATH}/room-2/hosts/node-2`).expect(200);
    const [host] = await api.sql<{ id: string }>(`SELECT id FROM hosts WHERE name = 'node-2'`);
    await insertAllocations(api, { serverId: body.id, hostId: host?.id ?? '', active: true, devices: [] });
    const refused = await api.http.delete(`${PATH}/room-2/hosts/node-2`).expect(409);
    expect(refused.body).toMatchObject({
      code: 'aggregate.zone_conflict',
      detail: expect.stringContaining('zoned on node-2 asked for zone room-2'),
    });
    await api.http.delete(`${PATH}/room-2`).expect(409);
    await api.http.patch(`${PATH}/room-2`).send({ availability_zone: null }).expect(409);
    expect((await api.http.get(`${PATH}/room-2`).expect(200)).body).toMatchObject({
      ...{ availability_zone: 'room-2', hosts: ['node-2'] },
    });
    await api.sql(`UPDATE claims SET status = 'released' WHERE server_id = $1`, [body.id]);
    await api.http.delete(`${PATH}/room-2/hosts/node-2`).expect(204);
    await api.http.put(`${PATH}/room-2/hosts/node-2`).expect(200);
  });

  it('have pages', async () => {
    const first = await api.http.get(`${PATH}?limit=2`).expect(200);
    expect(first.body.aggregates.map(({ name }: { name: string }) => name)).toEqual(['racks', 'room-1']);
    const second = await api.http.get(first.body.next).expect(200);
    expect(second.body).toMatchObject({ aggregates: [{ name: 'room-2' }], next: null });
  });

  it('make the zones', async () => {
    const { body } = await api.http.get('/v1/availability-zones').expect(200);
    expect(body).toEqual({
      availability_zones: [
        { name: 'nova', available: true, host_count: 2, hosts_up: 1, hosts: ['node-3', 'node-4'] },
        { name: 'room-1', available: true, host_count: 1, hosts_up: 1, hosts: ['node-1'] },
        { name: 'room-2', available: true, host_count: 1, hosts_up: 1, hosts: ['node-2'] },
      ],
      next: null,
    });
    const page = await api.http.get('/v1/availability-zones?limit=2').expect(200);
    expect((await api.http.get(page.body.next).expect(200)).body).toMatchObject({
      availability_zones: [{ name: 'room-2' }],
    });
  });

  it.each<[string, 'post' | 'patch' | 'put' | 'delete', string, object | undefined, number, string, string]>([
    ['a name that is taken', 'post', PATH, { name: 'room-1' }, 409, 'aggregate.exists', 'room-1'],
    ['a taken name to change to', 'patch', `${PATH}/racks`, { name: 'room-1' }, 409, 'aggregate.exists', 'room-1'],
    ['no name', 'post', PATH, {}, 400, 'request.invalid', 'name'],
    ['a mistyped field', 'post', PATH, { name: 'x', metdata: {} }, 400, 'request.invalid', 'did you mean "metadata"?'],
    [
      'a number as metadata',
      'post',
      PATH,
      { name: 'x', metadata: { n: 1 } },
      400,
      'request.invalid',
      'n: has to be a text',
    ],
    [
      'null in new metadata',
      'post',
      PATH,
      { name: 'x', metadata: { n: null } },
      400,
      'request.invalid',
      'n: has to be',
    ],
    ['a list as metadata', 'post', PATH, { name: 'x', metadata: ['a'] }, 400, 'request.invalid', 'an object of texts'],
    [
      'a zone in metadata',
      'post',
      PATH,
      { name: 'x', metadata: { availability_zone: 'a' } },
      400,
      'request.invalid',
      'field of its own',
    ],
    ['a blank zone', 'post', PATH, { name: 'x', availability_zone: ' ' }, 400, 'request.invalid', 'is blank'],
    [
      'too many keys',
      'patch',
      `${PATH}/racks`,
      { metadata: Object.fromEntries(Array.from({ length: 129 }, (_, n) => [`k${n}`, 'v'])) },
      400,
      'request.invalid',
      'at most 128',
    ],
    ['an unknown aggregate', 'patch', `${PATH}/racs`, {}, 404, 'aggregate.unknown', 'did you mean "racks"?'],
    ['an unknown host', 'put', `${PATH}/racks/hosts/node-9`, undefined, 404, 'host.unknown', 'did you mean "node-1"?'],
    [
      'an unknown aggregate for a host',
      'put',
      `${PATH}/x/hosts/node-1`,
      undefined,
      404,
      'aggregate.unknown',
      'no aggregate "x"',
    ],
    ['an unknown one to delete', 'delete', `${PATH}/x`, undefined, 404, 'aggregate.unknown', 'no aggregate "x"'],
  ])('refuse %s', async (_what, method, path, body, status, code, says) => {
    const answer = await api.http[method](path).send(body);
    expect(answer.body).toMatchObject({ status, code, detail: expect.stringContaining(says) });
  });
});

describe('server groups over REST', () => {
  const PATH = '/v1/server-groups';

  it('are made, list their members, and go', async () => {
    const body = { name: 'db', policy: 'anti-affinity', max_server_per_host: 2 };
    const made = await api.http.post(PATH).send(body).expect(201);
    const { id } = made.body;
    expect(made.headers['location']).toBe(`${PATH}/${id}`);
    expect(made.body).toMatchObject({ ...body, project_id: 'default', member_count: 0, members: [] });
    const wish = { name: 'member', vcpus: 1, scheduler_hints: { group: id.toUpperCase() } };
    const server = await api.http.post('/v1/servers').send(wish).expect(202);
    expect(server.body).toMatchObject({ server_group: id });
    const shown = await api.http.get(`${PATH}/${id}`).expect(200);
    expect(shown.body).toMatchObject({
      member_count: 1,
      members: [{ id: server.body.id, name: 'member', status: 'BUILD', host: null }],
    });
    const second = await api.http.post(PATH).send({ name: 'db', policy: 'affinity' }).expect(201);
    expect(second.body).toMatchObject({ max_server_per_host: 1 });
    const page = await api.http.get(`${PATH}?limit=1`).expect(200);
    expect(page.body.server_groups).toMatchObject([{ id, member_count: 1 }]);
    expect((await api.http.get(page.body.next).expect(200)).body).toMatchObject({
      ...{ server_groups: [{ id: second.body.id }], next: null },
    });
    await api.http.delete(`/v1/servers/${server.body.id}`).expect(204);
    expect((await api.http.get(`${PATH}/${id}`).expect(200)).body).toMatchObject({ member_count: 0, members: [] });
    await api.http.delete(`${PATH}/${id}`).expect(204);
    await api.http.delete(`${PATH}/${id}`).expect(404);
  });

  it.each<[string, object, string]>([
    ['no policy', { name: 'x' }, 'policy'],
    ['a mistyped policy', { name: 'x', policy: 'antiaffinity' }, 'did you mean "anti-affinity"?'],
    ['a rule of another policy', { name: 'x', policy: 'affinity', max_server_per_host: 2 }, 'means nothing with'],
    ['none to a host', { name: 'x', policy: 'anti-affinity', max_server_per_host: 0 }, 'from 1 to 1000'],
  ])('refuse %s', async (_what, body, says) => {
    const answer = await api.http.post(PATH).send(body).expect(400);
    expect(answer.body).toMatchObject({ code: 'request.invalid', detail: expect.stringContaining(says) });
  });
});

describe('hosts over REST', () => {
  const patch = (body: object) => api.http.patch('/v1/hosts/node-3').send(body);

  it('are disabled with a reason, and enabled again', async () => {
    const before = await generationOf('node-3');
    const disabled = await patch({ enabled: false, disabled_reason: 'new fans' }).expect(200);
    expect(disabled.body).toMatchObject({ enabled: false, disabled_reason: 'new fans', generation: before + 1 });
    expect((await patch({ disabled_reason: 'new disks' }).expect(200)).body.disabled_reason).toBe('new disks');
    const enabled = await patch({ enabled: true }).expect(200);
    expect(enabled.body).toMatchObject({ enabled: true, disabled_reason: null, generation: before + 3 });
    expect((await patch({}).expect(200)).body.generation).toBe(before + 3);
  });

  it('have traits, what is reserved and ratios of their own, and lose them', async () => {
    const reserved = { vcpus: 2, memory_mb: 4096, disk_gb: 10 };
    const allocation_ratios = { cpu: 2.5, ram: 1, disk: 1 };
    const said = await patch({ traits: ['HW_B', 'CUSTOM_A', 'HW_B'], reserved, allocation_ratios }).expect(200);
    expect(said.body).toMatchObject({ traits: ['CUSTOM_A', 'HW_B'], reserved, allocation_ratios, failed_builds: 0 });
    expect((await patch({ traits: ['HW_B'] }).expect(200)).body).toMatchObject({ traits: ['HW_B'], reserved });
    const reset = await patch({ traits: [], reserved: null, allocation_ratios: null }).expect(200);
    expect(reset.body).toMatchObject({ traits: [], reserved: null, allocation_ratios: null });
  });

  it.each<[string, object, string]>([
    ['a reason of an enabled host', { disabled_reason: 'x' }, 'means nothing'],
    ['a reason while enabling', { enabled: true, disabled_reason: 'x' }, 'means nothing'],
    ['a small trait', { traits: ['custom'] }, 'capital letters'],
    ['a trait that is no list', { traits: 'A' }, 'list'],
    ['half of what is reserved', { reserved: { vcpus: 1 } }, 'reserved.memory_mb'],
    ['less than nothing', { reserved: { vcpus: -1, memory_mb: 0, disk_gb: 0 } }, 'reserved.vcpus'],
    ['a ratio of 0', { allocation_ratios: { cpu: 0, ram: 1, disk: 1 } }, 'above 0'],
    ['an unknown field', { status: 'down' }, 'status'],
  ])('refuse %s', async (_what, body, says) => {
    const answer = await patch(body).expect(400);
    expect(answer.body).toMatchObject({ code: 'request.invalid', detail: expect.stringContaining(says) });
  });

  it('are unknown by another name', async () => {
    const answer = await api.http.patch('/v1/hosts/node-33').send({}).expect(404);
    expect(answer.body).toMatchObject({ code: 'host.unknown', detail: expect.stringContaining('did you mean') });
  });
});

describe('what a server asks of its host', () => {
  const stored = async (body: object): Promise<Record<string, unknown>> => {
    const answer = await api.http.post('/v1/servers').send({ name: 's', ...body });
    expect(answer.body).toMatchObject({ status: 'BUILD' });
    const [row] = await api.sql<{ request: Record<string, unknown> }>('SELECT request FROM servers WHERE id = $1', [
      answer.body.id,
    ]);
    return row?.request ?? {};
  };
  const PLAIN = ['devices', 'diskGb', 'guestCells', 'memoryMb', 'projectId', 'serverName', 'vcpus'];

  it('is kept only where it is asked', async () => {
    expect(Object.keys(await stored({ vcpus: 1 })).sort()).toEqual(PLAIN);
    const nothing = {
      cpu_policy: 'shared',
      priority: 0,
      preemptible: false,
      image_properties: {},
      scheduler_hints: {},
    };
    expect(Object.keys(await stored({ vcpus: 1, ...nothing })).sort()).toEqual(PLAIN);
  });

  it('is zone, hints, image, topology, policy and priority', async () => {
    const [near, far, group] = [randomUUID(), randomUUID(), randomUUID()];
    await api.sql(
      `INSERT INTO server_groups (id, name, project_id, policy, max_server_per_host) VALUES ($1, 'g', 'default', 'anti-affinity', 3)`,
      [group],
    );
    const request = await stored({
      devices: [{ alias: 'gpu', count: 2, count_max: 4 }],
      availability_zone: 'room-1',
      scheduler_hints: { same_host: near, different_host: [far, near, far], group },
      image_properties: { img_hv_type: 'qemu', hw_pci_numa_affinity_policy: 'preferred', hw_architecture: 'x86_64' },
      topology: 'gpu within PXB; gpu same numa_node prefer 20',
      ...{ cpu_policy: 'dedicated', priority: -5, preemptible: true },
    });
    expect(request).toMatchObject({
      devices: [{ alias: 'gpu', count: 2, countMax: 4, numaPolicy: 'preferred' }],
      host: {
        availabilityZone: 'room-1',
        ...{ sameHost: [near], differentHost: [far, near].sort() },
        group: { id: group, name: 'g', policy: 'anti-affinity', maxServerPerHost: 3 },
        imageProperties: { hw_architecture: 'x86_64', img_hv_type: 'qemu' },
      },
      constraints: [
        { kind: 'within', level: 'PXB', weight: null, requests: [0] },
        { kind: 'same', attribute: 'numa_node', weight: 20, requests: [0] },
      ],
      ...{ cpuPolicy: 'dedicated', priority: -5, preemptible: true },
    });
    const [row] = await api.sql('SELECT group_id, priority, preemptible FROM servers WHERE group_id = $1', [group]);
    expect(row).toEqual({ group_id: group, priority: -5, preemptible: true });
  });

  it('is in the flavor, too', async () => {
    const extra_specs = {
      'pci_passthrough:alias': 'gpu:2',
      'pci_passthrough:topology': 'gpu same numa_node',
      'trait:CUSTOM_A': 'required',
      'trait:CUSTOM_B': 'forbidden',
      ssd: 'true',
      'berth:priority': '9',
    };
    await api.http.post('/v1/flavors').send({ name: 'm1.site', vcpus: 1, ram_mb: 512, extra_specs }).expect(201);
    expect(await stored({ flavor: 'm1.site', availability_zone: 'room-1' })).toMatchObject({
      priority: 9,
      constraints: [{ kind: 'same', attribute: 'numa_node', weight: null, requests: [0] }],
      host: {
        availabilityZone: 'room-1',
        ...{ requiredTraits: ['CUSTOM_A'], forbiddenTraits: ['CUSTOM_B'], extraSpecs: { ssd: 'true' } },
      },
    });
    expect(await stored({ flavor: 'm1.site', priority: 2 })).toMatchObject({ priority: 2 });
  });

  const NOBODY = '00000000-0000-4000-8000-000000000000';
  it.each<[string, object, string, string, string]>([
    [
      'an unknown group',
      { scheduler_hints: { group: NOBODY } },
      'server_group.unknown',
      'scheduler_hints.group',
      NOBODY,
    ],
    ['a name as group', { scheduler_hints: { group: 'db' } }, 'request.invalid', 'scheduler_hints.group', 'UUID'],
    [
      'an unknown hint',
      { scheduler_hints: { samehost: NOBODY } },
      'request.invalid',
      'scheduler_hints.samehost',
      'did you mean "same_host"?',
    ],
    [
      'a hint that is no id',
      { scheduler_hints: { same_host: 'x' } },
      'request.invalid',
      'scheduler_hints.same_host',
      'UUID',
    ],
    [
      'a hint with an object',
      { scheduler_hints: { same_host: { id: NOBODY } } },
      'request.invalid',
      'scheduler_hints.same_host',
      'UUID',
    ],
    [
      'no ids',
      { scheduler_hints: { different_host: [] } },
      'request.invalid',
      'scheduler_hints.different_host',
      'empty',
    ],
    ['hints as text', { scheduler_hints: 'x' }, 'request.invalid', 'scheduler_hints', 'object'],
    ['a blank zone', { availability_zone: '' }, 'request.invalid', 'availability_zone', '1 to 255'],
    ['wrong topology', { topology: 'gpu within PXX' }, 'topology.invalid', 'topology', 'PXB'],
    ['topology of nothing', { topology: 'nic within PXB' }, 'topology.invalid', 'topology', 'asks for no nic'],
    ['a wrong CPU policy', { cpu_policy: 'dedicate' }, 'request.invalid', 'cpu_policy', 'did you mean "dedicated"?'],
    ['too high a priority', { priority: 1001 }, 'request.invalid', 'priority', 'from -1000 to 1000'],
    ['a text as flag', { preemptible: 'yes' }, 'request.invalid', 'preemptible', 'true or false'],
    [
      'an image property that is no text',
      { image_properties: { hw_x: 1 } },
      'request.invalid',
      'image_properties',
      'hw_x: has to be a text',
    ],
    [
      'an empty range',
      { devices: [{ alias: 'gpu', count: 3, count_max: 2 }] },
      'request.invalid',
      'devices[0].count_max',
      'below count',
    ],
    ['more at least than at most', { min_count: 3, max_count: 2 }, 'request.invalid', 'max_count', 'below min_count'],
    ['too many servers', { max_count: 1001 }, 'request.invalid', 'max_count', 'from 1 to 1000'],
  ])('is refused: %s', async (_what, differing, code, field, says) => {
    const answer = await api.http
      .post('/v1/servers')
      .send({ name: 's', devices: 'gpu:1', ...differing })
      .expect(400);
    expect(answer.body).toMatchObject({ code, detail: expect.stringContaining(says), errors: [{ field }] });
  });

  it('has no counts in a dry run', async () => {
    const answer = await api.http.post('/v1/placements/dry-run').send({ devices: 'gpu:1', min_count: 2 }).expect(400);
    expect(answer.body).toMatchObject({ code: 'request.invalid', errors: [{ field: 'min_count' }] });
  });
});
