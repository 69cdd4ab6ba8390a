import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import bcrypt from 'bcryptjs';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { type StoryTeller, readStory, tellStep } from '../support/http-stories.js';
import { insertAllocations, insertHost, type RestApi, startRestApi, wireDevice } from '../support/rest-api.js';

const STORIES = new URL('placement-stories/', import.meta.url);
/** Of each: project and role. */
const USERS = { root: ['operations', 'admin'], bob: ['red', 'member'], rita: ['red', 'reader'] } as const;
const PASSWORD = 'a password';

/**
 * Stories of the placement face, one process, a real Postgres, no agents: what is claimed stays claimed, and what is given back stays on
 * its way. Each story has hosts of its own:
 *
 * - `one`: GPUs at 81 and 82, the second one slow (trait), four VFs of a NIC whose PF is not offered, another card for ports only
 * - `two`: four GPUs, in an aggregate
 * - `down`: a GPU, and an agent that is silent
 */
async function setTheStage(api: RestApi): Promise<Record<string, string>> {
  const gpu = (bus: number, traits: readonly string[] = []) =>
    wireDevice({
      ...{ address: `0000:${bus}:00.0`, iommu_group: bus },
      offer: { entry: 0, tags: {}, resource_class: null, traits: [...traits] },
    });
  const vf = (index: number, tags: Record<string, string> = {}) =>
    wireDevice({
      ...{ vendor_id: '8086', product_id: '154c', device_type: 'type-VF' as const, address: `0000:05:10.${index}` },
      ...{ parent_address: '0000:05:00.0', iommu_group: 100 + index },
      offer: { entry: 0, tags, resource_class: 'CUSTOM_FAST_VF', traits: ['CUSTOM_RED', 'HW_NIC_SRIOV'] },
    });
  const port = wireDevice({
    ...{ vendor_id: '15b3', product_id: '1018', device_type: 'type-VF' as const, address: '0000:06:00.1' },
    ...{ parent_address: '0000:06:00.0', iommu_group: 200 },
    offer: { entry: 0, tags: { physical_network: 'physnet1' }, resource_class: null, traits: [] },
  });
  const devices = [gpu(81), gpu(82, ['CUSTOM_SLOW']), ...[0, 1, 2, 3].map((index) => vf(index)), port];
  const one = await insertHost(api, { name: 'one', devices });
  const two = await insertHost(api, { name: 'two', devices: [81, 82, 83, 84].map((bus) => gpu(bus)) });
  const down = await insertHost(api, { name: 'down', status: 'down', devices: [gpu(81)] });
  const [server] = await api.sql<{ id: string }>(
    `INSERT INTO servers (id, name, project_id, status, request)
     VALUES (gen_random_uuid(), 'a server of red', 'red', 'ACTIVE', '{"devices": []}') RETURNING id`,
  );
  const serverId = server?.id as string;
  const given = [{ id: two.deviceIds[3] as string, alias: 'gpu' }];
  await insertAllocations(api, { serverId, hostId: two.id, active: true, devices: given });
  await api.sql(
    `UPDATE hosts SET generation = 7, facts_generation = 7, traits = '["HW_CPU_X86_AVX2"]', reserved = $2 WHERE id = $1`,
    [one.id, JSON.stringify({ vcpus: 4, memory_mb: 2_048, disk_gb: 0 })],
  );
  const [aggregate] = await api.sql<{ id: string }>(
    `INSERT INTO aggregates (id, name) VALUES (gen_random_uuid(), 'fast') RETURNING id`,
  );
  await api.sql(`INSERT INTO aggregate_hosts VALUES ($1, $2)`, [aggregate?.id, two.id]);
  const hosts = { one: one.id, two: two.id, down: down.id };
  return { ...hosts, server: serverId, aggregate: aggregate?.id as string, long: 'A'.repeat(249) };
}

for (const file of readdirSync(STORIES).sort()) {
  describe(`the placement face: ${file.replace('.yaml', '')}`, () => {
    const folder = mkdtempSync(join(tmpdir(), 'berth-stories-'));
    let api: RestApi;
    let teller: StoryTeller;
    beforeAll(async () => {
      const usersFile = join(folder, 'users');
      const hash = await bcrypt.hash(PASSWORD, 4);
      writeFileSync(
        usersFile,
        Object.keys(USERS)
          .map((user) => `${user}:${hash}\n`)
          .join(''),
      );
      const of = (at: 0 | 1) => Object.fromEntries(Object.entries(USERS).map(([user, given]) => [user, given[at]]));
      api = await startRestApi(inject('databaseUrl'), {
        ...{ strategy: 'http_basic', usersFile, projects: of(0) },
        roles: of(1) as Record<keyof typeof USERS, 'reader' | 'member' | 'admin'>,
      });
      const authorization = (user = 'root'): string => `Basic ${Buffer.from(`${user}:${PASSWORD}`).toString('base64')}`;
      teller = { http: api.http, authorization, prefix: '/placement', words: await setTheStage(api) };
    });
    afterAll(async () => {
      await api?.close();
      rmSync(folder, { recursive: true });
    });

    for (const step of readStory(readFileSync(new URL(file, STORIES), 'utf8'))) {
      it(`${step.name}`, () => tellStep(step, teller));
    }
  });
}

describe('the placement face, asked by many at once', () => {
  let api: RestApi;
  beforeAll(async () => {
    api = await startRestApi(inject('databaseUrl'));
    await api.http
      .post('/v1/aliases')
      .send({ name: 'gpu', vendor_id: '10de', product_id: '1bb0', device_type: 'type-PCI' });
    await insertHost(api, { name: 'other' });
    const [gpu, sound] = [{ product_id: '20b0' }, { product_id: '10f0', address: '0000:83:00.1' }];
    await insertHost(api, { name: 'pair', devices: [gpu, sound] });
  });
  afterAll(() => api?.close());

  const version = { 'openstack-api-version': 'placement 1.28' };

  it('gives out each device once, also beside orchestrators that ask natively', async () => {
    const devices = Array.from({ length: 8 }, (_unused, index) =>
      wireDevice({ address: `0000:8${index}:00.0`, iommu_group: 20 + index }),
    );
    const { id: host } = await insertHost(api, { name: 'wanted', devices });
    const { body } = await api.http.get(`/placement/resource_providers?in_tree=${host}`).set({
      'openstack-api-version': 'placement 1.14',
    });
    const providers = (body.resource_providers as { uuid: string }[]).slice(1).map(({ uuid }) => uuid);
    expect(providers).toHaveLength(8);
    // each provider is wanted by three
    const asked = [...providers, ...providers, ...providers].map((uuid) =>
      api.http
        .put(`/placement/allocations/${randomUUID()}`)
        .set(version)
        .send({
          allocations: { [uuid]: { resources: { CUSTOM_PCI_10DE_1BB0: 1 } } },
          ...{ project_id: 'p', user_id: 'u', consumer_generation: null },
        }),
    );
    const native = Array.from({ length: 4 }, (_unused, index) =>
      api.http.post('/v1/placements').send({ placements: [{ key: `native-${index}`, devices: 'gpu:1' }] }),
    );
    const [answers, placed] = await Promise.all([Promise.all(asked), Promise.all(native)]);
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([204, 409]));
    const given = answers.filter(({ status }) => status === 204).length;
    const own = placed.filter((answer) => answer.body.placements[0].outcome === 'placed').length;
    expect(given + own).toBe(8);
    const held = await api.sql<{ device_id: string; owners: number }>(
      `SELECT device_id, count(*)::int AS owners FROM allocations WHERE released_at IS NULL GROUP BY device_id`,
    );
    expect(held.map(({ owners }) => owners)).toEqual(Array.from({ length: 8 }, () => 1));
    const consumers = await api.sql(`SELECT 1 FROM placement_consumers`);
    expect(consumers).toHaveLength(given);
  });

  it('tells what came along with the IOMMU group, and takes the same again with it or without', async () => {
    const { body } = await api.http
      .get('/placement/resource_providers?resources=CUSTOM_PCI_10DE_10F0:1')
      .set({ 'openstack-api-version': 'placement 1.14' });
    const [{ uuid: sound, root_provider_uuid: pair }] = body.resource_providers;
    const tree = await api.http
      .get(`/placement/resource_providers?in_tree=${pair}`)
      .set({ 'openstack-api-version': 'placement 1.14' });
    const gpu = tree.body.resource_providers[1].uuid as string;
    const consumer = `/placement/allocations/${randomUUID()}`;
    const owner = { project_id: 'p', user_id: 'u' };
    const asked = { [gpu]: { resources: { CUSTOM_PCI_10DE_20B0: 1 } } };
    const put = (allocations: object, generation: number | null) =>
      api.http
        .put(consumer)
        .set(version)
        .send({ allocations, ...owner, consumer_generation: generation });
    await put(asked, null).expect(204);
    const all = (await api.http.get(consumer).set(version).expect(200)).body.allocations;
    expect(Object.keys(all).sort()).toEqual([gpu, sound].sort());
    await put(asked, 1).expect(204);
    await put(all, 2).expect(204);
    await put({ [sound]: { resources: { CUSTOM_PCI_10DE_10F0: 1 } } }, 3).expect(409);
    await put({}, 3).expect(204);
  });

  it('has one of those win who make the same consumer', async () => {
    const [host] = await api.sql<{ id: string }>(`SELECT id FROM hosts WHERE name = 'other'`);
    const consumer = randomUUID();
    const wish = {
      allocations: { [host?.id as string]: { resources: { VCPU: 1 } } },
      ...{ project_id: 'p', user_id: 'u', consumer_generation: null },
    };
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => api.http.put(`/placement/allocations/${consumer}`).set(version).send(wish)),
    );
    const codes = answers.map(({ status, body }) => body.errors?.[0].code ?? status);
    expect(codes.filter((code) => code === 204)).toHaveLength(1);
    expect(codes.filter((code) => code === 'placement.concurrent_update')).toHaveLength(7);
    const { body } = await api.http.get(`/placement/resource_providers/${host?.id}/usages`);
    expect(body.usages.VCPU).toBe(1);
  });
});
