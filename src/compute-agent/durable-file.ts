import { open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../errors.js';
import type { AgentLog } from './agent-log.js';
import { errnoOf } from './sysfs-read.js';

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

/**
 * Reads what {@link writeDurably} has written. A file that is none of ours is set aside and shouted about, for people to look at.
 *
 * @param read    throws, saying what is wrong, for what is none
 * @param absent  what holds without a usable file
 * @param warning what is lost with it
 * @throws the system's error when the file is there and cannot be read
 */
export async function readDurable<T>(
  path: string,
  { read, absent, warning }: { readonly read: (value: unknown) => T; readonly absent: T; readonly warning: string },
  log: AgentLog,
): Promise<T> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return absent;
    throw error;
  }
  try {
    return read(JSON.parse(text));
  } catch (error) {
    const aside = `${path}.corrupt-${Date.now()}`;
    await rename(path, aside);
    log('error', warning, { problem: messageOf(error), aside });
    return absent;
  }
}

async function withFile(path: string, flags: string, use: (file: Awaited<ReturnType<typeof open>>) => Promise<void>) {
  const file = await open(path, flags, 0o600);
  try {
    await use(file);
  } finally {
    await file.close();
  }
}
