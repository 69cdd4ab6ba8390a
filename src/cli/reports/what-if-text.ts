import { counted, table } from './preview-text.js';

/** What is read of the answer of `POST /v1/placements/what-if`. */
interface WhatIf {
  readonly hosts_before: number;
  readonly hosts_after: number;
  readonly requests: readonly {
    readonly name: string;
    readonly before: Copies;
    readonly after: Copies;
    readonly gain: number;
  }[];
}

interface Copies {
  readonly asked: number;
  readonly placed: number;
  readonly message: string | null;
}

/** The comparison for a person at a terminal. */
export function whatIfText({ hosts_before, hosts_after, requests }: WhatIf): string {
  const rows = requests.map(({ name, before, after, gain }) => {
    const change = gain > 0 ? `+${gain}` : String(gain);
    return [name, ...[before.asked, before.placed, after.placed].map(String), change];
  });
  const refused = requests.filter(({ after }) => after.message !== null);
  return [
    `${counted(hosts_before, 'host', 'hosts')} now, ${hosts_after} then`,
    '',
    ...table(['request', 'asked', 'now', 'then', 'change'], rows),
    ...refused.map(({ name, after }) => `${name}, then: ${after.message}`),
    '',
  ].join('\n');
}
