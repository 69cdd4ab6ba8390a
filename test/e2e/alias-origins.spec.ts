import { writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { rm } from 'node:fs/promises';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { BerthProcess } from '../support/berth-process.js';
import { temporaryDirectory } from '../support/hosts.js';
import { createTestDatabase, type TestDatabase } from '../support/postgres.js';
import { freePort } from '../support/processes.js';

let directory: string;
let database: TestDatabase;
const running: BerthProcess[] = [];

beforeAll(async () => {
  directory = await temporaryDirectory();
  database = await createTestDatabase(inject('databaseUrl'));
});
afterAll(async () => {
  for (const api of running) await api.stop();
  await database.drop();
  await rm(directory, { recursive: true, force: true });
});

async function startApi(name: string, productId: string, env: Readonly<Record<string, string>>): Promise<BerthProcess> {
  const file = join(directory, `${name}.yaml`);
  const entry = { name: 'gpu', vendor_id: '10de', product_id: productId, device_type: 'type-PCI' };
  writeFileSync(file, JSON.stringify({ pci: { alias: [entry] } }));
  const api = new BerthProcess({
    ...{ role: 'api', name, config: [file] },
    env: { DATABASE_URL: database.url, BERTH_HTTP_PORT: String(await freePort()), ...env },
  });
  await api.start();
  running.push(api);
  return api;
}

it('two api processes share what their files agree on; a third that does not is told whom it contradicts', async () => {
  const first = await startApi('first', '1bb0', {});
  await startApi('second', '1bb0', { BERTH_PCI_ALIAS_ORIGIN: 'api-2' });
  const third = startApi('third', '1db6', { BERTH_PCI_ALIAS_ORIGIN: 'api-3' });
  const own = `${hostname().toLowerCase()}:${new URL(first.url).port}`;
  await expect(third).rejects.toThrow(
    /settings\.invalid: alias gpu: the files of api-3 give it other specs than those of api-2 \(read .*make the files agree/,
  );
  await expect(third).rejects.toThrow(`\`berth alias forget-origin ${own}\``);
  const shown = (await (await fetch(`${first.url}/v1/aliases/gpu`)).json()) as Record<string, unknown>;
  expect(shown).toMatchObject({ version: 1, specs: [{ product_id: '1bb0' }] });
  expect(shown['owners']).toEqual(expect.arrayContaining([own, 'api-2'].map((origin) => ({ origin, current: true }))));
});
