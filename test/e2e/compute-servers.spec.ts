import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import bcrypt from 'bcryptjs';
import type { Test } from 'supertest';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { insertAllocations, insertHost, type RestApi, startRestApi } from '../support/rest-api.js';

/** User: project and role. */
const USERS = {
  root: ['operations', 'admin'],
  bob: ['red', 'member'],
  rita: ['red', 'reader'],
  dave: ['blue', 'member'],
} as const;
type User = keyof typeof USERS;
type Method = 'get' | 'post' | 'put' | 'delete';

const NOBODY = '00000000-0000-4000-8000-000000000000';
const IMAGE = '70a599e0-31e7-49b7-b260-868f441e862b';
const OTHER_IMAGE = '155d900f-4e14-4e4c-a73d-069cbf4541e6';
const THIRD_IMAGE = 'e15f7b5d-8b1e-4f0c-b5f0-5a2f6d3c1a77';

interface Shown {
  readonly id: string;
  readonly name: string;
  readonly status: string;
  readonly [key: string]: unknown;
}

interface Page {
  readonly servers: readonly Shown[];
  readonly servers_links?: readonly { readonly href: string }[];
}

describe('servers of the compute face', () => {
  const folder = mkdtempSync(join(tmpdir(), 'berth-users-'));
  let api: RestApi;
  beforeAll(async () => {
    const hash = await bcrypt.hash('a password', 4);
    const usersFile = join(folder, 'users');
    writeFileSync(
      usersFile,
      Object.keys(USERS)
        .map((user) => `${user}:${hash}\n`)
        .join(''),
    );
    const of = (at: 0 | 1) => Object.fromEntries(Object.entries(USERS).map(([user, given]) => [user, given[at]]));
    api = await startRestApi(inject('databaseUrl'), {
      ...{ strategy: 'http_basic', usersFile, projects: of(0) },
      roles: of(1) as Record<User, 'reader' | 'member' | 'admin'>,
    });
    const size = { vcpus: 2, ram_mb: 2048, disk_gb: 20 };
    await native('post', '/v1/flavors')
      .send({ id: '42', name: 'm1.plain', ...size })
      .expect(201);
    await prepare();
    await native('post', '/v1/flavors')
      .send({ id: '43', name: 'm1.other', ...size, extra_specs: { 'hw:numa_nodes': '2' } })
      .expect(201);
  });
  afterAll(async () => {
    await api?.close();
    rmSync(folder, { recursive: true });
  });
  beforeEach(() => api.sql('TRUNCATE servers CASCADE'));

  /** The names of images and keys that the stories have. */
  async function prepare(): Promise<void> {
    const images = [
      { id: IMAGE, name: 'cirros', hw_architecture: 'x86_64' },
      { id: OTHER_IMAGE, name: 'debian', min_ram: 4096 },
      { id: THIRD_IMAGE, name: 'alpine' },
    ];
    for (const image of images) {
      await api.http
        .post('/image/v2/images')
        .auth('root', 'a password')
        .send({ ...image, visibility: 'public' })
        .expect(201);
    }
    await compute('bob', 'post', '/os-keypairs', '2.1')
      .send({ keypair: { name: 'k1' } })
      .expect(200);
  }

  const native = (method: Method, path: string): Test => api.http[method](path).auth('root', 'a password');
  const compute = (user: User, method: Method, path: string, version = '2.93'): Test =>
    api.http[method](`/compute/v2.1${path}`)
      .auth(user, 'a password')
      .set('OpenStack-API-Version', `compute ${version}`);
  const wish = (more: object = {}) => ({ name: 'vm', imageRef: IMAGE, flavorRef: '42', networks: 'none', ...more });
  const created = async (user: User, more: object = {}): Promise<string> =>
    (
      await compute(user, 'post', '/servers')
        .send({ server: wish(more) })
        .expect(202)
    ).body.server.id as string;
  const shown = async (user: User, id: string, version?: string): Promise<Shown> =>
    (await compute(user, 'get', `/servers/${id}`, version).expect(200)).body.server as Shown;
  const listed = async (user: User, query: string, version?: string): Promise<string[]> =>
    ((await compute(user, 'get', `/servers${query}`, version).expect(200)).body.servers as Shown[]).map(
      ({ name }) => name,
    );

  /** As the scheduler and an agent would have done. */
  async function run(id: string, host = 'host-of-secrets'): Promise<void> {
    const [known] = await api.sql<{ id: string }>('SELECT id FROM hosts WHERE name = $1', [host]);
    const hostId = known?.id ?? (await insertHost(api, { name: host })).id;
    await insertAllocations(api, { serverId: id, hostId, active: true, devices: [] });
    await api.sql(`INSERT INTO server_events (server_id, event, message) VALUES ($1, 'placed', '')`, [id]);
  }

  describe('that are asked for', () => {
    it('are accepted with id, links and password, and shown with all that was said of them', async () => {
      const given = wish({
        ...{ name: 'My first VM', metadata: { team: 'a' }, tags: ['x', 'y'], description: 'for tests', key_name: 'k1' },
        ...{
          accessIPv4: '10.0.0.7',
          accessIPv6: '0:0:0:0:0:babe:220.12.22.2',
          user_data: 'IyEvYmluL3No',
          config_drive: true,
        },
        ...{ 'OS-DCF:diskConfig': 'AUTO', adminPass: 'secret', availability_zone: 'nova' },
      });
      const { body, headers } = await compute('bob', 'post', '/servers').send({ server: given }).expect(202);
      const { id, links, ...rest } = body.server;
      expect(rest).toEqual({
        adminPass: 'secret',
        security_groups: [{ name: 'default' }],
        'OS-DCF:diskConfig': 'AUTO',
      });
      expect(headers['location']).toBe(links[0].href);
      expect(links[0].href).toMatch(new RegExp(`^http://.*/compute/v2.1/servers/${id}$`));
      const server = await shown('bob', id);
      expect(server).toEqual({
        ...{
          id,
          name: 'My first VM',
          status: 'BUILD',
          tenant_id: 'red',
          user_id: 'bob',
          metadata: { team: 'a' },
          hostId: '',
        },
        image: { id: IMAGE, links: [{ rel: 'bookmark', href: expect.stringContaining(`/images/${IMAGE}`) }] },
        flavor: { original_name: 'm1.plain', vcpus: 2, ram: 2048, disk: 20, ephemeral: 0, swap: 0, extra_specs: {} },
        ...{
          created: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
          updated: expect.any(String),
          addresses: {},
        },
        ...{
          accessIPv4: '10.0.0.7',
          accessIPv6: '::babe:dc0c:1602',
          links: expect.any(Array),
          'OS-DCF:diskConfig': 'AUTO',
        },
        ...{ progress: 0, 'OS-EXT-AZ:availability_zone': 'nova', config_drive: 'True', key_name: 'k1' },
        ...{ 'OS-SRV-USG:launched_at': null, 'OS-SRV-USG:terminated_at': null, 'OS-EXT-STS:task_state': 'scheduling' },
        ...{
          'OS-EXT-STS:vm_state': 'building',
          'OS-EXT-STS:power_state': 0,
          'os-extended-volumes:volumes_attached': [],
        },
        ...{ locked: false, locked_reason: null, description: 'for tests', tags: ['x', 'y'] },
        ...{ trusted_image_certificates: null, server_groups: [], 'OS-EXT-SRV-ATTR:hostname': 'my-first-vm' },
      });
    });

    it('are taken in the words of the first version, too', async () => {
      const { networks: _none, ...server } = wish({ metadata: { a: 'b' } });
      const { body } = await compute('bob', 'post', '/servers', '2.1').send({ server }).expect(202);
      expect(await shown('bob', body.server.id)).toMatchObject({ description: 'vm', metadata: { a: 'b' } });
    });

    it('are placed by the native face: the same request, the same quota, the same nudge', async () => {
      const id = await created('bob');
      const { body } = await native('get', `/v1/servers/${id}`).expect(200);
      expect(body).toMatchObject({
        name: 'vm',
        project_id: 'red',
        status: 'BUILD',
        vcpus: 2,
        ram_mb: 2048,
        flavor: { id: '42' },
      });
      await native('put', '/v1/quotas/red').send({ limits: { servers: 1 } });
      const refused = await compute('bob', 'post', '/servers').send({ server: wish({ min_count: 2 }) });
      expect(refused.status, JSON.stringify(refused.body)).toBe(403);
      expect(refused.body.forbidden).toMatchObject({ code: 403, message: expect.stringContaining('quota') });
      await native('delete', '/v1/quotas/red');
    });

    it('come several at once, found by what they were asked for with', async () => {
      const answer = await compute('bob', 'post', '/servers')
        .send({ server: wish({ min_count: '2', max_count: 3, return_reservation_id: 'True' }) })
        .expect(202);
      expect(answer.body).toEqual({ reservation_id: expect.stringMatching(/^r-[0-9a-f]{32}$/) });
      expect(
        await listed('bob', `?reservation_id=${answer.body.reservation_id}&sort_key=display_name&sort_dir=asc`),
      ).toEqual([...['vm-1', 'vm-2', 'vm-3']]);
      const { body } = await compute('root', 'get', '/servers/detail?all_tenants=1&sort_key=uuid').expect(200);
      expect(body.servers.map((server: Shown) => server['OS-EXT-SRV-ATTR:launch_index']).sort()).toEqual([0, 1, 2]);
      expect(new Set(body.servers.map((server: Shown) => server['OS-EXT-SRV-ATTR:hostname']))).toEqual(
        new Set(['vm-1', 'vm-2', 'vm-3']),
      );
    });

    it('take hints under both names, and tolerate what nobody knows', async () => {
      const other = await created('bob');
      const hints = { same_host: other, different_host: [NOBODY], a_hint_of_another_filter: 'x' };
      for (const key of ['os:scheduler_hints', 'OS-SCH-HNT:scheduler_hints']) {
        const { body } = await compute('bob', 'post', '/servers')
          .send({ server: wish(), [key]: hints })
          .expect(202);
        const [row] = await api.sql<{ host: object }>(`SELECT request -> 'host' AS host FROM servers WHERE id = $1`, [
          body.server.id,
        ]);
        expect(row?.host).toEqual({
          sameHost: [other],
          differentHost: [NOBODY],
          imageProperties: { hw_architecture: 'x86_64' },
        });
      }
    });

    it('go to the host that an administrator names, and nobody else', async () => {
      await insertHost(api, { name: 'node-7' });
      const asked = async (user: User, more: object, version?: string) =>
        compute(user, 'post', '/servers', version).send({ server: wish(more) });
      for (const more of [
        { host: 'node-7' },
        { hypervisor_hostname: 'node-7' },
        { availability_zone: 'nova:node-7:node-7' },
      ]) {
        const { status, body } = await asked('root', more);
        expect(status, JSON.stringify(body)).toBe(202);
        const [row] = await api.sql(`SELECT request #>> '{host,requestedHost}' AS host FROM servers WHERE id = $1`, [
          body.server.id,
        ]);
        expect(row).toEqual({ host: 'node-7' });
        expect((await asked('bob', more)).status).toBe(403);
      }
      expect((await asked('root', { host: 'node-8' })).body.badRequest.message).toContain('node-8 could not be found');
      expect((await asked('root', { host: 'node-7' }, '2.73')).body.badRequest.message).toContain('2.74');
      await api.sql(`DELETE FROM hosts WHERE name = 'node-7'`);
    });

    it.each<[string, object, string?]>([
      ['server.name', { name: '' }],
      ['server.name', { name: 12345 }],
      ['server.name', { name: 'a'.repeat(256) }],
      ['server.imageRef', { imageRef: 'http://127.0.0.1/not-an-id' }],
      ['server.imageRef', { imageRef: -1 }],
      ['server.imageRef', { imageRef: undefined }],
      ['server.imageRef', { imageRef: NOBODY }],
      ['server.flavorRef', { imageRef: OTHER_IMAGE }],
      ['server.key_name', { key_name: 'nothing' }],
      ['flavor', { flavorRef: -1 }],
      ['server.flavorRef', { flavorRef: '' }],
      ['server.flavorRef', { flavorRef: { id: 1 } }],
      ['server.accessIPv4', { accessIPv4: '1.1.1.1.1.1' }],
      ['server.accessIPv6', { accessIPv6: 'notvalid' }],
      ['server.metadata', { metadata: { '': 'x' } }],
      ['server.metadata', { metadata: { ['k'.repeat(256)]: 'x' } }],
      ['server.metadata', { metadata: { a: 'b'.repeat(260) } }],
      ['server.metadata', { metadata: null }],
      ['server.networks', { networks: [{ uuid: 'a-b-c', fixed_ip: '10.0.1.1' }] }],
      ['server.networks[0]', { networks: [{ uuid: NOBODY }] }],
      ['server.networks', { networks: undefined }],
      ['server.networks', { networks: 'all' }],
      ['server.security_groups[0]', { security_groups: [{ name: 'does_not_exist' }] }],
      ['server.user_data', { user_data: 'not base64!' }],
      ['server.max_count', { min_count: 3, max_count: 2 }],
      ['server.min_count', { min_count: 0 }],
      ['server.min_count', { min_count: 'many' }],
      ['server.hostname', { hostname: 'a host' }],
      ['server.hostname', { hostname: 'vm', min_count: 2 }],
      ['server.tags', { tags: ['a,b'] }],
      ['server.tags', { tags: Array.from({ length: 51 }, (_one, at) => `t${at}`) }],
      ['server.tags', { tags: ['x'] }, '2.51'],
      ['server.description', { description: 'x', networks: undefined }, '2.18'],
      ['server.personality', { personality: [] }],
      ['server.personality', { personality: [{ path: '/x', contents: 'This is no base64.' }] }, '2.56'],
      ['server.trusted_image_certificates', { trusted_image_certificates: ['x'] }],
      ['server.block_device_mapping', { block_device_mapping: [{ volume_id: NOBODY }] }],
      ['server.block_device_mapping_v2[0]', { block_device_mapping_v2: [{ source_type: 'volume', uuid: NOBODY }] }],
      ['server.availability_zone', { availability_zone: 'nowhere' }],
      ['server.color', { color: 'red' }],
    ])('are refused for %s, %j', async (field, more, version) => {
      const { status, body } = await compute('bob', 'post', '/servers', version).send({ server: wish(more) });
      expect(status, JSON.stringify(body)).toBe(400);
      expect(body.badRequest).toMatchObject({ code: 400, message: expect.stringContaining(field) });
      expect(await api.sql('SELECT 1 FROM servers')).toEqual([]);
    });

    it.each<[object]>([
      [{ group: 'x' }],
      [{ group: NOBODY }],
      [{ same_host: 'x' }],
      [{ different_host: [1] }],
      [{ query: '[">", "$free_ram_mb", 1024]' }],
      [{ build_near_host_ip: '10.0.0.1' }],
    ])('are refused for the hints %j', async (hints) => {
      const { status, body } = await compute('bob', 'post', '/servers').send({
        server: wish(),
        'os:scheduler_hints': hints,
      });
      expect(status, JSON.stringify(body)).toBe(400);
      expect(body.badRequest.message).toContain(Object.keys(hints)[0]);
    });

    it('have the image of their disks, or none', async () => {
      const disk = {
        uuid: IMAGE,
        source_type: 'image',
        destination_type: 'local',
        boot_index: 0,
        delete_on_termination: true,
      };
      for (const more of [
        { block_device_mapping_v2: [disk] },
        { block_device_mapping_v2: [disk], imageRef: undefined },
      ]) {
        expect(await shown('bob', await created('bob', more))).toMatchObject({ image: { id: IMAGE } });
      }
      expect(await shown('bob', await created('bob', { imageRef: '' }))).toMatchObject({ image: '' });
    });
  });

  describe('that are shown', () => {
    it('have in each version what Nova gives there, and hosts are for administrators', async () => {
      const id = await created('bob');
      await run(id);
      const keys = async (user: User, version: string): Promise<Set<string>> =>
        new Set(Object.keys(await shown(user, id, version)));
      const first = await keys('bob', '2.1');
      expect([...(await keys('bob', '2.93'))].filter((key) => !first.has(key)).sort()).toEqual([
        ...['OS-EXT-SRV-ATTR:hostname', 'description', 'locked', 'locked_reason', 'server_groups', 'tags'],
        'trusted_image_certificates',
      ]);
      const hidden = ['host', 'hypervisor_hostname', 'instance_name'].map((name) => `OS-EXT-SRV-ATTR:${name}`);
      const known = await keys('root', '2.1');
      expect([...known].filter((key) => !first.has(key)).sort()).toEqual(hidden);
      expect([...(await keys('root', '2.16'))].filter((key) => !known.has(key)).sort()).toEqual([
        ...[
          'hostname',
          'kernel_id',
          'launch_index',
          'ramdisk_id',
          'reservation_id',
          'root_device_name',
          'user_data',
        ].map((name) => `OS-EXT-SRV-ATTR:${name}`),
        ...['host_status', 'locked'],
      ]);
      expect((await shown('bob', id, '2.46')).flavor).toEqual({
        id: '42',
        links: [expect.objectContaining({ rel: 'bookmark' })],
      });
      expect(await shown('root', id)).toMatchObject({ 'OS-EXT-SRV-ATTR:host': 'host-of-secrets', host_status: 'UP' });
      const seen = await shown('bob', id);
      expect(seen).toMatchObject({
        status: 'ACTIVE',
        'OS-EXT-STS:power_state': 1,
        'OS-EXT-AZ:availability_zone': 'nova',
      });
      expect(seen['OS-SRV-USG:launched_at']).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}$/);
      expect(seen.hostId).toMatch(/^[0-9a-f]{56}$/);
      expect(JSON.stringify(seen)).not.toContain('host-of-secrets');
    });

    it('tell why they found no host: to a project without names, to administrators with them', async () => {
      const id = await created('bob');
      const reasons = [{ code: 'device.all_in_use', message: '2 devices of alias gpu, both in use', details: {} }];
      const rejections = [{ filter: 'PciPassthroughFilter', hosts: ['host-of-secrets'], hostCount: 1, reasons }];
      const fault = { code: 'placement.no_valid_host', message: 'nothing on host-of-secrets', details: { rejections } };
      await api.sql(`UPDATE servers SET status = 'ERROR', task_state = NULL, fault = $2 WHERE id = $1`, [
        id,
        JSON.stringify(fault),
      ]);
      const message = 'No valid host was found. 2 devices of alias gpu, both in use (PciPassthroughFilter, 1 host).';
      expect(await shown('bob', id)).toMatchObject({ status: 'ERROR', fault: { code: 500, message } });
      expect(JSON.stringify(await shown('bob', id))).not.toContain('host-of-secrets');
      expect((await shown('root', id)).fault).toMatchObject({
        message,
        details: expect.stringContaining('host-of-secrets'),
      });
      expect(await shown('bob', id)).not.toHaveProperty('progress');
    });

    it('may be of the native face', async () => {
      await native('post', '/v1/servers').send({ name: 'bare', vcpus: 3 }).expect(202);
      const { body } = await compute('root', 'get', '/servers/detail').expect(200);
      expect(body.servers).toMatchObject([
        { name: 'bare', image: '', user_id: '', flavor: { original_name: '', vcpus: 3 } },
      ]);
      const [{ id }] = body.servers;
      await compute('root', 'put', `/servers/${id}`)
        .send({ server: { description: 'has details now' } })
        .expect(200);
      expect(await shown('root', id)).toMatchObject({ description: 'has details now', user_id: '', tags: [] });
    });

    it('are another project’s as if they were not there', async () => {
      const id = await created('bob');
      await run(id);
      const attempts: readonly (readonly [Method, string, object?])[] = [
        ['get', ''],
        ['delete', ''],
        ['put', '', { server: { name: 'mine' } }],
        ['get', '/metadata'],
        ['put', '/metadata', { metadata: {} }],
        ['get', '/tags'],
        ['put', '/tags/x'],
        ['get', '/ips'],
        ['get', '/os-interface'],
        ['get', '/topology'],
      ];
      for (const [method, path, body] of attempts) {
        for (const server of [id, NOBODY, '-1', 'x'.repeat(300)]) {
          const answer = await compute('dave', method, `/servers/${server}${path}`).send(body);
          expect(answer.status, `${method} ${path} ${server}`).toBe(404);
          expect(answer.body.itemNotFound).toMatchObject({ code: 404 });
        }
      }
      expect(await listed('dave', '')).toEqual([]);
      await compute('dave', 'get', `/servers?marker=${id}`).expect(400);
      for (const method of ['delete', 'put'] as const) {
        await compute('rita', method, `/servers/${id}`).send({ server: {} }).expect(403);
      }
      expect(await shown('rita', id)).toMatchObject({ id });
    });
  });

  describe('that are changed', () => {
    it('have another name, description, addresses, and say so in short before 2.75', async () => {
      const id = await created('bob');
      await run(id);
      const change = {
        name: 'Íñstáñcé',
        accessIPv4: '1.1.1.1',
        accessIPv6: '::babe:202:202',
        'OS-DCF:diskConfig': 'AUTO',
      };
      const short = (await compute('bob', 'put', `/servers/${id}`, '2.1').send({ server: change }).expect(200)).body
        .server;
      expect(short).toMatchObject(change);
      expect(short).not.toHaveProperty('OS-EXT-STS:vm_state');
      const server = { description: null, hostname: 'other-name' };
      const long = (await compute('bob', 'put', `/servers/${id}`).send({ server }).expect(200)).body.server;
      expect(long).toMatchObject({ ...change, description: null, 'OS-EXT-STS:vm_state': 'active' });
      expect(long['OS-EXT-SRV-ATTR:hostname']).toBe('other-name');
      expect((await native('get', `/v1/servers/${id}`)).body.name).toBe('Íñstáñcé');
      for (const wrong of [
        { name: '' },
        { name: 'a'.repeat(256) },
        { accessIPv4: 'x' },
        { flavorRef: '1' },
        { hostname: '-' },
      ]) {
        await compute('bob', 'put', `/servers/${id}`).send({ server: wrong }).expect(400);
      }
      await compute('bob', 'put', `/servers/${id}`, '2.18')
        .send({ server: { description: 'x' } })
        .expect(400);
    });

    it('have metadata that is added, replaced, and taken away', async () => {
      const id = await created('bob', { metadata: { key1: 'value1', key2: 'value2' } });
      const path = `/servers/${id}/metadata`;
      await compute('bob', 'put', path).send({ metadata: {} }).expect(409);
      await run(id);
      await compute('bob', 'post', path)
        .send({ metadata: { key1: 'alt1', key3: 'value3' } })
        .expect(200);
      const now = { key1: 'alt1', key2: 'value2', key3: 'value3' };
      expect((await compute('bob', 'get', path).expect(200)).body).toEqual({ metadata: now });
      expect((await compute('bob', 'post', path).send({ metadata: {} }).expect(200)).body).toEqual({ metadata: now });
      expect(
        (
          await compute('bob', 'put', `${path}/nova`)
            .send({ meta: { nova: 'alt' } })
            .expect(200)
        ).body,
      ).toEqual({ meta: { nova: 'alt' } });
      expect((await compute('bob', 'get', `${path}/nova`).expect(200)).body).toEqual({ meta: { nova: 'alt' } });
      await compute('bob', 'delete', `${path}/key1`).expect(204);
      await compute('bob', 'delete', `${path}/key1`).expect(404);
      await compute('bob', 'get', `${path}/constructor`).expect(404);
      expect(
        (
          await compute('bob', 'put', path)
            .send({ metadata: { only: 'this' } })
            .expect(200)
        ).body,
      ).toEqual({ metadata: { only: 'this' } });
      for (const wrong of [{ metadata: { '': 'x' } }, { meta: {} }, {}, { metadata: { a: 1 } }]) {
        await compute('bob', 'put', path).send(wrong).expect(400);
      }
      await compute('bob', 'put', `${path}/key`)
        .send({ meta: { testkey: 'x' } })
        .expect(400);
      const many = Object.fromEntries(Array.from({ length: 129 }, (_one, at) => [`key${at}`, 'x']));
      expect((await compute('bob', 'put', path).send({ metadata: many }).expect(403)).body.forbidden.code).toBe(403);
    });

    it('have tags from 2.26 on', async () => {
      const id = await created('bob');
      const path = `/servers/${id}/tags`;
      await compute('bob', 'put', `${path}/one`).expect(409);
      await run(id);
      await compute('bob', 'get', path, '2.25').expect(404);
      const { headers } = await compute('bob', 'put', `${path}/one`).expect(201);
      expect(headers['location']).toContain(`/servers/${id}/tags/one`);
      await compute('bob', 'put', `${path}/one`).expect(204);
      await compute('bob', 'get', `${path}/one`).expect(204);
      await compute('bob', 'get', `${path}/two`).expect(404);
      expect(
        (
          await compute('bob', 'put', path)
            .send({ tags: ['b', 'a', 'b'] })
            .expect(200)
        ).body,
      ).toEqual({ tags: ['b', 'a'] });
      await compute('bob', 'delete', `${path}/b`).expect(204);
      await compute('bob', 'delete', `${path}/b`).expect(404);
      expect((await compute('bob', 'get', path).expect(200)).body).toEqual({ tags: ['a'] });
      await compute('bob', 'delete', path).expect(204);
      expect(await shown('bob', id)).toMatchObject({ tags: [] });
      await compute('bob', 'put', `${path}/${'x'.repeat(61)}`).expect(400);
      await compute('bob', 'put', path)
        .send({ tags: ['a/b'] })
        .expect(400);
    });

    it('have neither addresses nor volumes, and their NUMA nodes', async () => {
      const id = await created('bob', { flavorRef: '43' });
      await run(id);
      const part = async (name: string, user: User = 'bob'): Promise<unknown> =>
        (await compute(user, 'get', `/servers/${id}/${name}`).expect(200)).body;
      expect(await part('ips')).toEqual({ addresses: {} });
      await compute('bob', 'get', `/servers/${id}/ips/private`).expect(404);
      expect(await part('os-interface')).toEqual({ interfaceAttachments: [] });
      expect(await part('os-volume_attachments')).toEqual({ volumeAttachments: [] });
      expect(await part('os-security-groups')).toEqual({ security_groups: [] });
      expect(await part('os-server-password')).toEqual({ password: '' });
      const cell = { memory_mb: 1024, siblings: [] };
      expect(await part('topology')).toEqual({
        nodes: [
          { ...cell, vcpu_set: [0] },
          { ...cell, vcpu_set: [1] },
        ],
        pagesize_kb: null,
      });
      expect(await part('topology', 'root')).toMatchObject({ nodes: [{ host_node: 1, cpu_pinning: {} }, {}] });
    });

    it('are deleted: at once when they hold nothing, else when their devices are given back', async () => {
      const [young, running] = [await created('bob'), await created('bob')];
      await run(running);
      await compute('bob', 'delete', `/servers/${young}`).expect(204);
      await compute('bob', 'get', `/servers/${young}`).expect(404);
      await compute('bob', 'delete', `/servers/${young}`).expect(404);
      await compute('bob', 'delete', `/servers/${running}`).expect(204);
      expect(await shown('bob', running)).toMatchObject({ status: 'ACTIVE', 'OS-EXT-STS:task_state': 'deleting' });
      expect(await api.sql(`SELECT 1 FROM outbox WHERE message ->> 'type' = 'server.deleted'`)).toHaveLength(1);
      await compute('bob', 'put', `/servers/${running}/tags/x`).expect(409);
    });
  });

  describe('that are listed', () => {
    let ids: Readonly<Record<string, string>>;
    beforeEach(async () => {
      const a = await created('bob', { name: 'web-instance-1', tags: ['x', 'y'], metadata: { a: 'b' } });
      const b = await created('bob', { name: 'web-instance-22', flavorRef: '43', tags: ['y'] });
      const c = await created('bob', { name: 'db.main', imageRef: THIRD_IMAGE });
      const d = await created('dave', { name: 'blue' });
      await run(a);
      ids = { a, b, c, d };
    });

    it.each<[string, readonly string[], string?]>([
      ['', ['db.main', 'web-instance-22', 'web-instance-1']],
      ['?sort_key=display_name&sort_dir=asc', ['db.main', 'web-instance-1', 'web-instance-22']],
      ['?name=-instance', ['web-instance-22', 'web-instance-1']],
      ['?name=web-instance-1', ['web-instance-1']],
      ['?name=^.*\\-instance\\-[0-9]%2B$', ['web-instance-22', 'web-instance-1']],
      ['?name=^db', ['db.main']],
      ['?name=db.main', ['db.main']],
      ['?name=nobody', []],
      ['?status=active', ['web-instance-1']],
      ['?status=BUILD', ['db.main', 'web-instance-22']],
      ['?status=build&status=active', ['db.main', 'web-instance-22', 'web-instance-1']],
      ['?status=SHUTOFF', []],
      ['?status=verify_resize', []],
      ['?status=non_existing', [], '2.37'],
      ['?flavor=43', ['web-instance-22']],
      ['?flavor=nothing', []],
      [`?image=${THIRD_IMAGE}`, ['db.main']],
      ['?image=non_existing_image', []],
      ['?tags=x,y', ['web-instance-1']],
      ['?tags-any=x,y', ['web-instance-22', 'web-instance-1']],
      ['?not-tags=y', ['db.main']],
      ['?not-tags-any=x', ['db.main', 'web-instance-22']],
      ['?ip=10.0', []],
      ['?locked=true', []],
      ['?locked=false&limit=1', ['db.main']],
      ['?limit=0', []],
      ['?limit=100000', ['db.main', 'web-instance-22', 'web-instance-1']],
      ['?changes-since=2051-01-01T12:34:00Z', []],
      ['?changes-since=2001-01-01T12:34:00Z&name=db', ['db.main']],
      ['?host=host-of-secrets', ['db.main', 'web-instance-22', 'web-instance-1'], '2.74'],
      ['?unheard_of=1&vm_state=error', ['db.main', 'web-instance-22', 'web-instance-1'], '2.74'],
      ['?vm_state=active', ['web-instance-1'], '2.83'],
      ['?availability_zone=nova', ['web-instance-1'], '2.83'],
      ['?deleted=true', ['db.main', 'web-instance-22', 'web-instance-1']],
    ])('by %s', async (query, names, version) => {
      expect(await listed('bob', query, version)).toEqual(names);
      expect(await listed('bob', `/detail${query}`, version)).toEqual(names);
    });

    it.each<[string, string?]>([
      ['?status=non_existing', '2.38'],
      ['?limit=testing'],
      ['?limit=-1'],
      ['?changes-since=2011/01/01'],
      ['?changes-since=2011-13-41T00:00:00Z'],
      ['?changes-since=2020-01-02T00:00:00Z&changes-before=2020-01-01T00:00:00Z'],
      ['?name=(((('],
      ['?name=(%3F%3Dlook)ahead'],
      ['?name=%00'],
      ['?sort_key=color'],
      ['?sort_key=display_name&sort_dir=up'],
      ['?unheard_of=1', '2.75'],
      ['?marker=nobody'],
      [`?marker=${NOBODY}`],
      ['?locked=perhaps'],
    ])('not by %s', async (query, version) => {
      for (const path of ['/servers', '/servers/detail']) {
        const { status, body } = await compute('bob', 'get', `${path}${query}`, version);
        expect(status, JSON.stringify(body)).toBe(400);
        expect(body.badRequest.code).toBe(400);
      }
    });

    it('as actions left them', async () => {
      const { a, b } = ids as { a: string; b: string };
      await run(b);
      await api.sql(`UPDATE servers SET vm_state = 'stopped' WHERE id = $1`, [a]);
      await compute('bob', 'post', `/servers/${b}/action`)
        .send({ lock: { locked_reason: 'audit' } })
        .expect(202);
      const found: readonly [string, readonly string[]][] = [
        ['status=SHUTOFF', ['web-instance-1']],
        ['status=shutoff&status=active', ['web-instance-22', 'web-instance-1']],
        ['vm_state=stopped', ['web-instance-1']],
        ['power_state=4', ['web-instance-1']],
        ['task_state=scheduling', ['db.main']],
        ['locked=true', ['web-instance-22']],
        ['locked=false', ['db.main', 'web-instance-1']],
      ];
      for (const [query, names] of found) expect(await listed('bob', `?${query}`), query).toEqual(names);
      expect(await shown('bob', a)).toMatchObject({ status: 'SHUTOFF', 'OS-EXT-STS:power_state': 4 });
      expect(await shown('bob', a)).not.toHaveProperty('progress');
      expect(await shown('bob', b)).toMatchObject({ locked: true, locked_reason: 'audit' });
      await compute('bob', 'put', `/servers/${b}/metadata`).send({ metadata: {} }).expect(409);
      await compute('bob', 'put', `/servers/${b}/tags/z`).expect(409);
      await compute('bob', 'delete', `/servers/${b}`).expect(409);
      await compute('root', 'put', `/servers/${b}/metadata`)
        .send({ metadata: { by: 'admin' } })
        .expect(200);
      await compute('bob', 'put', `/servers/${a}/metadata`)
        .send({ metadata: { is: 'stopped' } })
        .expect(200);
    });

    it('page by page, in every order, through whatever names a pattern leaves', async () => {
      for (const query of [
        '',
        '&name=.',
        '&sort_key=display_name&sort_key=created_at&sort_dir=asc&sort_dir=desc',
        '&sort_key=host',
        '&sort_key=vm_state',
      ]) {
        const user = query.includes('host') ? 'root' : 'bob';
        const all = user === 'root' ? '&all_tenants=1&project_id=red' : '';
        const names: string[] = [];
        let next: string | null = `/compute/v2.1/servers/detail?limit=1${query}${all}`;
        while (next !== null && names.length < 10) {
          const { body }: { body: Page } = await api.http
            .get(next)
            .auth(user, 'a password')
            .set('OpenStack-API-Version', 'compute 2.93')
            .expect(200);
          names.push(...body.servers.map(({ name }) => name));
          next = body.servers_links?.[0]?.href.replace(/^http:\/\/[^/]+/, '') ?? null;
        }
        expect([...names].sort(), query).toEqual(['db.main', 'web-instance-1', 'web-instance-22']);
        expect(names, query).toEqual(await listed(user, `?x${query}${all}`.replace('?x&', '?').replace('?x', '')));
      }
    });

    it('of other projects by administrators only', async () => {
      expect(await listed('root', '')).toEqual([]);
      expect(await listed('root', '?all_tenants=')).toHaveLength(4);
      expect(await listed('root', '?all_tenants=1&tenant_id=blue')).toEqual(['blue']);
      expect(await listed('root', '?tenant_id=blue')).toEqual([]);
      expect(await listed('root', '?all_tenants=1&host=host-of-secrets')).toEqual(['web-instance-1']);
      expect(await listed('root', '?all_tenants=1&host=elsewhere')).toEqual([]);
      for (const query of ['?all_tenants=1', '?all_tenants=', '?sort_key=host', '?status=deleted']) {
        expect((await compute('bob', 'get', `/servers${query}`).expect(403)).body.forbidden.code).toBe(403);
      }
      expect(await listed('bob', '?all_tenants=0')).toHaveLength(3);
    });

    it('deleted ones by administrators, and by who asks what has changed', async () => {
      await compute('bob', 'delete', `/servers/${ids['c']}`).expect(204);
      expect(await listed('bob', '?name=db')).toEqual([]);
      expect(await listed('bob', '?name=db&changes-since=2001-01-01T00:00:00Z')).toEqual(['db.main']);
      for (const query of ['deleted=True', 'status=deleted']) {
        const { body } = await compute('root', 'get', `/servers/detail?all_tenants=1&${query}`).expect(200);
        expect(body.servers).toMatchObject([{ name: 'db.main', status: 'DELETED' }]);
        expect(body.servers[0]['OS-SRV-USG:terminated_at']).toMatch(/\.\d{6}$/);
      }
      expect(await listed('root', '?all_tenants=1&deleted=False')).toHaveLength(3);
    });
  });
});
