import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { rm } from 'node:fs/promises';
import { Logger } from '@nestjs/common';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { temporaryDirectory } from '../support/hosts.js';
import { takeOverTime } from './conductor.js';
import { openSeedDatabase, type SeedDatabase } from './database.js';
import { Finding, SeedRecord } from './record.js';
import { runSeed, seedDirectory } from './run-seed.js';
import type { Totals } from './totals.js';

const SEEDS_PER_TEST = 20;
const REPEATED_SEED = 900_000;
/** Of seeds that find something, so many are told by each worker; the rest is not run. */
const FINDINGS_MAX = 3;
const VERBOSE = process.env['VERBOSE'] === '1';

/** The tests of one worker: each n-th of the seeds, in a database of its own. */
export function simulate(worker: number, workers: number): void {
  const seeds = inject('simulationSeeds').filter((_seed, index) => index % workers === worker);
  const totals: Totals = { seeds: 0, findings: 0, counts: {}, milliseconds: 0 };
  let database: SeedDatabase;
  let directory = '';

  beforeAll(async () => {
    Logger.overrideLogger(false);
    takeOverTime();
    [database, directory] = await Promise.all([openSeedDatabase(inject('databaseUrl')), temporaryDirectory()]);
  });
  afterAll(async () => {
    writeFileSync(join(inject('simulationTotals'), `${worker}.json`), JSON.stringify(totals));
    await database.drop();
    await rm(directory, { recursive: true, force: true });
  });

  describe('simulation of faults', () => {
    it('tells the same of a seed each time', { timeout: 120_000 }, async () => {
      const [first, second] = [new SeedRecord(), new SeedRecord()];
      for (const record of [first, second]) await told(REPEATED_SEED + worker, record);
      expect(second.lines.join('\n')).toBe(first.lines.join('\n'));
      expect(second.counts).toEqual(first.counts);
    });

    for (let from = 0; from < seeds.length; from += SEEDS_PER_TEST) {
      const some = seeds.slice(from, from + SEEDS_PER_TEST);
      it(`holds for seeds ${some[0]} to ${some.at(-1)}`, { timeout: 30_000 * some.length }, async () => {
        const found: string[] = [];
        for (const seed of some) {
          if (totals.findings < FINDINGS_MAX) found.push(...(await run(seed)));
        }
        expect(found.join('\n\n')).toBe('');
      });
    }
  });

  async function told(seed: number, record: SeedRecord): Promise<void> {
    await database.begin(seed);
    await runSeed(seed, database.source, seedDirectory(directory, seed), record);
  }

  async function run(seed: number): Promise<string[]> {
    const record = new SeedRecord();
    const startedAt = performance.now();
    try {
      await told(seed, record);
      if (VERBOSE) process.stdout.write(`${logOf(seed, record)}\n`);
      return [];
    } catch (error) {
      totals.findings += 1;
      const what = error instanceof Finding ? error.message : error instanceof Error ? error.stack : String(error);
      process.stdout.write(`${logOf(seed, record)}\n${what}\n`);
      return [`seed ${seed} (SEED=${seed} npm run test:simulation tells all of it): ${what}`];
    } finally {
      totals.seeds += 1;
      totals.milliseconds += performance.now() - startedAt;
      for (const [what, count] of record.counts) totals.counts[what] = (totals.counts[what] ?? 0) + count;
    }
  }
}

function logOf(seed: number, record: SeedRecord): string {
  return `── seed ${seed}\n${record.lines.join('\n')}\n──`;
}
