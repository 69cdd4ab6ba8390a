import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import bcrypt from 'bcryptjs';
import type { Response } from 'supertest';
import type { DataSource } from 'typeorm';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { ledgerDataSource } from '../../src/store/database.js';
import { agentsAnswer, finishRemoval, hostWithGpus, scheduleOn, scheduler } from '../support/scheduler-world.js';
import { POLICY } from '../support/snapshots.js';
import { type RestApi, startRestApi } from '../support/rest-api.js';

const USERS = { root: 'admin', bob: 'member', rita: 'reader', dave: 'member' } as const;
type User = keyof typeof USERS;
const PROJECTS = { root: 'operations', bob: 'red', rita: 'red', dave: 'blue' };
const NOBODY = '00000000-0000-4000-8000-000000000000';

describe('what is done with servers, as clients of Nova ask for it', () => {
  const folder = mkdtempSync(join(tmpdir(), 'berth-users-'));
  let api: RestApi;
  let source: DataSource;
  beforeAll(async () => {
    const usersFile = join(folder, 'users');
    const hash = await bcrypt.hash('a password', 4);
    writeFileSync(
      usersFile,
      Object.keys(USERS)
        .map((user) => `${user}:${hash}\n`)
        .join(''),
    );
    api = await startRestApi(inject('databaseUrl'), {
      ...{ strategy: 'http_basic', usersFile, projects: PROJECTS, roles: USERS },
    });
    source = await ledgerDataSource(api.databaseUrl, 4).initialize();
    scheduleOn(source);
  });
  afterAll(async () => {
    await source?.destroy();
    await api?.close();
    rmSync(folder, { recursive: true });
  });
  beforeEach(async () => {
    await api.sql('TRUNCATE hosts, servers, outbox, aliases CASCADE');
    await hostWithGpus('node-1', 1);
    const specs = [{ vendor_id: '10de', product_id: '1bb0', device_type: 'type-PCI' }];
    const alias = await as('root').post('/v1/aliases', { name: 'gpu', specs });
    expect(alias.status, JSON.stringify(alias.body)).toBe(201);
  });

  const as = (user: User, minor = '2.1') => {
    const asked = (method: 'get' | 'post' | 'put' | 'delete', path: string, body?: object): Promise<Response> =>
      api.http[method](path)
        .auth(user, 'a password')
        .set('OpenStack-API-Version', `compute ${minor}`)
        .send(body)
        .then();
    return {
      get: (path: string) => asked('get', path),
      post: (path: string, body: object) => asked('post', path, body),
      put: (path: string, body: object) => asked('put', path, body),
      delete: (path: string) => asked('delete', path),
    };
  };

  /** A server of bob's with the only GPU, running. */
  async function running(): Promise<string> {
    const { body } = await as('bob').post('/v1/servers', { name: 'vm', devices: 'gpu:1', vcpus: 1, ram_mb: 64 });
    expect(body.id, JSON.stringify(body)).toBeDefined();
    await settled(body.id);
    return body.id as string;
  }

  async function settled(id: string): Promise<void> {
    await scheduler({ filters: [...POLICY.filters, 'AvailabilityZoneFilter'] }).schedule(id);
    await agentsAnswer();
  }

  const act = (id: string, body: object, user: User = 'bob', minor = '2.1') =>
    as(user, minor).post(`/v2.1/servers/${id}/action`, body);

  const shown = async (id: string): Promise<string> => {
    const { status, vm_state, action } = (await as('root').get(`/v1/servers/${id}`)).body;
    return [status, vm_state, action].filter((word) => word !== null).join(' ');
  };

  const gpuIs = async (): Promise<string> =>
    (await api.sql<{ status: string }>('SELECT status FROM devices'))[0]?.status ?? '';

  it('stops and starts, pauses and goes on; its device stays with it', async () => {
    const id = await running();
    const steps: [object, string][] = [
      [{ 'os-stop': null }, 'ACTIVE stopped'],
      [{ 'os-start': null }, 'ACTIVE active'],
      [{ pause: null }, 'ACTIVE paused'],
      [{ unpause: null }, 'ACTIVE active'],
      [{ suspend: null }, 'ACTIVE suspended'],
      [{ resume: null }, 'ACTIVE active'],
      [{ reboot: { type: 'SOFT' } }, 'ACTIVE active'],
      [{ pause: null }, 'ACTIVE paused'],
      [{ reboot: { type: 'hard' } }, 'ACTIVE active'],
    ];
    for (const [body, state] of steps) {
      const answer = await act(id, body);
      expect([answer.status, answer.body]).toEqual([202, {}]);
      expect(await shown(id)).toBe(state);
      expect(await gpuIs()).toBe('allocated');
    }
  });

  it('what does not fit its state is a conflict in words that clients know', async () => {
    const id = await running();
    await act(id, { 'os-stop': null });
    const again = await act(id, { 'os-stop': null });
    const message = `Cannot 'stop' instance ${id} while it is in vm_state stopped`;
    expect([again.status, again.body]).toEqual([409, { conflictingRequest: { code: 409, message } }]);
    const wrong: [object, number][] = [
      ...[{ pause: null }, { unpause: null }, { resume: null }, { reboot: { type: 'SOFT' } }, { unshelve: null }].map(
        (body) => [body, 409] as [object, number],
      ),
      [{ restore: null }, 409],
      [{ confirmResize: null }, 409],
      [{ revertResize: null }, 409],
      [{ unrescue: null }, 409],
      [{ reboot: { type: 'WARM' } }, 400],
      [{ reboot: {} }, 400],
      [{ reboot: null }, 400],
      [{ reboot: { type: 'SOFT', more: 1 } }, 400],
      [{ 'os-stop': null, 'os-start': null }, 400],
      [{ fly: null }, 400],
      [{ toString: null }, 400],
      [{}, 400],
      [{ resize: { flavorRef: 'none' } }, 400],
      [{ resize: { flavorRef: '' } }, 400],
      [{ createImage: { name: 'x' } }, 501],
      [{ rescue: {} }, 501],
      [{ 'os-getConsoleOutput': { length: 10 } }, 501],
      [{ addSecurityGroup: { name: 'web' } }, 404],
    ];
    for (const [body, status] of wrong) {
      const answer = await act(id, body);
      expect([answer.status, JSON.stringify(body)]).toEqual([status, JSON.stringify(body)]);
    }
  });

  it('a server that there is not, or of another project, is not there', async () => {
    const id = await running();
    const bodies = [{ 'os-stop': null }, { pause: null }, { shelve: null }, { lock: null }, { forceDelete: null }];
    for (const body of bodies) {
      for (const [user, whose] of [
        ['bob', NOBODY],
        ['bob', '999'],
        ['dave', id],
      ] as [User, string][]) {
        expect((await act(whose, body, user)).status).toBe(404);
      }
    }
    expect((await as('dave', '2.93').get(`/v2.1/servers/${id}/os-instance-actions`)).status).toBe(404);
    expect((await act(id, { 'os-stop': null }, 'rita')).status).toBe(403);
    for (const body of [{ 'os-resetState': { state: 'error' } }, { migrate: null }, { evacuate: {} }]) {
      expect((await act(id, body)).status).toBe(403);
    }
    expect(await shown(id)).toBe('ACTIVE active');
  });

  it('who locks a server keeps members from it, and deletes of theirs', async () => {
    const id = await running();
    expect((await act(id, { lock: { locked_reason: 'mine' } })).status).toBe(400);
    expect((await act(id, { lock: { locked_reason: 'mine' } }, 'bob', '2.73')).status).toBe(202);
    const { body } = await as('bob').get(`/v1/servers/${id}`);
    expect(body).toMatchObject({ locked: true, locked_reason: 'mine' });
    expect((await act(id, { 'os-stop': null })).body).toEqual({
      conflictingRequest: { code: 409, message: `Instance ${id} is locked` },
    });
    expect((await as('bob').delete(`/v1/servers/${id}`)).status).toBe(409);
    expect((await act(id, { 'os-stop': null }, 'root')).status).toBe(202);
    expect((await act(id, { unlock: null })).status).toBe(202);
    await act(id, { lock: null }, 'root');
    expect((await act(id, { unlock: null })).status).toBe(403);
    expect((await act(id, { unlock: null }, 'root')).status).toBe(202);
    expect((await as('bob').delete(`/v1/servers/${id}`)).status).toBe(202);
  });

  it('an administrator says that it is broken, and that it is not', async () => {
    const id = await running();
    await act(id, { 'os-resetState': { state: 'error' } }, 'root');
    expect(await shown(id)).toBe('ACTIVE error');
    expect((await act(id, { pause: null })).status).toBe(409);
    await act(id, { 'os-resetState': { state: 'active' } }, 'root');
    expect(await shown(id)).toBe('ACTIVE active');
    for (const state of ['stopped', 1, null]) {
      expect((await act(id, { 'os-resetState': { state } }, 'root')).status).toBe(400);
    }
  });

  it('a shelved server gives all back, and is placed again when it is asked for', async () => {
    const id = await running();
    await act(id, { pause: null });
    expect((await act(id, { shelve: null })).status).toBe(202);
    await agentsAnswer();
    expect([await shown(id), await gpuIs()]).toEqual(['SHELVED active', 'available']);
    expect((await act(id, { shelve: null })).status).toBe(409);
    expect((await act(id, { shelveOffload: null }, 'root')).status).toBe(409);
    const other = await running();
    expect(await shown(other)).toBe('ACTIVE active');

    expect((await act(id, { unshelve: null })).status).toBe(202);
    expect((await act(id, { unshelve: null })).status).toBe(409);
    await settled(id);
    // there is no room: it is as it was, and says why
    const { status, fault } = (await as('root').get(`/v1/servers/${id}`)).body;
    expect([status, fault.code]).toEqual(['SHELVED', 'placement.no_valid_host']);

    await act(other, { forceDelete: null });
    await finishRemoval(other);
    const wrong: [object, number, User, string][] = [
      [{ unshelve: { availability_zone: 'moon' } }, 400, 'bob', '2.77'],
      [{ unshelve: { availability_zone: 'nova' } }, 400, 'bob', '2.76'],
      [{ unshelve: { availability_zone: null } }, 400, 'bob', '2.77'],
      [{ unshelve: { host: 'node-1' } }, 400, 'root', '2.90'],
      [{ unshelve: { host: 'node-1' } }, 403, 'bob', '2.91'],
      [{ unshelve: { host: 'node-9' } }, 400, 'root', '2.91'],
    ];
    for (const [body, expected, user, minor] of wrong) {
      expect([(await act(id, body, user, minor)).status, body]).toEqual([expected, body]);
    }
    await api.sql(`UPDATE hosts SET enabled = false`);
    await hostWithGpus('node-2', 1);
    await act(id, { unshelve: { availability_zone: null, host: 'node-1' } }, 'root', '2.91');
    await settled(id);
    expect(await shown(id)).toBe('SHELVED active');
    await act(id, { unshelve: { host: 'node-2' } }, 'root', '2.91');
    await settled(id);
    expect((await as('root').get(`/v1/servers/${id}`)).body).toMatchObject({ status: 'ACTIVE', host: 'node-2' });
    const actions = await actionsOf(id, 'root', '2.93');
    expect(actions.map(({ action, message }) => [action, message === null])).toEqual([
      ...[
        ['unshelve', true],
        ['unshelve', false],
        ['unshelve', false],
      ],
      ...[
        ['shelve', true],
        ['pause', true],
        ['create', true],
      ],
    ]);
    await act(id, { shelve: null });
    await act(id, { forceDelete: null });
    await finishRemoval(id);
    expect((await as('bob').get(`/v1/servers/${id}`)).status).toBe(404);
    expect(await gpuIs()).toBe('available');
  });

  it('a server begins anew from an image, where it is and with what it has', async () => {
    const image = { name: 'debian', disk_format: 'raw', container_format: 'bare', hw_architecture: 'x86_64' };
    const { body: made } = await as('root').post('/image/v2/images', { ...image, visibility: 'public' });
    const id = await running();
    const wish = { imageRef: made.id, name: 'other', metadata: { a: 'b' }, adminPass: 'secret' };
    const rebuilt = await act(id, { rebuild: wish });
    expect(rebuilt.status, JSON.stringify(rebuilt.body)).toBe(202);
    expect(rebuilt.body.server).toMatchObject({
      ...{ id, name: 'other', image: { id: made.id }, metadata: { a: 'b' }, adminPass: 'secret' },
    });
    expect([await shown(id), await gpuIs()]).toEqual(['ACTIVE active', 'allocated']);
    const [row] = await api.sql<{ image: string; name: string }>(
      `SELECT request #>> '{host,imageProperties,hw_architecture}' AS image, request ->> 'serverName' AS name FROM servers`,
    );
    expect(row).toEqual({ image: 'x86_64', name: 'other' });
    await act(id, { 'os-stop': null });
    expect((await act(id, { rebuild: { imageRef: made.id } }, 'bob', '2.93')).body.server).toMatchObject({
      ...{ user_data: null, adminPass: expect.stringMatching(/^\w{12}$/) },
    });
    expect(await shown(id)).toBe('ACTIVE stopped');
    await act(id, { 'os-start': null });
    await act(id, { pause: null });
    const wrong: [object, number][] = [
      [{ imageRef: made.id }, 409],
      [{ imageRef: NOBODY }, 409],
      [{}, 400],
      [{ imageRef: made.id, description: 'x' }, 400],
      [{ imageRef: made.id, name: '' }, 400],
      [{ imageRef: made.id, personality: [{ path: 'x', contents: '' }] }, 400],
    ];
    for (const [body, status] of wrong) expect((await act(id, { rebuild: body })).status).toBe(status);
    await act(id, { unpause: null });
    expect((await act(id, { rebuild: { imageRef: NOBODY } })).status).toBe(400);
    expect((await act(id, { rebuild: { imageRef: made.id, key_name: 'none' } }, 'bob', '2.54')).status).toBe(400);
    expect((await actionsOf(id, 'bob', '2.1')).filter(({ action }) => action === 'rebuild')).toHaveLength(2);
  });

  interface ShownAction {
    readonly action: string;
    readonly message: string | null;
    readonly request_id: string;
    readonly user_id: string;
    readonly events: readonly Readonly<Record<string, unknown>>[];
  }

  const actionsOf = async (id: string, user: User, minor: string): Promise<ShownAction[]> =>
    (await as(user, minor).get(`/v2.1/servers/${id}/os-instance-actions`)).body.instanceActions;

  it('what was asked is written down: who asked for what, by which request, and what came of it', async () => {
    const id = await running();
    const stop = await act(id, { 'os-stop': null });
    const start = await act(id, { 'os-start': null }, 'root');
    const [started, stopped, created] = await actionsOf(id, 'bob', '2.1');
    expect(stopped).toEqual({
      ...{ action: 'stop', instance_uuid: id, request_id: stop.headers['x-openstack-request-id'], message: null },
      ...{ user_id: 'bob', project_id: 'red', start_time: expect.stringMatching(/^[-\d]{10}T[:\d]{8}\.000000$/) },
    });
    expect(created).toMatchObject({ action: 'create', user_id: 'bob', message: null });
    // another project has no names here
    expect(started).toMatchObject({ action: 'start', user_id: '', project_id: '' });
    expect((await actionsOf(id, 'root', '2.1'))[0]).toMatchObject({ user_id: 'root', project_id: 'operations' });

    const path = `/v2.1/servers/${id}/os-instance-actions`;
    const one = async (user: User, minor: string, request = created?.request_id): Promise<ShownAction> =>
      (await as(user, minor).get(`${path}/${request}`)).body.instanceAction;
    expect(await one('bob', '2.1')).not.toHaveProperty('events');
    expect((await one('bob', '2.51')).events[0]).toEqual({
      ...{ event: 'berth_requested', result: 'Success' },
      ...{ start_time: expect.any(String), finish_time: expect.any(String) },
    });
    expect((await one('bob', '2.84')).events.map((event) => Object.keys(event).sort().join())).toEqual(
      Array.from({ length: 3 }, () => 'event,finish_time,hostId,result,start_time'),
    );
    const detailed = await one('root', '2.84');
    expect(detailed.events.map(({ event }) => event)).toEqual(['berth_requested', 'berth_placed', 'berth_prepared']);
    expect(detailed.events[1]).toMatchObject({
      host: 'node-1',
      traceback: null,
      details: expect.stringContaining('node-1'),
    });
    expect((await one('root', '2.84', start.headers['x-openstack-request-id'])).events).toHaveLength(1);
    expect((await as('bob').get(`${path}/req-${NOBODY}`)).status).toBe(404);

    const first = await as('bob', '2.58').get(`${path}?limit=2`);
    expect(first.body.instanceActions.map(({ action }: ShownAction) => action)).toEqual(['start', 'stop']);
    const next = new URL(first.body.links[0].href);
    const second = await as('bob', '2.58').get(`${next.pathname}${next.search}`);
    expect(second.body.instanceActions.map(({ action }: ShownAction) => action)).toEqual(['create']);
    expect(second.body).not.toHaveProperty('links');
    const wrong = [
      'marker=x',
      'limit=x',
      'limit=-1',
      'changes-since=x',
      'changes-before=2026-01-01T00:00:00Z',
      'what=1',
    ];
    for (const query of wrong) expect((await as('bob', '2.58').get(`${path}?${query}`)).status).toBe(400);
    const before = '?changes-before=2020-01-01T00:00:00Z';
    expect((await as('bob', '2.66').get(`${path}${before}`)).body.instanceActions).toEqual([]);

    await act(id, { forceDelete: null });
    await finishRemoval(id);
    expect((await as('bob').get(path)).status).toBe(404);
    expect((await actionsOf(id, 'bob', '2.21')).map(({ action }) => action)).toEqual([
      'delete',
      'start',
      'stop',
      'create',
    ]);
  });

  it('one whose host is gone is placed elsewhere, and that is a migration', async () => {
    const id = await running();
    const early = await act(id, { evacuate: {} }, 'root');
    expect([early.status, early.body.badRequest.message]).toEqual([400, 'Compute service of node-1 is still in use.']);
    await api.sql(`UPDATE hosts SET status = 'down'`);
    await hostWithGpus('node-2', 1);
    expect((await act(id, { evacuate: { force: true } }, 'root', '2.29')).status).toBe(400);
    expect((await act(id, { evacuate: { force: false } }, 'root', '2.68')).status).toBe(400);
    for (const host of ['node-1', 'node-9']) {
      expect((await act(id, { evacuate: { host } }, 'root', '2.68')).status).toBe(400);
    }
    expect((await act(id, { evacuate: { host: 'node-2' } }, 'root', '2.68')).status).toBe(202);
    const list = async (minor: string, query = ''): Promise<Record<string, unknown>[]> =>
      (await as('root', minor).get(`/v2.1/os-migrations${query}`)).body.migrations;
    expect(await list('2.1')).toMatchObject([{ status: 'accepted', source_compute: 'node-1', dest_compute: null }]);
    await scheduler().evacuateHosts(10);
    await api.sql(`UPDATE hosts SET status = 'up'`);
    await agentsAnswer();
    expect((await as('root').get(`/v1/servers/${id}`)).body).toMatchObject({ status: 'ACTIVE', host: 'node-2' });
    const [move] = await list('2.93');
    expect(move).toMatchObject({
      status: 'done',
      dest_compute: 'node-2',
      migration_type: 'evacuation',
      user_id: 'root',
    });
    const keys = async (minor: string): Promise<number> => Object.keys((await list(minor))[0] ?? {}).length;
    expect([await keys('2.1'), await keys('2.23'), await keys('2.59'), await keys('2.80')]).toEqual([12, 13, 14, 16]);
    expect(await list('2.93', `?instance_uuid=${NOBODY}`)).toEqual([]);
    expect(await list('2.93', `?host=node-2&status=done`)).toHaveLength(1);
    for (const query of ['?marker=x', '?what=1', '?limit=x']) {
      expect((await as('root', '2.59').get(`/v2.1/os-migrations${query}`)).status).toBe(400);
    }
    expect((await as('bob').get('/v2.1/os-migrations')).status).toBe(403);
    expect((await actionsOf(id, 'root', '2.93'))[0]).toMatchObject({ action: 'evacuate', message: null });
  });

  describe('with another flavor, or on another host', () => {
    /** A server of bob's of a flavor with the GPUs that it asks for, running on node-1. */
    async function ofFlavor(name: string, gpus: number): Promise<string> {
      await as('root').post('/v1/flavors', sized(name, gpus));
      const { body } = await as('bob').post('/v1/servers', { name: 'vm', flavor: name });
      await settled(body.id as string);
      return body.id as string;
    }
    const sized = (name: string, gpus: number) => ({
      ...{ name, vcpus: gpus, ram_mb: 64 * gpus, disk_gb: 1 },
      extra_specs: { 'pci_passthrough:alias': `gpu:${gpus}` },
    });
    const seen = async (id: string) => (await as('root').get(`/v1/servers/${id}`)).body;
    const lastMove = async () => (await as('root', '2.59').get('/v2.1/os-migrations')).body.migrations[0];

    beforeEach(() => api.sql('TRUNCATE flavors CASCADE'));

    it('goes where there is room, in one transaction, and has what the flavor says', async () => {
      const id = await ofFlavor('small', 1);
      await as('root').post('/v1/flavors', sized('large', 2));
      await hostWithGpus('node-2', 2);
      const flavorRef = (await as('bob').get('/v1/flavors/large')).body.id as string;
      expect((await act(id, { resize: { flavorRef } })).status).toBe(202);
      expect(await shown(id)).toBe('ACTIVE active resize');
      expect((await as('bob').get(`/v2.1/servers/${id}`)).body.server.status).toBe('RESIZE');
      expect((await act(id, { 'os-stop': null })).status, 'something is under way').toBe(409);
      await scheduler().evacuateHosts(10);
      expect(
        await api.sql(`SELECT h.name, c.status FROM claims c JOIN hosts h ON h.id = c.host_id ORDER BY c.number`),
      ).toEqual([
        { name: 'node-1', status: 'releasing' },
        { name: 'node-2', status: 'claimed' },
      ]);
      await agentsAnswer();
      expect(await seen(id)).toMatchObject({
        status: 'ACTIVE',
        host: 'node-2',
        action: null,
        flavor: { name: 'large', vcpus: 2 },
      });
      expect((await seen(id)).devices).toHaveLength(2);
      expect(await api.sql(`SELECT count(*)::int FROM devices WHERE status = 'available'`)).toEqual([{ count: 1 }]);
      expect(await lastMove()).toMatchObject({ migration_type: 'resize', status: 'done', dest_compute: 'node-2' });
      expect((await actionsOf(id, 'root', '2.93'))[0]).toMatchObject({ action: 'resize', message: null });
      expect((await act(id, { confirmResize: null })).status).toBe(409);
    });

    it('stays as it is where there is no room, and says so', async () => {
      const id = await ofFlavor('small', 1);
      await as('root').post('/v1/flavors', sized('large', 2));
      await hostWithGpus('node-2', 1);
      expect((await as('bob').post(`/v1/servers/${id}/actions/resize`, { flavor: 'large' })).status).toBe(202);
      await scheduler().evacuateHosts(10);
      expect(await shown(id)).toBe('ACTIVE active');
      expect(await seen(id)).toMatchObject({ host: 'node-1', flavor: { name: 'small' }, action: null });
      expect(await lastMove()).toMatchObject({ migration_type: 'resize', dest_compute: null });
      expect((await actionsOf(id, 'root', '2.93'))[0]).toMatchObject({
        ...{ action: 'resize', message: expect.stringContaining('1 device of alias gpu, 2 wanted') },
      });
      // what was asked for before does not come back with the next thing that is asked for
      expect((await act(id, { migrate: null }, 'root')).status).toBe(202);
      await scheduler().evacuateHosts(10);
      await agentsAnswer();
      expect(await seen(id)).toMatchObject({ status: 'ACTIVE', host: 'node-2', flavor: { name: 'small' } });
    });

    it('goes to the host that an administrator names, or nowhere', async () => {
      const id = await ofFlavor('small', 1);
      for (const host of ['node-1', 'node-9']) {
        expect((await act(id, { migrate: { host } }, 'root', '2.56')).status).toBe(400);
      }
      await hostWithGpus('node-2', 1);
      await hostWithGpus('node-3', 1);
      expect((await act(id, { migrate: { host: 'node-3' } }, 'root', '2.56')).status).toBe(202);
      await scheduler().evacuateHosts(10);
      await agentsAnswer();
      expect(await seen(id)).toMatchObject({ status: 'ACTIVE', host: 'node-3' });
      expect(await lastMove()).toMatchObject({ migration_type: 'migration', status: 'done', dest_compute: 'node-3' });
      expect((await as('bob').post(`/v1/servers/${id}/actions/migrate`, {})).status).toBe(403);
    });

    it('is refused above the quota, and with devices that the flavor does not ask for', async () => {
      const id = await ofFlavor('small', 1);
      await as('root').post('/v1/flavors', sized('large', 2));
      expect((await as('root').put('/v1/quotas/red', { limits: { vcpus: 1 } })).status).toBe(200);
      const refused = await as('bob').post(`/v1/servers/${id}/actions/resize`, { flavor: 'large' });
      expect([refused.status, refused.body.code]).toEqual([403, 'quota.exceeded']);
      await as('root').delete('/v1/quotas/red');
      const own = await as('bob').post('/v1/servers', { name: 'own', devices: 'gpu:1', vcpus: 1 });
      await hostWithGpus('node-2', 1);
      await settled(own.body.id);
      const kept = await as('bob').post(`/v1/servers/${own.body.id}/actions/resize`, { flavor: 'large' });
      expect(kept.body).toMatchObject({ code: 'server.not_supported' });
      expect((await as('bob').post(`/v1/servers/${id}/actions/resize`, {})).status).toBe(400);
    });
  });

  it('the native face does the same', async () => {
    const id = await running();
    const path = `/v1/servers/${id}/actions`;
    const stopped = await as('bob').post(`${path}/stop`, {});
    expect([stopped.status, stopped.body.vm_state]).toEqual([202, 'stopped']);
    expect((await as('bob').post(`${path}/stop`, {})).body).toMatchObject({ code: 'server.invalid_status' });
    expect((await as('bob').post(`${path}/lock`, { reason: 'mine' })).body).toMatchObject({ locked_reason: 'mine' });
    expect((await as('bob').post(`${path}/start`, {})).status).toBe(409);
    expect((await as('bob').post(`${path}/unlock`, { reason: 'why' })).status).toBe(400);
    expect((await as('bob').post(`${path}/unlock`, {})).status).toBe(202);
    expect((await as('bob').post(`${path}/fly`, {})).status).toBe(404);
    expect((await as('bob').post(`${path}/evacuate`, {})).status).toBe(403);
    expect((await as('bob').post(`${path}/shelve`, {})).body).toMatchObject({ status: 'SHELVED', host: null });
    await agentsAnswer();
    expect((await as('bob').post(`${path}/unshelve`, {})).body).toMatchObject({ status: 'BUILD', action: 'unshelve' });
  });
});
