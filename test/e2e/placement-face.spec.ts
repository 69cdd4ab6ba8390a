import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import bcrypt from 'bcryptjs';
import { afterAll, beforeAll, describe, inject, it } from 'vitest';
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
