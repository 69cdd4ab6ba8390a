import { writeFile } from 'node:fs/promises';
import { loadSettings } from '../settings/load-settings.js';
import { createApi } from './create-api.js';
import { openApiText } from './openapi.js';

/**
 * Writes the document; needs no database.
 *
 * @param target a file, or `-` for standard output
 */
export async function writeOpenApi(target: string): Promise<void> {
  // the document does not depend on settings
  const { settings } = loadSettings({ files: [], env: {} });
  const app = await createApi(
    { ...settings, database: { url: 'postgres://none', poolMax: 1 } },
    { connect: false, logger: false },
  );
  await app.init();
  const text = openApiText(app);
  await app.close();
  if (target === '-') process.stdout.write(text);
  else await writeFile(target, text);
}
