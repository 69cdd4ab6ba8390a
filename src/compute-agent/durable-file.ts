import { open, rename } from 'node:fs/promises';
import { join } from 'node:path';

/** Writes a file of the state directory as JSON. After a power cut there is either the old one or the new one, whole. */
export async function writeDurably(directory: string, name: string, value: object): Promise<void> {
  const path = join(directory, name);
  const temporary = `${path}.new`;
  await withFile(temporary, 'w', async (file) => {
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
