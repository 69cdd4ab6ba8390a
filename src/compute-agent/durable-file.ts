import { open, rename } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * Writes a file of a directory as JSON. After a power cut there is either the old one or the new one, whole; who reads meanwhile sees one of the two.
 *
 * @param mode left out: for the agent's own user only
 */
export async function writeDurably(directory: string, name: string, value: object, mode = 0o600): Promise<void> {
  const path = join(directory, name);
  const temporary = `${path}.new`;
  await withFile(temporary, 'w', async (file) => {
    await file.chmod(mode);
    await file.writeFile(JSON.stringify(value));
    await file.sync();
  });
  await rename(temporary, path);
  // The rename is durable when the directory is.
  await withFile(directory, 'r', (opened) => opened.sync());
}

async function withFile(path: string, flags: string, use: (file: Awaited<ReturnType<typeof open>>) => Promise<void>) {
  const file = await open(path, flags, 0o600);
  try {
    await use(file);
  } finally {
    await file.close();
  }
}
