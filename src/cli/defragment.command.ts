import type { Command } from 'commander';
import { counted, table } from './preview-text.js';
import { ask, tell } from './rest-question.js';

interface PlanOptions {
  readonly url: string;
  readonly flavor?: string;
  readonly devices?: string;
  readonly count?: string;
  readonly alias: readonly string[];
  readonly keep: readonly string[];
  readonly movesMax?: string;
  readonly json: boolean;
}

/** What is read of the answer of `POST /v1/defragmentation/plan`. */
interface Plan {
  readonly outcome: 'nothing_to_do' | 'reached' | 'improved' | 'no_gain';
  readonly before: number;
  readonly after: number;
  readonly moves: readonly {
    readonly server_id: string;
    readonly server_name: string;
    readonly from_host: string;
    readonly to_host: string;
    readonly gives_back: readonly string[];
    readonly takes: readonly string[];
    readonly memory_mb: number;
  }[];
  readonly cost: { readonly moves: number; readonly devices: number; readonly memory_mb: number };
  readonly moves_at_least: number | null;
  readonly cut_short: boolean;
}

const HELP = `
Say what has to fit (--flavor, --devices, --count), or name aliases whose free devices should be of more use.
A plan only: nothing is moved. Exit code:
  0  nothing to do, or the plan reaches the goal
  1  it does not, or not in full
  2  there is no answer`;

/** `berth defragment plan`. */
export function addDefragmentCommand(program: Command): void {
  const several = (value: string, earlier: readonly string[]): readonly string[] => [...earlier, value];
  program
    .command('defragment')
    .description('make room by moving servers')
    .command('plan')
    .description('which servers to move so that more fits: moves in order, gain and cost')
    .requiredOption('--url <url>', 'the REST face, e.g. http://127.0.0.1:8790')
    .option('--flavor <name>', 'a server of this flavor has to fit')
    .option('--devices <wishes>', 'a server with these devices, e.g. gpu:4')
    .option('--count <number>', 'so many of them')
    .option('--alias <name>', 'instead of a goal: free devices of this alias; may be repeated', several, [])
    .option('--keep <id>', 'a server that must not be moved; may be repeated', several, [])
    .option('--moves-max <number>', 'at most so many moves')
    .option('--json', 'the answer as JSON', false)
    .addHelpText('after', HELP)
    .action(async (options: PlanOptions) => {
      const question = (): Promise<Plan> => ask(options.url, '/v1/defragmentation/plan', bodyOf(options));
      const isDone = ({ outcome }: Plan): boolean => outcome === 'reached' || outcome === 'nothing_to_do';
      process.exitCode = await tell(question, options.json, planText, (plan) => (isDone(plan) ? 0 : 1));
    });
}

function bodyOf({ flavor, devices, count, alias, keep, movesMax }: PlanOptions): object {
  const goal = { flavor, devices, ...(count !== undefined && { count: Number(count) }) };
  return {
    ...((flavor ?? devices ?? count) !== undefined && { goal }),
    ...(alias.length > 0 && { aliases: alias }),
    ...(keep.length > 0 && { keep }),
    ...(movesMax !== undefined && { moves_max: Number(movesMax) }),
  };
}

const OUTCOMES: Readonly<Record<Plan['outcome'], string>> = {
  nothing_to_do: 'Nothing to do',
  reached: 'The goal is reached',
  improved: 'Better, but the goal is not reached',
  no_gain: 'No moves were found that help',
};

function planText({ outcome, before, after, moves, cost, moves_at_least, cut_short }: Plan): string {
  const rows = moves.map(({ server_id, server_name, from_host, to_host, gives_back, takes, memory_mb }, at) => [
    ...[String(at + 1), `${server_name} (${server_id})`, from_host, to_host, `${memory_mb} MB`],
    `${gives_back.join(' ')} → ${takes.join(' ')}`,
  ]);
  const bound = moves_at_least === null ? '' : `; no plan has fewer than ${moves_at_least}`;
  const sum = `${counted(cost.devices, 'device', 'devices')}, ${cost.memory_mb} MB of memory`;
  return [
    `${OUTCOMES[outcome]}: ${before} before, ${after} after.`,
    ...(moves.length > 0 ? ['', ...table(['', 'server', 'from', 'to', 'memory', 'devices'], rows), ''] : []),
    ...(moves.length > 0 ? [`${counted(cost.moves, 'move', 'moves')}, ${sum}${bound}.`] : []),
    ...(cut_short ? ['The search gave up at its most trials; there may be a better plan.'] : []),
    '',
  ].join('\n');
}
