import { writeFile } from 'node:fs/promises';
import type { PlacementPolicy } from '../placement/snapshot.js';
import type { HttpSettings } from '../settings/settings.js';
import { createApi } from './create-api.js';
import { openApiText } from './openapi.js';

/**
 * Writes the document; needs no database.
 *
 * @param target a file, or `-` for standard output
 */
export async function writeOpenApi(target: string): Promise<void> {
  const app = await createApi(
    { database: { url: 'postgres://none', poolMax: 1 }, http: HTTP, scheduler: SCHEDULER, pci: { exclusiveTags: [] } },
    { connect: false, logger: false },
  );
  await app.init();
  const text = openApiText(app);
  await app.close();
  if (target === '-') process.stdout.write(text);
  else await writeFile(target, text);
}

/** The document does not depend on settings. */
const HTTP: HttpSettings = { host: '127.0.0.1', port: 0, bodyBytesMax: 1_048_576, pageSizeMax: 1_000 };
const SCHEDULER: PlacementPolicy = {
  compat: 'strict',
  filters: [],
  weigherMultipliers: {},
  cpuAllocationRatio: 1,
  ramAllocationRatio: 1,
  diskAllocationRatio: 1,
};
