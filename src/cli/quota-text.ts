import { table } from './preview-text.js';

/** What is read of the answer of `GET /v1/quotas`. */
export interface Quotas {
  readonly project_id: string;
  readonly quotas: readonly {
    readonly resource: string;
    readonly hard_limit: number;
    readonly own_limit: number | null;
    readonly default_limit: number | null;
    readonly used: number | null;
  }[];
  readonly hints: readonly string[];
}

const HEAD = ['resource', 'limit', 'used', 'own', 'default'];

/** Quotas for a person at a terminal. */
export function quotaText({ project_id: project, quotas, hints }: Quotas): string {
  const title = project === '*' ? 'Defaults of every project' : `Project ${project}`;
  const rows = quotas.map(({ resource, hard_limit, own_limit, default_limit, used }) => [
    ...[resource, limitText(hard_limit), used === null ? '-' : String(used)],
    ...[own_limit, default_limit].map((limit) => (limit === null ? '-' : limitText(limit))),
  ]);
  return [title, '', ...table(HEAD, rows), ...hints.map((hint) => `note: ${hint}`), ''].join('\n');
}

function limitText(limit: number): string {
  return limit === -1 ? 'unlimited' : String(limit);
}
