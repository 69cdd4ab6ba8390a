import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { insertAllocations, insertHost, type RestApi, startRestApi } from '../support/rest-api.js';

const V21 = '/compute/v2.1';
const CAPABILITIES = {
  architecture: 'x86_64',
  hypervisor_type: 'QEMU',
  hypervisor_version: 7_002_000,
  cpu_features: ['vmx'],
};

describe('hosts as clients of Nova see them', () => {
  let api: RestApi;
  let one: string;
  let two: string;
  let serverId: string;
  beforeAll(async () => {
    api = await startRestApi(inject('databaseUrl'));
    one = (await insertHost(api, { name: 'host-1' })).id;
    two = (await insertHost(api, { name: 'host-2.example' })).id;
    await api.sql(
      `UPDATE hosts SET capabilities = $2, ip_address = '192.0.2.7', booted_at = now() - interval '3 days 65 minutes',
              reserved = '{"vcpus": 2, "memory_mb": 1024, "disk_gb": 10}' WHERE id = $1`,
      [one, JSON.stringify(CAPABILITIES)],
    );
    const { body } = await api.http.post('/v1/servers').send({ name: 'vm', vcpus: 4 }).expect(202);
    serverId = body.id as string;
    await insertAllocations(api, { serverId, hostId: one, active: true, devices: [] });
  });
  afterAll(() => api?.close());

  const at = (minor: number) => ({ 'OpenStack-API-Version': `compute 2.${minor}` });
  const get = (minor: number, path: string) => api.http.get(`${V21}${path}`).set(at(minor));
  const put = (minor: number, path: string, body: object) => api.http.put(`${V21}${path}`).set(at(minor)).send(body);
  const numberOf = async (id: string) =>
    (await api.sql<{ number: string }>(`SELECT number FROM hosts WHERE id = $1`, [id])).map(({ number }) =>
      Number(number),
    )[0];
  const serviceOf = async (name: string) => (await get(53, `/os-services?host=${name}`).expect(200)).body.services[0];

  describe('hypervisors', () => {
    it('have small numbers before 2.53, and UUIDs from then on', async () => {
      const { body } = await get(1, '/os-hypervisors').expect(200);
      const number = await numberOf(one);
      expect(body.hypervisors).toEqual([
        { id: number, hypervisor_hostname: 'host-1', state: 'up', status: 'enabled' },
        { id: await numberOf(two), hypervisor_hostname: 'host-2.example', state: 'up', status: 'enabled' },
      ]);
      const later = (await get(53, '/os-hypervisors').expect(200)).body;
      expect(later.hypervisors.map(({ id }: { id: string }) => id)).toEqual([one, two]);
      await get(1, `/os-hypervisors/${one}`).expect(404);
      await get(53, `/os-hypervisors/${number}`).expect(400);
      await get(53, `/os-hypervisors/${randomUUID()}`).expect(404);
      await get(1, `/os-hypervisors/999999`).expect(404);
      await get(1, `/os-hypervisors/99999999999999999999`).expect(404);
      expect((await get(1, '/os-hypervisors/host-1').expect(404)).body.itemNotFound.code).toBe(404);
    });

    it('show what is used: claims, and what is kept for the host', async () => {
      const { hypervisor } = (await get(1, `/os-hypervisors/${await numberOf(one)}`).expect(200)).body;
      expect(hypervisor).toEqual({
        ...{ id: await numberOf(one), hypervisor_hostname: 'host-1', state: 'up', status: 'enabled' },
        ...{ hypervisor_type: 'QEMU', hypervisor_version: 7_002_000, host_ip: '192.0.2.7' },
        service: { id: await numberOf(one), host: 'host-1', disabled_reason: null },
        ...{ vcpus: 64, memory_mb: 262_144, local_gb: 1000 },
        ...{ vcpus_used: 6, memory_mb_used: 9216, local_gb_used: 50, free_ram_mb: 252_928, free_disk_gb: 950 },
        ...{ current_workload: 0, running_vms: 1, disk_available_least: null },
        cpu_info: '{"arch":"x86_64","features":["vmx"],"topology":{"cells":2}}',
      });
      const later = (await get(28, `/os-hypervisors/${await numberOf(one)}`).expect(200)).body.hypervisor;
      expect(later.cpu_info).toEqual({ arch: 'x86_64', features: ['vmx'], topology: { cells: 2 } });
      const last = (await get(93, `/os-hypervisors/${one}`).expect(200)).body.hypervisor;
      expect(last.uptime).toMatch(/^\d\d:\d\d:\d\d up 3 days, 1:05$/);
      expect(Object.keys(last).sort()).toEqual(
        [
          ...['host_ip', 'hypervisor_hostname', 'hypervisor_type', 'hypervisor_version', 'id', 'service', 'state'],
          ...['status', 'uptime'],
        ].sort(),
      );
      const unsaid = (await get(93, `/os-hypervisors/${two}`).expect(200)).body.hypervisor;
      expect(unsaid).toMatchObject({ host_ip: null, hypervisor_type: 'unknown', hypervisor_version: 0, uptime: '' });
    });

    it('come in pages from 2.33 on', async () => {
      const first = (await get(33, '/os-hypervisors/detail?limit=1').expect(200)).body;
      expect(first.hypervisors).toHaveLength(1);
      const [{ rel, href }] = first.hypervisors_links as [{ rel: string; href: string }];
      expect(rel).toBe('next');
      const { pathname, search } = new URL(href);
      const second = (
        await api.http
          .get(pathname + search)
          .set(at(33))
          .expect(200)
      ).body;
      expect(second.hypervisors.map((of: { hypervisor_hostname: string }) => of.hypervisor_hostname)).toEqual([
        'host-2.example',
      ]);
      expect(second.hypervisors_links).toBeUndefined();
      const last = (await get(53, `/os-hypervisors?marker=${one}&limit=5`).expect(200)).body;
      expect(last.hypervisors.map(({ id }: { id: string }) => id)).toEqual([two]);
      for (const marker of ['nonsense', '0', randomUUID()])
        await get(53, `/os-hypervisors?marker=${marker}`).expect(400);
      await get(33, '/os-hypervisors?marker=nonsense').expect(400);
      await get(33, '/os-hypervisors?limit=-1').expect(400);
      expect((await get(32, '/os-hypervisors?limit=1').expect(200)).body.hypervisors).toHaveLength(2);
    });

    it('are found by a part of the name, and tell their servers', async () => {
      const { body } = await get(1, '/os-hypervisors/HOST-2/search').expect(200);
      expect(body.hypervisors).toMatchObject([{ hypervisor_hostname: 'host-2.example' }]);
      await get(1, '/os-hypervisors/%25/search').expect(404);
      await get(53, '/os-hypervisors/host-2/search').expect(404);
      const servers = [{ uuid: serverId, name: 'vm' }];
      const old = (await get(52, '/os-hypervisors/host/servers').expect(200)).body.hypervisors;
      expect(old).toMatchObject([{ servers }, {}]);
      expect(old[1]).not.toHaveProperty('servers');
      const later = await get(75, '/os-hypervisors?hypervisor_hostname_pattern=host&with_servers=true').expect(200);
      expect(later.body.hypervisors).toMatchObject([{ servers }, { servers: [] }]);
      expect((await get(53, `/os-hypervisors/${one}?with_servers=1`).expect(200)).body.hypervisor.servers).toEqual(
        servers,
      );
      await get(53, '/os-hypervisors?hypervisor_hostname_pattern=nobody').expect(404);
      await get(53, '/os-hypervisors?hypervisor_hostname_pattern=host&limit=1').expect(400);
      await get(53, '/os-hypervisors?hypervisor_hostname_pattern=a%20b').expect(400);
      await get(53, '/os-hypervisors?with_servers=perhaps').expect(400);
      await get(53, '/os-hypervisors?colour=red').expect(400);
    });

    it('have sums up to 2.87, and an uptime where the agent says when it booted', async () => {
      const { body } = await get(87, '/os-hypervisors/statistics').expect(200);
      expect(body.hypervisor_statistics).toEqual({
        ...{ count: 2, vcpus: 128, memory_mb: 524_288, local_gb: 2000, vcpus_used: 6, memory_mb_used: 9216 },
        ...{ local_gb_used: 50, free_ram_mb: 515_072, free_disk_gb: 1950, current_workload: 0, running_vms: 1 },
        disk_available_least: null,
      });
      await get(88, '/os-hypervisors/statistics').expect(404);
      const { hypervisor } = (await get(87, `/os-hypervisors/${one}/uptime`).expect(200)).body;
      expect(hypervisor).toMatchObject({
        id: one,
        hypervisor_hostname: 'host-1',
        uptime: expect.stringContaining('up 3 days'),
      });
      expect((await get(87, `/os-hypervisors/${two}/uptime`).expect(501)).body.notImplemented.code).toBe(501);
      await get(88, `/os-hypervisors/${one}/uptime`).expect(404);
      await get(1, `/os-hypervisors/${randomUUID()}/uptime`).expect(404);
    });
  });

  describe('services', () => {
    it('are one on each host, and filtered by host and binary', async () => {
      const { body } = await get(11, '/os-services').expect(200);
      expect(body.services[0]).toEqual({
        ...{ binary: 'nova-compute', host: 'host-1', id: await numberOf(one), zone: 'nova', status: 'enabled' },
        ...{ state: 'up', disabled_reason: null, forced_down: false },
        updated_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}$/),
      });
      const count = async (minor: number, query: string) =>
        (await get(minor, `/os-services?${query}`).expect(200)).body.services.length as number;
      expect(await count(1, 'binary=nova-compute')).toBe(2);
      expect(await count(1, 'binary=nova-compute&host=host-1')).toBe(1);
      expect(await count(1, 'binary=xxx&host=host-1')).toBe(0);
      expect(await count(1, 'host=host')).toBe(0);
      expect(await count(74, 'xxx=1')).toBe(2);
      await get(75, '/os-services?xxx=1').expect(400);
      await get(75, '/os-services?host=%00').expect(400);
    });

    it('are disabled with a reason and enabled by their id', async () => {
      const disabled = await put(53, `/os-services/${one}`, { status: 'disabled', disabled_reason: 'maint' }).expect(
        200,
      );
      expect(disabled.body.service).toMatchObject({
        id: one,
        status: 'disabled',
        disabled_reason: 'maint',
        state: 'up',
      });
      const { body: host } = await api.http.get('/v1/hosts/host-1').expect(200);
      expect(host).toMatchObject({ enabled: false, disabled_reason: 'maint' });
      const unreasoned = await put(53, `/os-services/${one}`, { status: 'disabled' }).expect(200);
      expect(unreasoned.body.service.disabled_reason).toBeNull();
      expect((await get(53, '/os-hypervisors').expect(200)).body.hypervisors[0].status).toBe('disabled');
      await put(53, `/os-services/${one}`, { status: 'enabled', disabled_reason: 'no' }).expect(400);
      await put(53, `/os-services/${one}`, { status: 'enabled' }).expect(200);
      await put(53, `/os-services/${one}`, {}).expect(400);
      await put(53, `/os-services/${one}`, { disabled_reason: 'alone' }).expect(400);
      await put(53, `/os-services/${one}`, { status: 'perhaps' }).expect(400);
      await put(53, `/os-services/${one}`, { status: null, forced_down: null }).expect(400);
      await put(53, `/os-services/${one}`, { host: 'host-1', status: 'enabled' }).expect(400);
      await put(53, '/os-services/enable', { status: 'enabled' }).expect(400);
      await put(53, `/os-services/${randomUUID()}`, { status: 'enabled' }).expect(404);
    });

    it('forced down, a host is down for everybody until that is taken back', async () => {
      await put(53, `/os-services/${two}`, { forced_down: 'True' }).expect(200);
      expect(await serviceOf('host-2.example')).toMatchObject({ state: 'down', forced_down: true, status: 'enabled' });
      expect((await api.http.get('/v1/hosts/host-2.example')).body).toMatchObject({
        status: 'down',
        forced_down: true,
      });
      expect((await api.http.get('/v1/hosts?status=up')).body.hosts).toHaveLength(1);
      expect((await api.http.get('/v1/availability-zones')).body.availability_zones).toMatchObject([{ hosts_up: 1 }]);
      await get(87, `/os-hypervisors/${two}/uptime`).expect(400);
      await put(53, `/os-services/${two}`, { forced_down: false }).expect(200);
      expect(await serviceOf('host-2.example')).toMatchObject({ state: 'up', forced_down: false });
    });

    it('are changed by actions up to 2.52', async () => {
      const named = { host: 'host-1', binary: 'nova-compute' };
      expect((await put(1, '/os-services/disable', named).expect(200)).body).toEqual({
        service: { ...named, status: 'disabled' },
      });
      const reasoned = await put(1, '/os-services/disable-log-reason', { ...named, disabled_reason: 'why' }).expect(
        200,
      );
      expect(reasoned.body.service).toEqual({ ...named, status: 'disabled', disabled_reason: 'why' });
      await put(1, '/os-services/enable', named).expect(200);
      const down = await put(11, '/os-services/force-down', { ...named, forced_down: true }).expect(200);
      expect(down.body.service).toEqual({ ...named, forced_down: true });
      await put(11, '/os-services/force-down', { ...named, forced_down: false }).expect(200);
      await put(10, '/os-services/force-down', named).expect(404);
      await put(10, '/os-services/enable', { ...named, forced_down: true }).expect(400);
      await put(11, '/os-services/force-down', named).expect(400);
      await put(1, '/os-services/disable-log-reason', named).expect(400);
      await put(1, '/os-services/enable', { host: 'host-1' }).expect(400);
      await put(1, '/os-services/disable', { ...named, host: null }).expect(400);
      await put(11, '/os-services/force-down', { ...named, forced_down: null }).expect(400);
      await put(1, '/os-services/enable', { ...named, binary: 'nova-scheduler' }).expect(400);
      await put(1, '/os-services/enable', { ...named, host: 'nobody' }).expect(404);
      await put(1, '/os-services/explode', named).expect(404);
    });

    it('go when their host is down, disabled and empty', async () => {
      const remove = (minor: number, id: string | number) => api.http.delete(`${V21}/os-services/${id}`).set(at(minor));
      const { id: three } = await insertHost(api, { name: 'host-3' });
      const used = (await remove(53, one).expect(409)).body.conflictingRequest;
      expect(used.message).toContain('Servers are on host host-1');
      await remove(53, three).expect(409);
      await put(53, `/os-services/${three}`, { status: 'disabled', forced_down: true }).expect(200);
      await remove(53, 'host-3').expect(400);
      await remove(1, 'host-3').expect(400);
      await remove(1, (await numberOf(three)) as number).expect(204);
      await remove(53, three).expect(404);
    });
  });

  it('zones are available while a host is enabled; their hosts are for administrators', async () => {
    await api.http.post('/v1/aggregates').send({ name: 'room', availability_zone: 'room-2' }).expect(201);
    await api.http.put('/v1/aggregates/room/hosts/host-2.example').expect(200);
    const { body } = await get(1, '/os-availability-zone').expect(200);
    expect(body.availabilityZoneInfo).toEqual([
      { zoneName: 'nova', zoneState: { available: true }, hosts: null },
      { zoneName: 'room-2', zoneState: { available: true }, hosts: null },
    ]);
    await put(53, `/os-services/${one}`, { status: 'disabled' }).expect(200);
    const detail = (await get(1, '/os-availability-zone/detail').expect(200)).body.availabilityZoneInfo;
    const service = { available: true, active: true, updated_at: expect.any(String) };
    expect(detail).toEqual([
      { zoneName: 'room-2', zoneState: { available: true }, hosts: { 'host-2.example': { 'nova-compute': service } } },
      { zoneName: 'nova', zoneState: { available: false }, hosts: null },
    ]);
    await put(53, `/os-services/${one}`, { status: 'enabled' }).expect(200);
  });

  it('os-hosts is there up to 2.42', async () => {
    const names = async (query: string) =>
      (await get(42, `/os-hosts${query}`).expect(200)).body.hosts as { host_name: string; zone: string }[];
    expect(await names('')).toEqual([
      { host_name: 'host-1', service: 'compute', zone: 'nova' },
      { host_name: 'host-2.example', service: 'compute', zone: 'room-2' },
    ]);
    expect(await names('?zone=')).toHaveLength(2);
    expect(await names('?zone=nova')).toMatchObject([{ host_name: 'host-1' }]);
    expect(await names('?zone=xxx')).toEqual([]);
    const { host } = (await get(1, '/os-hosts/host-1').expect(200)).body;
    const line = (project: string, cpu: number, memory_mb: number, disk_gb: number) => ({
      resource: { host: 'host-1', project, cpu, memory_mb, disk_gb },
    });
    expect(host).toEqual([
      line('(total)', 64, 262_144, 1000),
      line('(used_now)', 6, 9216, 50),
      line('(used_max)', 4, 8192, 40),
      line('default', 4, 8192, 40),
    ]);
    const off = await put(1, '/os-hosts/host-1', { status: 'Disable' }).expect(200);
    expect(off.body).toEqual({ host: 'host-1', status: 'disabled' });
    expect(await names('?zone=nova')).toEqual([]);
    expect((await put(1, '/os-hosts/host-1', { status: 'enable' }).expect(200)).body.status).toBe('enabled');
    await put(1, '/os-hosts/host-1', {}).expect(400);
    await put(1, '/os-hosts/host-1', { status: null, maintenance_mode: null }).expect(400);
    await api.http.patch('/v1/hosts/host-1').send({ forced_down: null }).expect(200);
    await put(1, '/os-hosts/host-1', { status: 'invalid', maintenance_mode: 'enable' }).expect(400);
    await put(1, '/os-hosts/host-1', { maintenance_mode: 'enable' }).expect(501);
    await put(1, '/os-hosts/nobody', { status: 'enable', maintenance_mode: 'enable' }).expect(404);
    await get(1, '/os-hosts/host-1/reboot').expect(501);
    await get(1, '/os-hosts/host-1/explode').expect(404);
    for (const path of ['', '/nobody', '/nobody/startup'])
      await get(1, `/os-hosts${path}`).expect(path === '' ? 200 : 404);
    for (const path of ['', '/host-1', '/host-1/reboot']) await get(43, `/os-hosts${path}`).expect(404);
    await put(43, '/os-hosts/host-1', { status: 'enable' }).expect(404);
  });
});
