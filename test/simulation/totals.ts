import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  export interface ProvidedContext {
    /** The seeds of this run, in order. */
    simulationSeeds: readonly number[];
    /** A directory where each worker leaves its totals. */
    simulationTotals: string;
  }
}

/** What one worker has run. */
export interface Totals {
  seeds: number;
  findings: number;
  /** Steps, faults by their kind, ends of servers. */
  readonly counts: { [what: string]: number };
  milliseconds: number;
}

const SEEDS = 240;

/**
 * vitest's global setup of the simulation: which seeds are run, and at the end what that came to.
 *
 * `SEED=123` runs this one; `SEEDS=1000` so many, from `START` (1) on.
 *
 * @returns the teardown
 */
export function setup(project: TestProject): () => void {
  const directory = mkdtempSync(join(tmpdir(), 'berth-simulation-'));
  const { SEED, SEEDS: count = String(SEEDS), START = '1' } = process.env;
  const seeds =
    SEED === undefined || SEED === ''
      ? Array.from({ length: wholeNumber('SEEDS', count) }, (_unused, index) => wholeNumber('START', START) + index)
      : [wholeNumber('SEED', SEED)];
  project.provide('simulationSeeds', seeds);
  project.provide('simulationTotals', directory);
  const startedAt = Date.now();
  return () => {
    tell(directory, Date.now() - startedAt);
    rmSync(directory, { recursive: true, force: true });
  };
}

function wholeNumber(name: string, text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new Error(`${name}=${text} is not a whole number`);
}

function tell(directory: string, milliseconds: number): void {
  const workers = readdirSync(directory).map(
    (file) => JSON.parse(readFileSync(join(directory, file), 'utf8')) as Totals,
  );
  if (workers.length === 0) return;
  const sum = (of: (totals: Totals) => number): number => workers.reduce((total, worker) => total + of(worker), 0);
  const counts = new Map<string, number>();
  for (const worker of workers) {
    for (const [what, count] of Object.entries(worker.counts)) counts.set(what, (counts.get(what) ?? 0) + count);
  }
  const seeds = sum(({ seeds }) => seeds);
  const each = Math.round(sum(({ milliseconds: ms }) => ms) / Math.max(1, seeds));
  const lines = [...counts].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([what, count]) => `  ${what}: ${count}`);
  const total = `${seeds} seeds in ${Math.round(milliseconds / 1000)} s, ${each} ms each; ${sum(({ findings }) => findings)} findings`;
  process.stdout.write(`\nSimulation: ${total}\n${lines.join('\n')}\n`);
}
