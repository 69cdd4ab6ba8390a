import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeEmbeddedPostgres, startEmbeddedPostgres } from '../src/store/embedded-postgres.js';

/** Runs `work` on an embedded Postgres of its own, as durable as `berth all` has it; nothing of it is left. */
export async function withPostgres(work: (url: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'berth-bench-'));
  const dataDir = join(folder, 'postgres');
  try {
    const postgres = await startEmbeddedPostgres({ dataDir });
    try {
      await work(postgres.url);
    } finally {
      await postgres.stop();
    }
  } finally {
    await removeEmbeddedPostgres(dataDir);
    await rm(folder, { recursive: true, force: true });
  }
}
