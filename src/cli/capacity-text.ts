import { counted, table } from './preview-text.js';

/** What is read of an alias in the answer of `GET /v1/capacity`. */
export interface Capacity {
  readonly alias: string;
  readonly there: number;
  readonly free: number;
  readonly in_use: number;
  readonly held: number;
  readonly blocked: number;
  readonly missing: number;
  readonly fits: number;
  readonly largest: { readonly host: string; readonly count: number } | null;
}

/** The same of `GET /v1/fragmentation`. */
export interface Fragmentation {
  readonly alias: string;
  readonly idle: number;
  readonly free: number;
  readonly stranded: number;
  readonly fragmentation: number;
  readonly causes: readonly {
    readonly code: string;
    readonly vendor_id: string;
    readonly product_id: string;
    readonly count: number;
    readonly host_count: number;
    readonly example: string;
  }[];
}

const HEAD = ['alias', 'there', 'in use', 'held', 'blocked', 'missing', 'free', 'fit now', 'most for one server'];

/** Gauges for a person at a terminal. */
export function capacityText(aliases: readonly Capacity[], fragmentation: readonly Fragmentation[] | null): string {
  const rows = aliases.map(({ alias, there, in_use, held, blocked, missing, free, fits, largest }) => [
    alias,
    ...[there, in_use, held, blocked, missing, free, fits].map(String),
    largest ? `${largest.count} (${largest.host})` : 'none',
  ]);
  return [...table(HEAD, rows), ...(fragmentation ?? []).flatMap(strandedLines), ''].join('\n');
}

function strandedLines({ alias, idle, stranded, fragmentation, causes }: Fragmentation): string[] {
  const share = `${(fragmentation * 100).toFixed(1)} %`;
  return [
    '',
    `${alias}: ${stranded} of ${counted(idle, 'idle device is', 'idle devices are')} of no use to any flavor or server that asks for it; the next server cannot use ${share} of the free ones`,
    ...causes.map(({ code, vendor_id, product_id, count, host_count, example }) => {
      const where = `on ${counted(host_count, 'host', 'hosts')}`;
      return `  ${count} × ${vendor_id}:${product_id} ${where}: ${code}; ${example}`;
    }),
  ];
}
