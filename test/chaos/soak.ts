import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { randomNumbers } from '../support/random.js';
import { audit, settle, treesOf } from './audit.js';
import { Client, Traffic } from './client.js';
import { Load } from './load.js';
import { hasPlacements } from './placements.js';
import { startWorld, type World } from './world.js';

const USAGE = 'npm run test:soak -- [--minutes 10] [--seed N] [--json]\n';
const SAMPLE_MS = 10_000;
const SAMPLES_MIN = 6;
/** A process may grow by so much from the first third of a run to the last. */
const GROWTH_SHARE = 0.15;
const GROWTH_BYTES = 20 * 2 ** 20;
const MIB = 2 ** 20;
const SETTLE_MS = 60_000;
const PACE = { workers: 6, restMs: 150, liveMax: 30 };

interface Options {
  readonly minutes: number;
  readonly seed: number;
  readonly json: boolean;
}

/** Medians of the first and the last third, in MiB. */
interface Growth {
  readonly first: number;
  readonly last: number;
  readonly ok: boolean;
}

/** @returns the exit code: 0 when no role has grown, 1 when one has or something is wrong in the ledger, 2 for a wrong option */
export async function main(words: readonly string[]): Promise<number> {
  const options = optionsOf(words);
  if (options === null) {
    process.stderr.write(USAGE);
    return 2;
  }
  const world = await startWorld({ clocks: false, heaps: true, env: {} });
  try {
    return await soak(world, options);
  } finally {
    await world.close();
  }
}

function optionsOf(words: readonly string[]): Options | null {
  try {
    const { values } = parseArgs({
      args: [...words],
      options: {
        minutes: { type: 'string', default: '10' },
        seed: { type: 'string', default: '1' },
        json: { type: 'boolean', default: false },
      },
    });
    const [minutes, seed] = [Number(values.minutes), Number(values.seed)];
    return minutes >= 1 && Number.isInteger(seed) ? { minutes, seed, json: values.json } : null;
  } catch {
    return null;
  }
}

async function soak(world: World, { minutes, seed, json }: Options): Promise<number> {
  const originals = treesOf(world);
  const random = randomNumbers(seed);
  const traffic = new Traffic();
  const client = new Client(world.apiUrls, random, traffic, () => Number.POSITIVE_INFINITY);
  const load = new Load(client, random, PACE, await hasPlacements(world.apiUrls[0] ?? ''));
  const loading = load.run();
  const samples = await sample(world, minutes * 60_000);
  load.end();
  await loading;
  const unsettled = await settle(world, SETTLE_MS);
  const { lost, double, leaked, strange } = await audit(world, load, originals);
  const growth = { rss: growthOf(samples.rss), heap: growthOf(samples.heap) };
  const wrong = [...unsettled, ...lost, ...double, ...leaked, ...strange];
  const hasGrown = [...Object.values(growth.rss), ...Object.values(growth.heap)].some(({ ok }) => !ok);
  const ok = !hasGrown && wrong.length === 0;
  const deleted = load.wanted.filter((one) => one.deleteAcknowledged).length;
  const figures = { minutes, seed, sent: traffic.sent, created: load.wanted.length, deleted, wrong: wrong.length };
  tell(figures, growth, wrong);
  process.stdout.write(json ? `${JSON.stringify({ ...figures, mib: growth, ok })}\n` : ok ? 'ok\n' : 'FAILED\n');
  return ok ? 0 : 1;
}

/** Role → bytes, in the order of time. */
type Series = Record<string, number[]>;

async function sample(world: World, forMs: number): Promise<{ readonly rss: Series; readonly heap: Series }> {
  const [rss, heap]: [Series, Series] = [{}, {}];
  const until = Date.now() + forMs;
  while (Date.now() < until) {
    await sleep(SAMPLE_MS);
    for (const role of world.roles()) {
      const { pid } = role.process;
      if (pid !== null) (rss[role.name] ??= []).push(residentBytes(pid));
      const file = world.heapFile(role);
      if (existsSync(file)) (heap[role.name] ??= []).push(Number(readFileSync(file, 'utf8')));
    }
  }
  return { rss, heap };
}

function residentBytes(pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kib ?? 0) * 1024;
}

/** The first tenth is warming up: code is compiled, caches and pools are filled. */
function growthOf(series: Series): Record<string, Growth> {
  return Object.fromEntries(
    Object.entries(series).map(([name, values]) => {
      if (values.length < SAMPLES_MIN) throw new Error(`${name}: only ${values.length} samples`);
      const warm = values.slice(Math.ceil(values.length / 10));
      const third = Math.floor(warm.length / 3);
      const [first, last] = [median(warm.slice(0, third)), median(warm.slice(-third))];
      const ok = last <= first * (1 + GROWTH_SHARE) + GROWTH_BYTES;
      return [name, { first: inMib(first), last: inMib(last), ok }];
    }),
  );
}

function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)] ?? 0;
}

function inMib(bytes: number): number {
  return Math.round((bytes / MIB) * 10) / 10;
}

function tell(
  figures: Readonly<Record<string, number>>,
  growth: Readonly<Record<'rss' | 'heap', Record<string, Growth>>>,
  wrong: readonly string[],
): void {
  const say = (line: string): void => void process.stdout.write(`${line}\n`);
  for (const [name, value] of Object.entries(figures)) say(`  ${name.padEnd(10)} ${value}`);
  for (const [what, roles] of Object.entries(growth)) {
    say(`${what}, MiB: median of the first third, of the last`);
    for (const [name, { first, last, ok }] of Object.entries(roles)) {
      say(`  ${name.padEnd(16)} ${String(first).padStart(7)} ${String(last).padStart(7)}${ok ? '' : '  GROWS'}`);
    }
  }
  for (const one of wrong.slice(0, 10)) say(`wrong: ${one}`);
}
