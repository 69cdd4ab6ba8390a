import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { writeOpenApi } from './write-openapi.js';

it('openapi/openapi.json is what the code says; `npm run openapi` writes it', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'berth-openapi-'));
  try {
    await writeOpenApi(join(directory, 'openapi.json'));
    const [now, checkedIn] = await Promise.all([
      readFile(join(directory, 'openapi.json'), 'utf8'),
      readFile(new URL('../../openapi/openapi.json', import.meta.url), 'utf8'),
    ]);
    expect(now).toBe(checkedIn);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});
