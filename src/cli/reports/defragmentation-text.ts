import { counted, table } from './preview-text.js';

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

const OUTCOMES: Readonly<Record<Plan['outcome'], string>> = {
  nothing_to_do: 'Nothing to do',
  reached: 'The goal is reached',
  improved: 'Better, but the goal is not reached',
  no_gain: 'No moves were found that help',
};

/** A plan for a person at a terminal. */
export function defragmentationText({ outcome, before, after, moves, cost, moves_at_least, cut_short }: Plan): string {
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
