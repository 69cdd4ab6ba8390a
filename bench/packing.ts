import { PACKING_POLICIES, runPacking, type PackingPolicy, type PackingRun } from './packing-run.js';
import { sayMachine } from './machine.js';
import { CONVERSIONS, publishedFigures, readRequests, readTraceFolder, type Conversion } from './openb.js';
import { figure, say, sayTable } from './print.js';

const FIRST_SEED = 42;
const POINTS = [90, 95, 100, 110, 130];
/** What the authors call the policies. */
const PUBLISHED: Readonly<Partial<Record<PackingPolicy, string>>> = {
  random: 'Random',
  'dot-product': 'DotProd',
  'best-fit': 'BestFit',
  fgd: 'FGD',
};

interface Options {
  readonly traces: string;
  readonly only: readonly string[] | null;
  readonly policies: readonly PackingPolicy[];
  readonly seeds: number;
  readonly conversion: Conversion;
  readonly json: boolean;
  readonly twice: boolean;
}

/** Means over the seeds. */
interface Figures {
  readonly at: ReadonlyMap<number, number>;
  readonly freeWhole: number;
  readonly microseconds: number;
  /** Of the first seed's decisions. */
  readonly hash: string;
}

const USE = `npm run bench:packing -- --traces DIR [--only TRACE[,…]] [--policy ${PACKING_POLICIES.join('|')}[,…]] [--seeds K] [--whole up|drop] [--twice] [--json]`;

/** How much of a cluster's GPUs each policy gives out, through `place()` itself. See `docs/performance.md`. */
function main(words: readonly string[]): void {
  const options = optionsFrom(words);
  const folder = readTraceFolder(options.traces);
  const published = publishedFigures(options.traces);
  const traces: Record<string, Record<string, unknown>> = {};
  sayMachine();
  say();
  say(
    `Per cent of GPUs given out at 90 to 130 % of arrived demand; mean of ${options.seeds} seeds from ${FIRST_SEED}.`,
  );
  say(
    `Requests for parts of a GPU: ${options.conversion}. free: GPUs of which nothing is given out, at the end; CPU µs: of one decision.`,
  );
  say();
  const rows: string[][] = [];
  for (const trace of options.only ?? folder.lists.keys()) {
    const requests = readRequests(folder, trace, options.conversion);
    for (const policy of options.policies) {
      const runs = seedsOf(options).map((seed) => runPacking(folder.hosts, requests, policy, seed));
      const figures = meansOf(runs);
      if (options.twice) proveEqual(figures, runPacking(folder.hosts, requests, policy, FIRST_SEED));
      rows.push(rowOf(trace, policy, figures, options.conversion === 'shares' ? published : new Map()));
      traces[trace] = { ...traces[trace], [policy]: jsonOf(figures) };
      if (!options.json) process.stderr.write(`${rows.at(-1)?.join('  ')}\n`);
    }
  }
  const head = ['trace', 'policy', ...POINTS.map((at) => `@${at}`), 'published @130', 'difference', 'free', 'CPU µs'];
  sayTable(head, rows);
  if (options.json) say(JSON.stringify({ bench: 'packing', traces }));
}

function seedsOf({ seeds }: Options): number[] {
  return Array.from({ length: seeds }, (_unused, at) => FIRST_SEED + at);
}

function meansOf(runs: readonly PackingRun[]): Figures {
  const mean = (of: (run: PackingRun) => number): number => runs.reduce((sum, run) => sum + of(run), 0) / runs.length;
  return {
    at: new Map(POINTS.map((at) => [at, mean(({ allocated }) => allocated.get(at) ?? NaN)])),
    freeWhole: mean(({ freeWhole }) => freeWhole),
    microseconds: mean(({ timeMs, decisions }) => (1000 * timeMs) / decisions),
    hash: runs[0]?.hash ?? '',
  };
}

function proveEqual({ hash }: Figures, again: PackingRun): void {
  if (again.hash !== hash)
    throw new Error(`two runs of seed ${FIRST_SEED} decided differently: ${hash}, ${again.hash}`);
}

function rowOf(
  trace: string,
  policy: PackingPolicy,
  figures: Figures,
  published: ReadonlyMap<string, number>,
): string[] {
  const theirs = published.get(`${trace} ${PUBLISHED[policy] ?? 'FGD'}`);
  const difference = theirs === undefined ? '' : signed((figures.at.get(130) ?? NaN) - theirs);
  const whose = theirs === undefined ? '' : `${theirs.toFixed(2)} ${PUBLISHED[policy] ?? 'FGD'}`;
  const points = POINTS.map((at) => (figures.at.get(at) ?? NaN).toFixed(2));
  return [trace, policy, ...points, whose, difference, figures.freeWhole.toFixed(2), figure(figures.microseconds)];
}

function signed(value: number): string {
  return `${value < 0 ? '' : '+'}${value.toFixed(2)}`;
}

function jsonOf({ at, freeWhole, microseconds, hash }: Figures): Record<string, unknown> {
  const points = [...at].map(([point, value]) => [`at_${point}`, rounded(value)]);
  return {
    ...Object.fromEntries(points),
    free_whole: rounded(freeWhole),
    us_per_decision: rounded(microseconds),
    hash,
  };
}

function rounded(value: number): number {
  return Math.round(100 * value) / 100;
}

function optionsFrom(words: readonly string[]): Options {
  const given = new Map<string, string>();
  for (let at = 0; at < words.length; at++) {
    const word = words[at] as string;
    if (word === '--json' || word === '--twice') given.set(word, '');
    else if (['--traces', '--only', '--policy', '--seeds', '--whole'].includes(word))
      given.set(word, words[++at] ?? '');
    else throw new Error(`"${word}" is not an option: ${USE}`);
  }
  const traces = given.get('--traces');
  if (traces === undefined) throw new Error(`--traces is missing: ${USE}`);
  const seeds = Number(given.get('--seeds') ?? 10);
  if (!Number.isInteger(seeds) || seeds < 1 || seeds > 1000) throw new Error('--seeds has to be from 1 to 1000');
  return {
    ...{ traces, seeds, json: given.has('--json'), twice: given.has('--twice') },
    only: given.get('--only')?.split(',') ?? null,
    policies: (given.get('--policy')?.split(',') ?? ['best-fit', 'fgd', 'scarcity']).map((name) =>
      oneOf(name, PACKING_POLICIES),
    ),
    conversion: oneOf(given.get('--whole') ?? 'shares', CONVERSIONS),
  };
}

function oneOf<T extends string>(word: string, known: readonly T[]): T {
  const found = known.find((name) => name === word);
  if (found === undefined) throw new Error(`"${word}" is not one of ${known.join(', ')}`);
  return found;
}

main(process.argv.slice(2));
