import { counted } from './preview-text.js';

/** What is read of the answer of `GET /v1/fragmentation`. */
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

/** For a person at a terminal. */
export function fragmentationText(aliases: readonly Fragmentation[]): string {
  return [...aliases.flatMap(strandedLines), ''].join('\n');
}

function strandedLines({ alias, idle, stranded, fragmentation, causes }: Fragmentation): string[] {
  const share = `${(fragmentation * 100).toFixed(1)} %`;
  return [
    `${alias}: ${stranded} of ${counted(idle, 'idle device is', 'idle devices are')} of no use to any flavor or server that asks for it; the next server cannot use ${share} of the free ones`,
    ...causes.map(({ code, vendor_id, product_id, count, host_count, example }) => {
      const where = `on ${counted(host_count, 'host', 'hosts')}`;
      return `  ${count} × ${vendor_id}:${product_id} ${where}: ${code}; ${example}`;
    }),
  ];
}
