import { counted, table } from './preview-text.js';

/** What is read of the answers of `GET /v1/servers/{id}/explanation`. */
export interface Explanation {
  readonly server_id: string;
  readonly server_name: string;
  readonly status: string;
  readonly attempt: number | null;
  readonly decided_at: string | null;
  readonly outcome: 'placed' | 'rejected' | null;
  readonly host: string | null;
  readonly sentences: readonly string[];
  readonly hosts_considered: number;
  readonly filters: readonly { readonly filter: string; readonly host_count: number }[];
  readonly rejections: readonly Rejection[];
  readonly scores: readonly Score[];
  readonly constraints: readonly { readonly text: string; readonly met: boolean; readonly distance: string }[];
  readonly changes: Changes | null;
}

interface Rejection {
  readonly filter: string;
  readonly hosts: readonly string[];
  readonly host_count: number;
  readonly reasons: readonly {
    readonly message: string;
    readonly named: readonly { readonly host: string; readonly message: string }[];
    readonly details: { readonly classes?: readonly DeviceClass[] };
  }[];
}

interface DeviceClass {
  readonly vendor_id: string;
  readonly product_id: string;
  readonly device_type: string;
  readonly numa_node: number | null;
  readonly total: number;
  readonly free: number;
  readonly in_use: number;
  readonly held: Readonly<Record<string, number>>;
  readonly blocked_by_relative: number;
  readonly blocked_by_iommu_group: number;
  readonly not_whole: number;
  readonly missing: number;
}

interface Score {
  readonly rank: number;
  readonly host: string | null;
  readonly total: number;
  readonly delta: number;
  readonly decided_by: string | null;
}

interface Changes {
  readonly computed_at: string;
  readonly fits_now: boolean;
  readonly fits_on: string | null;
  readonly complete: boolean;
  readonly changes: readonly {
    readonly steps: readonly { readonly about: string; readonly sentence: string }[];
    readonly equal_hosts: number | null;
    readonly host: string | null;
  }[];
}

/** How many hosts of a group one line names. */
const HOSTS_TOLD = 4;

/** The explanation for a person at a terminal: the answer first, then why, then what to do. */
export function explanationText(explanation: Explanation): string {
  const { rejections, scores, constraints, changes } = explanation;
  return [
    headline(explanation),
    ...section('Turned down', rejections.flatMap(rejectionLines)),
    ...section('Devices that match, on the first host of each group', classTable(rejections)),
    ...section('Scores', scoreTable(scores)),
    ...section(
      'Topology',
      constraints.map(({ text, met, distance }) => `${met ? 'met    ' : 'not met'}  ${text}  (${distance})`),
    ),
    ...section('What would make it fit', changes ? changeLines(changes) : []),
    '',
  ].join('\n');
}

function headline({ server_name, server_id, status, outcome, host, hosts_considered, ...more }: Explanation): string {
  const server = `${server_name} (${server_id}) is ${status}`;
  if (outcome === null) return `${server}: nothing was decided yet.`;
  const where = outcome === 'rejected' ? 'NO VALID HOST' : host === null ? 'placed' : `placed on ${host}`;
  const count = `${counted(hosts_considered, 'host', 'hosts')} looked at`;
  return `${server}: ${where}.\n${count}, attempt ${more.attempt ?? '-'}, ${more.decided_at ?? ''}`.trimEnd();
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ['', title, ...lines.map((line) => `  ${line}`.trimEnd())];
}

function rejectionLines({ filter, hosts, host_count: count, reasons }: Rejection): string[] {
  const shown = hosts.slice(0, HOSTS_TOLD).join(', ');
  const more = shown === '' ? '' : `: ${shown}${count > Math.min(hosts.length, HOSTS_TOLD) ? ', …' : ''}`;
  const why = reasons.map(({ message }) => `  ${message}`);
  const named = count === 1 ? [] : reasons.flatMap(({ named: names }) => names);
  return [
    `${counted(count, 'host', 'hosts')} by ${filter}${more}`,
    ...(why.length > 0 ? why : ['  no reason was recorded']),
    ...named.map(({ host, message }) => `  e.g. ${host}: ${message}`),
  ];
}

function classTable(rejections: readonly Rejection[]): string[] {
  const rows = rejections.flatMap(({ hosts, reasons }, group) =>
    reasons.flatMap(({ details }) =>
      (details.classes ?? []).map((one) => [
        hosts[0] ?? `group ${group + 1}`,
        `${one.vendor_id}:${one.product_id}`,
        one.device_type,
        one.numa_node === null ? '-' : String(one.numa_node),
        ...[one.total, one.free, one.in_use].map(String),
        heldText(one.held),
        ...[one.blocked_by_relative, one.blocked_by_iommu_group, one.not_whole, one.missing].map(String),
      ]),
    ),
  );
  const head = [
    'host',
    'ids',
    'type',
    'node',
    'all',
    'free',
    'used',
    'held',
    'relative',
    'iommu',
    'partial',
    'missing',
  ];
  return rows.length === 0 ? [] : table(head, rows);
}

function heldText(held: DeviceClass['held']): string {
  const parts = Object.entries(held).map(([status, count]) => `${count} ${status}`);
  return parts.length === 0 ? '0' : parts.join(', ');
}

function scoreTable(scores: readonly Score[]): string[] {
  if (scores.length === 0) return [];
  const rows = scores.map(({ rank, host, total, delta, decided_by: by }) => [
    ...[String(rank), host ?? '-', total.toFixed(3), rank === 1 ? 'winner' : `-${delta.toFixed(3)}`],
    rank === 1 ? '' : (by ?? 'equal: order of names'),
  ]);
  return table(['', 'host', 'total', 'behind', 'because of'], rows);
}

function changeLines({ fits_now, fits_on, changes, complete, computed_at }: Changes): string[] {
  const note = `(tried on the hosts as of ${computed_at}${complete ? '' : '; not everything could be tried'})`;
  if (fits_now) return [`Nothing: by now it fits${fits_on === null ? '' : ` on ${fits_on}`}.`, note];
  if (changes.length === 0) return ['No one or two changes would.', note];
  const lines = changes.map(({ steps, equal_hosts: equal, host }, at) => {
    const others = equal === null || equal < 2 ? '' : ` [${equal} hosts alike]`;
    const where = host === null ? '' : ` -> ${host}`;
    return `${at + 1}. ${steps.map(({ sentence }) => sentence).join(', AND ')}${others}${where}`;
  });
  return [...lines, note];
}
