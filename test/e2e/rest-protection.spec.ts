import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { toWireDevice } from '../../src/messages/wire-device.js';
import { scanHost } from '../../src/compute-agent/sysfs-scanner.js';
import type { WireDevice } from '../../src/messages/device-bodies.js';
import { parseDeviceSpecs } from '../../src/pci/device-spec/device-spec-reader.js';
import { berth } from '../support/cli.js';
import { temporaryHost } from '../support/hosts.js';
import { insertAllocations, insertHost, type RestApi, startRestApi, wireDevice } from '../support/rest-api.js';

const NIC = '0000:00:02.0';
const PREVIEW = '/v1/device-specs/preview';

/** What the agent of a recorded host reports when its whitelist means everything. */
async function recorded(tree: string): Promise<WireDevice[]> {
  const [host, remove] = await temporaryHost(tree);
  try {
    const { devices } = await scanHost({
      ...{ sysfsRoot: host.sysfs, procRoot: host.proc, stateDir: host.directory, kernel: 'simulated' },
      ...{ readOnly: false, resources: { vcpus: 1, memoryMb: 1, diskGb: 1 } },
      deviceSpecs: parseDeviceSpecs([{ vendor_id: '*' }], 'test', { freeTags: [] }),
    });
    return devices.map(toWireDevice);
  } finally {
    await remove();
  }
}

describe('what a host needs itself, over REST', () => {
  let api: RestApi;
  let devices: WireDevice[];
  beforeAll(async () => {
    api = await startRestApi(inject('databaseUrl'));
    devices = await recorded('small');
    const { id, deviceIds } = await insertHost(api, { name: 'small', devices });
    await insertHost(api, { name: 'bare', devices: [wireDevice({ address: '0000:01:00.0', iommu_group: null })] });
    const { body } = await api.http.post('/v1/servers').send({ name: 'owner', vcpus: 1 }).expect(202);
    const taken = deviceIds[devices.findIndex(({ address }) => address === '0000:01:00.0')] as string;
    const claim = { serverId: body.id as string, hostId: id, active: true };
    await insertAllocations(api, { ...claim, devices: [{ id: taken, alias: null }] });
  });
  afterAll(() => api?.close());

  interface Group {
    readonly group: number;
    readonly state: string;
    readonly blocker: { readonly address: string; readonly reason: string; readonly remedy: string } | null;
    readonly members: readonly Record<string, unknown>[];
  }
  const groups = async (query = ''): Promise<readonly Group[]> =>
    (await api.http.get(`/v1/hosts/small/iommu-groups${query}`).expect(200)).body.groups as Group[];

  it('is in the list of devices, with code, words and remedy', async () => {
    const { body } = await api.http.get('/v1/devices?host=small').expect(200);
    const shown = body.devices as { address: string; offered: boolean; protection: unknown; not_offered: string }[];
    const nic = shown.find(({ address }) => address === NIC);
    expect(nic).toMatchObject({
      offered: false,
      not_offered: expect.stringContaining('protected (default_route): it carries the default route (eth0 →'),
      protection: {
        overridden: false,
        reasons: [{ code: 'default_route', remedy: expect.stringContaining(`for exactly ${NIC}`) }],
      },
    });
    const others = shown.filter(({ address }) => address !== NIC);
    expect(others.length).toBeGreaterThan(5);
    expect(others.every(({ protection }) => protection === null)).toBe(true);
  });

  it('protects its IOMMU group; the others say what can become of them', async () => {
    const all = await groups();
    expect(all.map(({ group }) => group)).toEqual(
      [...new Set(devices.map((one) => one.iommu_group))].sort((a, b) => Number(a) - Number(b)),
    );
    const [kept, ...more] = await groups('?state=protected');
    expect(more).toEqual([]);
    expect(kept).toMatchObject({
      blocker: { address: NIC, remedy: expect.stringContaining('move the default route') },
      members: [{ address: NIC, offered: false, server: null, protection: ['default_route'] }],
    });
    const used = all.find(({ members }) => members.some(({ address }) => address === '0000:01:00.0'));
    expect(used).toMatchObject({ state: 'viable', blocker: null });
    expect(used?.members.at(-1)).toMatchObject({ server: { name: 'owner' }, protection: [] });
    expect(await groups(`?group=${used?.group}`)).toEqual([used]);
    expect(await groups(`?group=${used?.group}&state=blocked`)).toEqual([]);
    const { body } = await api.http.get('/v1/hosts/small/iommu-groups').expect(200);
    expect(body).toMatchObject({
      host: 'small',
      left_out: 0,
      ungrouped_count: 0,
      iommu: { state: 'on', problem: null },
    });
  });

  it('says that a host has no IOMMU', async () => {
    const { body } = await api.http.get('/v1/hosts/bare/iommu-groups').expect(200);
    expect(body).toMatchObject({
      ...{ groups: [], ungrouped_count: 1 },
      iommu: { state: 'none', problem: 'this host has no IOMMU', remedy: expect.stringContaining('VT-d') },
    });
  });

  it.each([
    ['state=blue', 400],
    ['group=-1', 400],
    ['grup=1', 400],
  ])('refuses ?%s', async (query, status) => {
    await api.http.get(`/v1/hosts/small/iommu-groups?${query}`).expect(status);
  });

  it('knows no groups of a host that is not there', async () => {
    const { body } = await api.http.get('/v1/hosts/smal/iommu-groups').expect(404);
    expect(body.code).toBe('host.unknown');
  });

  it('is not offered by another whitelist either, unless that names exactly the address', async () => {
    const preview = async (...device_specs: object[]) =>
      (
        await api.http
          .post(PREVIEW)
          .send({ device_specs, hosts: ['small'] })
          .expect(200)
      ).body.hosts[0];
    const all = await preview({ vendor_id: '*' });
    expect(all).toMatchObject({ added_count: 0, removed_count: 0, protected_count: 1 });
    expect(all.protected[0]).toMatchObject({
      ...{ address: NIC, before: null, after: null, protection: ['default_route'] },
      reason: expect.stringContaining('carries the default route'),
    });
    const lifted = await preview({ vendor_id: '*' }, { address: NIC, override_protection: true });
    expect(lifted).toMatchObject({ added_count: 1, protected_count: 0, added: [{ address: NIC }] });
    const wide = { device_specs: [{ address: '00:02.*', override_protection: true }] };
    const { body } = await api.http.post(PREVIEW).send(wide).expect(400);
    expect(body.detail).toContain('override_protection: is for one device only');
  });

  it('can be read at the command line', async () => {
    const run = async (...words: string[]): Promise<string> => {
      const env = { BERTH_URL: new URL(api.http.get('/').url).origin };
      return (await berth(['iommu', 'group', 'list', ...words], env)).stdout;
    };
    const text = await run('small', '--state', 'protected');
    expect(text).toContain('needed by the host: default_route');
    expect(text).toContain('→ move the default route to another interface');
    expect(await run('bare')).toContain('this host has no IOMMU: nothing can be handed over');
    expect(JSON.parse(await run('small', '-f', 'json')) as object).toMatchObject({ host: 'small' });
  });
});
