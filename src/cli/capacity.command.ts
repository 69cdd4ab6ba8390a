import type { Command } from 'commander';
import { type Capacity, capacityText, type Fragmentation } from './capacity-text.js';
import { ask, tell } from './rest-question.js';

interface CapacityOptions {
  readonly url: string;
  readonly alias?: string;
  readonly stranded: boolean;
  readonly json: boolean;
}

interface Gauges {
  readonly aliases: readonly Capacity[];
  readonly fragmentation?: readonly Fragmentation[];
}

/** `berth capacity`. */
export function addCapacityCommand(program: Command): void {
  program
    .command('capacity')
    .description('what there is of each alias, and how much of it can be had now')
    .requiredOption('--url <url>', 'the REST face, e.g. http://127.0.0.1:8790')
    .option('--alias <name>', 'only this alias')
    .option('--stranded', 'also what nobody can have now, and why', false)
    .option('--json', 'the answer as JSON', false)
    .action(async (options: CapacityOptions) => {
      process.exitCode = await tell(
        () => gauges(options),
        options.json,
        ({ aliases, fragmentation }) => capacityText(aliases, fragmentation ?? null),
      );
    });
}

async function gauges({ url, alias, stranded }: CapacityOptions): Promise<Gauges> {
  const query = alias === undefined ? '' : `?alias=${encodeURIComponent(alias)}`;
  const aliases = await allPages<Capacity>(url, `/v1/capacity${query}`);
  if (!stranded) return { aliases };
  return { aliases, fragmentation: await allPages<Fragmentation>(url, `/v1/fragmentation${query}`) };
}

const PAGES_MAX = 10_000;

async function allPages<T>(url: string, first: string): Promise<T[]> {
  const all: T[] = [];
  let next: string | null = first;
  for (let page = 0; page < PAGES_MAX && next !== null; page++) {
    const answer: { readonly aliases: readonly T[]; readonly next: string | null } = await ask(url, next);
    all.push(...answer.aliases);
    next = answer.next;
  }
  return all;
}
