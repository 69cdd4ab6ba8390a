import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { ANY_DEVICE } from '../../src/pci/alias/alias.js';
import { insertAllocations, insertHost, type RestApi, startRestApi, wireDevice } from '../support/rest-api.js';

const OFFER = { entry: 0, tags: {}, resource_class: null, traits: [] };
const PF = '0000:05:00.0';

/** One of everything that an alias may or may not take. */
const DEVICES = [
  wireDevice({ address: '0000:83:00.0' }),
  wireDevice({ address: '0000:84:00.0', iommu_group: 26 }),
  wireDevice({ address: '10000:01:00.0', iommu_group: 27, numa_node: 0, product_id: '1db6' }),
  wireDevice({ address: PF, vendor_id: '8086', product_id: '10fb', device_type: 'type-PF', iommu_group: 30 }),
  wireDevice({
    ...{ address: '0000:05:10.0', vendor_id: '8086', product_id: '10ed', device_type: 'type-VF', parent_address: PF },
    iommu_group: 31,
    offer: { ...OFFER, tags: { physical_network: 'physnet1', remote_managed: 'false', live_migratable: 'true' } },
  }),
  wireDevice({
    ...{ address: '0000:05:10.2', vendor_id: '8086', product_id: '10ed', device_type: 'type-VF', parent_address: PF },
    iommu_group: 32,
    offer: { ...OFFER, tags: { remote_managed: 'true' }, traits: ['CUSTOM_FAST', 'HW_NIC'] },
  }),
  wireDevice({
    ...{ address: '0000:05:10.4', vendor_id: '8086', product_id: '10ed', device_type: 'vdpa', parent_address: PF },
    iommu_group: 33,
    offer: { ...OFFER, resource_class: 'CUSTOM_NIC', traits: ['CUSTOM_FAST', 'HW_NIC'] },
  }),
  wireDevice({
    ...{ address: '0000:05:10.6', vendor_id: '8086', product_id: '10ed', device_type: 'type-VF', parent_address: PF },
    iommu_group: 34,
    offer: { ...OFFER, resource_class: 'CUSTOM_NIC', traits: ['CUSTOM_FAST', 'HW_NIC'] },
  }),
  wireDevice({ address: '0000:00:1f.2', offer: null, not_offered: 'no device_spec entry matches' }),
];

describe('hosts, devices and pools over REST', () => {
  let api: RestApi;
  let host: { id: string; deviceIds: string[] };
  beforeAll(async () => {
    api = await startRestApi(inject('databaseUrl'));
    await insertHost(api, {
      name: 'b-host',
      kernelKind: 'simulated',
      status: 'down',
      devices: [{ iommu_group: null }],
    });
    host = await insertHost(api, { name: 'a-host', devices: DEVICES });
    const { body } = await api.http.post('/v1/servers').send({ name: 'owner', vcpus: 4 }).expect(202);
    const gpu = { id: host.deviceIds[0] as string, alias: null };
    await insertAllocations(api, { serverId: body.id, hostId: host.id, active: true, devices: [gpu] });
  });
  afterAll(() => api?.close());

  const addresses = async (query: string): Promise<string[]> => {
    const { body } = await api.http.get(`/v1/devices?${query}`).expect(200);
    return (body as { devices: { host: string; address: string }[] }).devices.map(
      (device) => `${device.host} ${device.address}`,
    );
  };

  it('shows hosts with what they have and what is used of it', async () => {
    const { body } = await api.http.get('/v1/hosts').expect(200);
    expect(body.hosts.map((shown: { name: string }) => shown.name)).toEqual(['a-host', 'b-host']);
    expect(body.hosts[0]).toMatchObject({
      kernel_kind: 'live',
      simulated: false,
      status: 'up',
      generation: 1,
      capacity: { vcpus: 64, memory_mb: 262_144, disk_gb: 1000 },
      used: { vcpus: 4, memory_mb: 8192, disk_gb: 40 },
      devices: { reported: 9, offered: 8, available: 7 },
      numa_cells: [{ id: 0, cpus: 32, memory_mb: 131_072, socket: 0 }, { id: 1 }],
    });
    expect(body.hosts[1]).toMatchObject({ kernel_kind: 'simulated', simulated: true, used: { vcpus: 0 } });
    expect((await api.http.get('/v1/hosts/a-host').expect(200)).body).toEqual(body.hosts[0]);
    expect((await api.http.get(`/v1/hosts/${host.id}`).expect(200)).body).toEqual(body.hosts[0]);
    expect((await api.http.get('/v1/hosts?status=down')).body.hosts).toHaveLength(1);
    expect((await api.http.get('/v1/hosts?limit=1')).body.next).toBe('/v1/hosts?limit=1&marker=a-host');
    const typo = await api.http.get('/v1/hosts/a-hst').expect(404);
    expect(typo.body).toMatchObject({
      code: 'host.unknown',
      detail: expect.stringContaining('did you mean "a-host"?'),
    });
  });

  it('pages devices by host and address, eight-digit domains last', async () => {
    const seen: string[] = [];
    let next: string | null = '/v1/devices?limit=3';
    while (next !== null) {
      const page = (await api.http.get(next).expect(200)).body as {
        devices: { host: string; address: string }[];
        next: string | null;
      };
      expect(page.devices.length).toBeLessThanOrEqual(3);
      seen.push(...page.devices.map((device) => `${device.host} ${device.address}`));
      next = page.next;
    }
    expect(seen).toEqual(await addresses(''));
    expect(seen).toHaveLength(10);
    expect(seen[0]).toBe('a-host 0000:00:1f.2');
    expect(seen.slice(-2)).toEqual(['a-host 10000:01:00.0', 'b-host 0000:83:00.0']);
  });

  it('filters devices', async () => {
    expect(await addresses('host=b-host')).toEqual(['b-host 0000:83:00.0']);
    expect(await addresses('vendor_id=10DE&product_id=1db6')).toEqual(['a-host 10000:01:00.0']);
    expect(await addresses('device_type=type-PF')).toEqual([`a-host ${PF}`]);
    expect(await addresses('status=allocated')).toEqual(['a-host 0000:83:00.0']);
    expect(await addresses('offered=false')).toEqual(['a-host 0000:00:1f.2']);
    expect(await addresses('numa_node=0')).toEqual(['a-host 10000:01:00.0']);
    expect(await addresses('iommu_group=31')).toEqual(['a-host 0000:05:10.0']);
  });

  it('filters by alias with the rules that placement has', async () => {
    const nic = { vendor_id: '8086', product_id: '10ed', device_type: 'type-VF' };
    const gpus = [
      { vendor_id: '10de', product_id: '1bb0', device_type: 'type-PCI' },
      { vendor_id: '10de', product_id: '1db6', device_type: 'type-PCI' },
    ];
    const aliases: Record<string, { specs: object[]; takes: string[] }> = {
      // 05:10.0 is of a physical network, 05:10.2 is remote-managed, 05:10.4 is vDPA
      vf: { specs: [nic], takes: ['0000:05:10.6'] },
      of_network: { specs: [{ ...nic, physical_network: 'physnet1' }], takes: ['0000:05:10.0'] },
      pf: { specs: [{ vendor_id: '8086', product_id: '10fb', device_type: 'type-PF' }], takes: [PF] },
      gpus: { specs: gpus, takes: ['0000:83:00.0', '0000:84:00.0', '10000:01:00.0'] },
      fast: { specs: [{ traits: ['fast', 'HW_NIC'], device_type: 'type-VF' }], takes: ['0000:05:10.6'] },
      slow: { specs: [{ ...nic, traits: ['!fast'] }], takes: [] },
      either: { specs: [{ ...nic, traits: ['{fast|slow}'] }], takes: ['0000:05:10.6'] },
      movable: {
        specs: [{ ...nic, live_migratable: true, tags: { physical_network: 'physnet1' } }],
        takes: ['0000:05:10.0'],
      },
      own_class: { specs: [{ resource_class: 'nic', device_type: 'type-VF' }], takes: ['0000:05:10.6'] },
      default_class: {
        specs: [{ resource_class: 'pci_10de_1bb0', device_type: 'type-PCI' }],
        takes: ['0000:83:00.0', '0000:84:00.0'],
      },
      selected: { specs: [{ ...gpus[0], selector: 'device.numa_node == 1' }], takes: ['0000:83:00.0', '0000:84:00.0'] },
      not_selected: { specs: [{ ...gpus[0], selector: 'device.numa_node == 7' }], takes: [] },
      none: { specs: [{ ...nic, product_id: 'ffff' }], takes: [] },
    };
    for (const [name, { specs, takes }] of Object.entries(aliases)) {
      await api.http.post('/v1/aliases').send({ name, specs }).expect(201);
      expect(await addresses(`alias=${name}&host=a-host`), name).toEqual(takes.map((address) => `a-host ${address}`));
    }
    expect(await addresses('alias=gpus&offered=false')).toEqual([]);
    expect(await addresses('alias=gpus&status=allocated')).toEqual(['a-host 0000:83:00.0']);
    // an alias of a file may leave the type out: then PFs are not meant
    const anyType = { ...ANY_DEVICE, vendorId: '8086' };
    await api.sql(`UPDATE aliases SET specs = $1 WHERE name = 'none'`, [JSON.stringify([anyType])]);
    expect(await addresses('alias=none')).toEqual(['a-host 0000:05:10.6']);
  });

  it('pages what an alias takes, each device once, and says when there is no more', async () => {
    const seen: string[] = [];
    const sizes: number[] = [];
    let next: string | null = '/v1/devices?alias=gpus&limit=2';
    while (next !== null) {
      const { devices, next: following } = (await api.http.get(next).expect(200)).body as {
        devices: { host: string; address: string }[];
        next: string | null;
      };
      sizes.push(devices.length);
      seen.push(...devices.map((device) => `${device.host} ${device.address}`));
      next = following;
    }
    expect(seen).toEqual(await addresses('alias=gpus'));
    expect(seen).toHaveLength(4);
    expect(sizes).toEqual([2, 2]);
  });

  it('shows one device with all its facts, its owner, or why it is not offered', async () => {
    const owned = (await api.http.get(`/v1/devices/${host.deviceIds[0]}`).expect(200)).body;
    expect(owned).toMatchObject({
      host: 'a-host',
      address: '0000:83:00.0',
      status: 'allocated',
      owner: { server_name: 'owner' },
      offered: true,
      link: { current_width: 16 },
      pcie_path: ['pci0000:80', '0000:80:02.0'],
      reset_methods: ['bus'],
      missing_since: null,
      change_pending: false,
    });
    const refused = (await api.http.get(`/v1/devices/${host.deviceIds.at(-1)}`).expect(200)).body;
    expect(refused).toMatchObject({
      offered: false,
      offer: null,
      not_offered: 'no device_spec entry matches',
      owner: null,
    });
    await api.http.get('/v1/devices/nonsense').expect(404);
  });

  it('counts pools', async () => {
    const { pools } = (await api.http.get('/v1/pools?host=a-host').expect(200)).body as {
      pools: { key: Record<string, unknown>; total: number; free: number }[];
    };
    const gpu = pools.find((pool) => pool.key['address'] === '0000:83:00.0');
    expect(gpu).toMatchObject({
      host: 'a-host',
      simulated: false,
      total: 1,
      free: 0,
      key: { product_id: '1bb0', numa_node: 1 },
    });
    expect(pools.reduce((sum, pool) => sum + pool.total, 0)).toBe(8);
    expect(pools.reduce((sum, pool) => sum + pool.free, 0)).toBe(7);
    const first = (await api.http.get('/v1/pools?limit=1')).body;
    expect(first.next).toBe('/v1/pools?limit=1&marker=a-host');
    expect((await api.http.get(first.next)).body.pools).toMatchObject([{ host: 'b-host', simulated: true }]);
  });

  it('says where a server would land, and why it would not, and writes nothing', async () => {
    const placed = await api.http.post('/v1/placements/dry-run').send({ devices: 'pf:1' }).expect(200);
    expect(placed.body).toMatchObject({ outcome: 'placed', host: 'a-host', devices: [{ address: PF, alias: 'pf' }] });
    const rejected = await api.http.post('/v1/placements/dry-run').send({ devices: 'gpus:9' }).expect(200);
    expect(rejected.body).toMatchObject({ outcome: 'rejected', host: null, devices: [], hosts_considered: 2 });
    expect(rejected.body.message).not.toBe('');
    expect(rejected.body.rejections.length).toBeGreaterThan(0);
    expect(await api.sql('SELECT 1 FROM decisions')).toEqual([]);
    expect(await api.sql('SELECT 1 FROM servers')).toHaveLength(1);
  });
});
