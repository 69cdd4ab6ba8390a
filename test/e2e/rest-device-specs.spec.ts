import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { berth, type Ended } from '../support/cli.js';
import { insertAllocations, insertHost, type RestApi, startRestApi, wireDevice } from '../support/rest-api.js';

const PATH = '/v1/device-specs/preview';
const OFFER = { entry: 0, tags: {}, resource_class: null, traits: [] };
const NIC = { vendor_id: '8086', product_id: '1572', class_code: '020000' };
const PF = '0000:41:00.0';

let api: RestApi;
let gpuHost: { id: string; deviceIds: string[] };
let serverId: string;

beforeAll(async () => {
  api = await startRestApi(inject('databaseUrl'));
  gpuHost = await insertHost(api, {
    name: 'gpu-1',
    devices: [
      wireDevice({ address: '0000:83:00.0', driver: 'vfio-pci', original: { driver: 'nvidia', netdevs: [] } }),
      wireDevice({ address: '0000:84:00.0', iommu_group: 26 }),
      wireDevice({ address: '0000:85:00.0', iommu_group: 27, offer: null, not_offered: 'no device_spec entry' }),
      wireDevice({ address: '0000:00:00.0', class_code: '060000', offer: null, not_offered: 'bridges' }),
      wireDevice({ ...NIC, address: PF, device_type: 'type-PF', driver: 'vfio-pci', iommu_group: 30 }),
    ],
  });
  await insertHost(api, {
    name: 'nic-2',
    status: 'down',
    devices: [
      wireDevice({ ...NIC, address: PF, netdevs: ['ens1'], device_type: 'type-PF', offer: null, not_offered: 'x' }),
      wireDevice({
        ...{ ...NIC, address: '0000:41:02.0', product_id: '154c', device_type: 'type-VF', parent_address: PF },
        serial_number: 'MT2113X00123',
        offer: { ...OFFER, tags: { physical_network: 'a' } },
      }),
    ],
  });
  const { body } = await api.http.post('/v1/servers').send({ name: 'render', vcpus: 4 }).expect(202);
  serverId = body.id;
  const [gpu, , , , pf] = gpuHost.deviceIds as [string, string, string, string, string];
  const devices = [gpu, pf].map((id) => ({ id, alias: null }));
  await insertAllocations(api, { serverId, hostId: gpuHost.id, active: true, devices });
});
afterAll(() => api?.close());

const GPUS = { vendor_id: '10de', product_id: '1bb0' };

describe('POST /v1/device-specs/preview', () => {
  it('says what each entry matches and decides on each host, and what is odd about it', async () => {
    const entries = [
      { address: '83:00.0' },
      GPUS,
      { vendor_id: '10de', product_id: '1bb0', numa_node: 1 },
      { vendor_id: '1002' },
    ];
    const { body } = await api.http.post(PATH).send({ device_specs: entries }).expect(200);
    expect(body.hosts.map(({ host }: { host: string }) => host)).toEqual(['gpu-1', 'nic-2']);
    const gpus = ['0000:83:00.0', '0000:84:00.0', '0000:85:00.0'];
    expect(body.hosts[0]).toMatchObject({
      ...{ host_id: gpuHost.id, status: 'up', read_only: false, devices: 5, entries_count: 3, findings_count: 2 },
      entries: [
        { entry: 0, matched_count: 1, decided_count: 1, matched: [gpus[0]], decided: [gpus[0]] },
        { entry: 1, matched_count: 3, decided_count: 2, matched: gpus, decided: gpus.slice(1) },
        { entry: 2, matched_count: 3, decided_count: 0, matched: gpus, decided: [] },
      ],
      findings: [
        { kind: 'unreachable', entry: 2, by: [1] },
        { kind: 'dead', entry: 3, by: [], message: 'entry 4 (device_specs[3]) matches no device of this host' },
      ],
    });
    expect(body.entries).toEqual([
      { entry: 0, matched_count: 1, decided_count: 1 },
      { entry: 1, matched_count: 3, decided_count: 2 },
      { entry: 2, matched_count: 3, decided_count: 0 },
      { entry: 3, matched_count: 0, decided_count: 0 },
    ]);
    expect(body.findings).toMatchObject([{ kind: 'unreachable', entry: 2, by: [1] }]);
    expect(body.next).toBeNull();
  });

  it('says what a change would add, remove and change, and which servers hold what disappears', async () => {
    const entries = [
      { address: '0000:83:00.0', exclude: true },
      { ...GPUS, trusted: true },
      { serial: 'MT2113X00123', remote_managed: true },
    ];
    const { body } = await api.http.post(PATH).send({ device_specs: entries }).expect(200);
    expect(body.hosts[0]).toMatchObject({
      ...{ added_count: 1, removed_count: 2, removed_held_count: 2, changed_count: 1, uncertain_count: 0 },
      added: [{ address: '0000:85:00.0', before: null, after: { entry: 1, tags: { trusted: 'true' } }, server: null }],
      removed: [
        { address: PF, reason: `no device_spec entry matches 8086:1572 at ${PF}`, server: { id: serverId } },
        {
          address: '0000:83:00.0',
          vendor_id: '10de',
          server: { id: serverId, name: 'render' },
          before: OFFER,
          after: null,
          reason: 'excluded by entry 1 (device_specs[0])',
        },
      ],
      changed: [{ address: '0000:84:00.0', reason: 'tags.trusted', server: null }],
    });
    expect(body.hosts[1]).toMatchObject({
      status: 'down',
      removed_count: 0,
      changed: [
        {
          address: '0000:41:02.0',
          reason: 'tags.physical_network, tags.remote_managed',
          before: { tags: { physical_network: 'a' } },
          after: { entry: 2, tags: { remote_managed: 'true' } },
        },
      ],
    });
  });

  it('goes by what a bound device was before; where the agent did not tell, it says that it does not know', async () => {
    const entries = [{ driver: 'nvidia' }, { devname: 'ens1' }, { vendor_id: '10de' }];
    const { body } = await api.http
      .post(PATH)
      .send({ device_specs: entries, hosts: ['gpu-1'] })
      .expect(200);
    expect(body.hosts).toHaveLength(1);
    expect(body.hosts[0]).toMatchObject({ removed_count: 0, added_count: 1, changed_count: 0, uncertain_count: 1 });
    expect(body.hosts[0].uncertain).toMatchObject([
      {
        address: PF,
        server: { name: 'render' },
        before: OFFER,
        after: null,
        reason: expect.stringContaining('asks for a driver'),
      },
    ]);
  });

  it('takes hosts by name or id, and pages', async () => {
    const send = async (more: object) =>
      (
        await api.http
          .post(PATH)
          .send({ device_specs: [{}], ...more })
          .expect(200)
      ).body;
    const names = ({ hosts }: { hosts: { host: string }[] }) => hosts.map(({ host }) => host);
    expect(names(await send({ hosts: [gpuHost.id] }))).toEqual(['gpu-1']);
    const first = await send({ limit: 1 });
    expect([names(first), first.next]).toEqual([['gpu-1'], 'gpu-1']);
    const second = await send({ limit: 1, marker: first.next });
    expect([names(second), second.next]).toEqual([['nic-2'], null]);
  });

  it('reads the entries as Nova does when it is told to', async () => {
    const device_specs = [{ address: { bus: '8' }, colour: 'blue' }];
    await api.http.post(PATH).send({ device_specs }).expect(400);
    const { body } = await api.http
      .post(PATH)
      .send({ device_specs, compat: 'nova', hosts: ['gpu-1'] })
      .expect(200);
    expect(body.hosts[0].entries).toMatchObject([{ matched_count: 3, decided_count: 3 }]);
    expect(body.hosts[0].changed).toMatchObject([{ reason: 'tags.colour' }, { reason: 'tags.colour' }]);
  });

  it('takes an empty whitelist for what it is: everything goes', async () => {
    const { body } = await api.http.post(PATH).send({ device_specs: [] }).expect(200);
    expect(body.hosts[0]).toMatchObject({ entries: [], findings: [], removed_count: 3, removed_held_count: 2 });
  });

  it('offers nothing on a read-only host', async () => {
    await api.sql(`UPDATE hosts SET read_only = true WHERE name = 'nic-2'`);
    const { body } = await api.http
      .post(PATH)
      .send({ device_specs: [{}], hosts: ['nic-2'] })
      .expect(200);
    await api.sql(`UPDATE hosts SET read_only = false WHERE name = 'nic-2'`);
    expect(body.hosts[0]).toMatchObject({
      read_only: true,
      added_count: 0,
      removed_count: 1,
      entries: [{ matched_count: 2 }],
    });
  });

  it('writes nothing', async () => {
    const ledger = () =>
      Promise.all(
        ['hosts', 'devices', 'allocations', 'claims', 'outbox'].map((name) =>
          api.sql(`SELECT * FROM ${name} ORDER BY 1`),
        ),
      );
    const before = await ledger();
    await api.http.post(PATH).send({ device_specs: [] }).expect(200);
    await api.http
      .post(PATH)
      .send({ device_specs: [{ vendor_id: '8086' }] })
      .expect(200);
    expect(await ledger()).toEqual(before);
  });
});

describe('a preview that cannot be had', () => {
  it('names every problem of the entries, each at its place', async () => {
    const entries = [{ vendor_id: 8086 }, {}, { vender_id: '8086', address: { bus: '[' } }, 'gpu', { 'a: b': 1 }];
    const { body } = await api.http.post(PATH).send({ device_specs: entries }).expect(400);
    expect(body).toMatchObject({ code: 'device_spec.invalid', status: 400 });
    const { errors } = body as { errors: { field: string; problem: string }[] };
    expect(errors.map(({ field }) => field)).toEqual([
      'device_specs[0].vendor_id',
      'device_specs[2].vender_id',
      'device_specs[2].address.bus',
      'device_specs[3]',
      'device_specs[4].a??b',
    ]);
    expect(errors[1]?.problem).toContain('did you mean "vendor_id"?');
    expect(body.detail).toContain('device_specs[0].vendor_id: vendor_id: a number; write "8086" in quotes and 4 more');
  });

  it('takes free tags that are declared, and no others', async () => {
    const device_specs = [{ rack: 'r1' }];
    await api.http.post(PATH).send({ device_specs }).expect(400);
    const { body } = await api.http
      .post(PATH)
      .send({ device_specs, free_tags: ['rack'], hosts: ['nic-2'] })
      .expect(200);
    expect(body.hosts[0].added[0].after.tags).toEqual({ rack: 'r1' });
    const reserved = await api.http
      .post(PATH)
      .send({ device_specs, free_tags: ['rack', 'vendor_id'] })
      .expect(400);
    expect(reserved.body.errors).toEqual([{ field: 'free_tags', problem: '"vendor_id" has a meaning of its own' }]);
  });

  it.each<[string, unknown, string, string]>([
    ['no entries', {}, 'device_specs', 'has to be a list of entries'],
    ['one entry', { device_specs: { vendor_id: '8086' } }, 'device_specs', 'has to be a list of entries'],
    ['too many entries', { device_specs: Array(10_001).fill({}) }, 'device_specs', 'has more than 10000 entries'],
    ['an unknown field', { device_specs: [], host: 'gpu-1' }, 'host', 'did you mean "hosts"?'],
    ['hosts that are no list', { device_specs: [], hosts: 'gpu-1' }, 'hosts', 'has to be a list of names'],
    ['no hosts', { device_specs: [], hosts: [] }, 'hosts', 'is empty'],
    ['a host twice', { device_specs: [], hosts: ['gpu-1', 'gpu-1'] }, 'hosts', 'names a host twice'],
    ['hosts that are no texts', { device_specs: [], hosts: [1] }, 'hosts', 'has'],
    [
      'an unknown host',
      { device_specs: [], hosts: ['gpu-1', 'gpu-2'] },
      'hosts[1]',
      'there is no host "gpu-2"; did you mean "gpu-1"?',
    ],
    ['a page that is too long', { device_specs: [], limit: 51 }, 'limit', 'a page has at most 50'],
    ['a free tag of blanks', { device_specs: [], free_tags: ['a b'] }, 'free_tags', 'other characters'],
  ])('%s: 400 that names the field', async (_what, request, field, problem) => {
    const { body } = await api.http
      .post(PATH)
      .send(request as object)
      .expect(400);
    expect(body.errors).toEqual([{ field, problem: expect.stringContaining(problem) as string }]);
  });

  it('is refused above a number of pairs of entry and device', async () => {
    const { id } = await insertHost(api, { name: 'huge' });
    await api.sql(
      `INSERT INTO devices (id, host_id, address, vendor_id, product_id, device_type, offered, status, facts)
       SELECT gen_random_uuid(), $1, '0000:00:00.' || n, '10de', '1bb0', 'type-PCI', false, 'available', '{}'
       FROM generate_series(1, 2001) AS n`,
      [id],
    );
    const device_specs = Array(10_000).fill({});
    const { body } = await api.http
      .post(PATH)
      .send({ device_specs, hosts: ['huge'] })
      .expect(413);
    expect(body.detail).toContain('10000 entries and 2001 devices are 20010000 pairs; at most 20000000');
    await api.sql(`DELETE FROM devices WHERE host_id = $1`, [id]);
    await api.sql(`DELETE FROM hosts WHERE id = $1`, [id]);
  });
});

describe('berth device-specs preview', () => {
  let directory: string;
  beforeAll(async () => (directory = await mkdtemp(path.join(tmpdir(), 'berth-preview-'))));
  afterAll(() => rm(directory, { recursive: true, force: true }));

  async function run(file: string, text: string, ...more: string[]): Promise<Ended> {
    const config = path.join(directory, file);
    await writeFile(config, text);
    const env = { BERTH_URL: new URL(api.http.get('/').url).origin };
    return berth(['device-specs', 'preview', '-c', config, ...more], env);
  }

  it('reads a nova.conf, prints what would become of it, and ends with 1 when a server would lose a device', async () => {
    const conf =
      '[pci]\ndevice_spec = {"vendor_id": "10de", "address": "0000:84:00.0"}\ndevice_spec = {"vendor_id": "1002"}\n';
    const { code, stdout, stderr } = await run('nova.conf', conf);
    expect([code, stderr]).toEqual([1, '']);
    expect(stdout).toMatch(/^2 entries, 2 hosts$/m);
    expect(stdout).toMatch(/^1 +\S*nova\.conf:2 +1 +1$/m);
    expect(stdout).toMatch(/^2 +\S*nova\.conf:3 +0 +0 +matches nothing on any of these hosts$/m);
    expect(stdout).toContain('gpu-1: 5 devices: 0 added, 2 removed, 0 changed\n');
    expect(stdout).toContain(
      `  - 0000:83:00.0  10de:1bb0  type-PCI  held by server render (${serverId})  no device_spec`,
    );
    expect(stdout).toContain('nic-2 (down): 2 devices: 0 added, 1 removed, 0 changed\n');
    expect(stdout).toContain('Servers hold 2 devices that would disappear.\n');
  });

  it('ends with 0 when no server loses anything; as JSON it is the answer of the REST face', async () => {
    const yaml =
      'agent:\n  device_spec:\n    - {vendor_id: "10de"}\n    - vendor_id: "8086"\n      rack: r1\npci:\n  free_tags: [rack]\n';
    const { code, stdout } = await run('agent.yaml', yaml, '--host', 'gpu-1', '-f', 'json');
    expect(code).toBe(0);
    const { hosts } = JSON.parse(stdout) as { hosts: { host: string; changed: object[] }[] };
    expect(hosts).toMatchObject([{ host: 'gpu-1', changed: [{ address: PF, reason: 'tags.rack' }], added_count: 1 }]);
  });

  it('ends with 1 when it cannot be known', async () => {
    const { code, stdout } = await run(
      'agent.yaml',
      'agent: {device_spec: [{devname: ens9}, {vendor_id: "10de"}]}',
      '--host',
      'gpu-1',
    );
    expect(code).toBe(1);
    expect(stdout).toMatch(/ {2}\? 0000:41:00\.0 .* asks for a devname/);
    expect(stdout).toContain('Whether 1 device in use would disappear is not known.');
  });

  it('names the file and line of what the entries do to each other', async () => {
    const { stdout, stderr } = await run('agent.yaml', 'agent:\n  device_spec:\n    - {}\n    - {vendor_id: "10de"}\n');
    expect(stdout).toMatch(
      /warning: entry 2 \(\S*agent\.yaml:4\) never decides: entry 1 \(\S*agent\.yaml:3\) matches all/,
    );
    expect(stderr).toMatch(/^warning: device_spec: entry 2 \(\S*agent\.yaml:4\) never decides/);
  });

  it.each<[string, string, string[], RegExp]>([
    [
      'files that are not valid',
      'agent: {device_spec: [{vender_id: "10de"}]}',
      [],
      /agent\.yaml:1: vender_id: unknown key; did you mean/,
    ],
    [
      'an unknown host',
      'agent: {device_spec: [{}]}',
      ['--host', 'gpu-2'],
      /there is no host "gpu-2"; did you mean "gpu-1"\?/,
    ],
    [
      'no answer',
      'agent: {device_spec: [{}]}',
      ['--url', 'http://127.0.0.1:1'],
      /http:\/\/127\.0\.0\.1:1 does not answer/,
    ],
    ['no URL', 'agent: {device_spec: [{}]}', ['--url', 'nowhere'], /--url: "nowhere" is not a URL/],
  ])('ends with 2: %s', async (_what, text, more, told) => {
    const { code, stdout, stderr } = await run('agent.yaml', text, ...more);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(told);
  });
});
