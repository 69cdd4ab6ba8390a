import type { AuditBody } from '../store/audit-bodies.js';
import type { BreakKind } from '../store/audit-check.js';
import type { AuditReport } from './audit-report.js';
import type { AuditEntry } from '../store/audit-chain.js';

const MEANINGS: Readonly<Record<BreakKind, string>> = {
  changed: 'is not what was sealed: it was changed',
  missing: 'is missing: it was removed',
  inserted: 'was never sealed: it was inserted',
  reordered: 'is not in its place: entries were reordered',
  cut: 'and all that followed it are missing: the end of the chain was cut off',
  rewritten: 'is not that of the anchor: the chain was written anew',
};

/** What `berth audit verify` says. */
export function auditReportText({ broken, from, entries, last, pending }: AuditReport): string {
  const whole = `${counted(entries)} after ${from}, up to ${last.seq}, as sealed; ${pending} not sealed yet.\n`;
  if (broken === null) return `The audit chain is whole: ${whole}Head: ${last.seq}:${last.hash}\n`;
  return `The audit chain is broken: entry ${broken.seq} ${MEANINGS[broken.kind]} (${broken.kind}).\nBefore that: ${whole}`;
}

function counted(entries: number): string {
  return entries === 1 ? '1 entry' : `${entries} entries`;
}

/** What `berth audit show` says: a line for each thing that concerns the subject. */
export function trailText(
  entries: readonly AuditEntry[],
  subject: string | null,
  names: ReadonlyMap<string, string>,
): string {
  const lines = entries.flatMap((entry) =>
    itemsOf(JSON.parse(entry.body) as AuditBody)
      .filter(({ ids }) => subject === null || ids.includes(subject))
      .map(({ text }) => `${entry.seq}  ${entry.at}  ${text(names)}`),
  );
  return lines.length === 0 ? 'Nothing is sealed about it.\n' : `${lines.join('\n')}\n`;
}

interface Item {
  readonly ids: readonly (string | null)[];
  readonly text: (names: ReadonlyMap<string, string>) => string;
}

function itemsOf(body: AuditBody): Item[] {
  if (body.kind === 'transition') return body.transitions.map(transitionItem);
  if (body.kind === 'decision') return body.decisions.map(decisionItem);
  if (body.kind === 'preemption') {
    const { server_id, host_id, victims } = body;
    const text: Item['text'] = (names) =>
      `server ${server_id} takes the place of ${victims.join(', ')} on host ${nameOf(host_id, names)}`;
    return [{ ids: [server_id, host_id, ...victims], text }];
  }
  if (body.kind === 'drift') {
    const { device_id, host_id, server_id, address, drift, reason, policy } = body;
    const text: Item['text'] = (names) =>
      `device ${address} of host ${nameOf(host_id, names)}: ${drift}: ${reason} (policy ${policy})`;
    return [{ ids: [device_id, host_id, server_id], text }];
  }
  const { kind: _, action, actor, ...details } = body;
  const text = (): string => `${action} by ${actor ?? 'the system'} ${JSON.stringify(details)}`;
  return [{ ids: [details['device_id'], details['host_id'], details['server_id']].map((id) => id as string), text }];
}

type Transition = Extract<AuditBody, { kind: 'transition' }>['transitions'][number];
type Decided = Extract<AuditBody, { kind: 'decision' }>['decisions'][number];

function transitionItem({ device_id, host_id, server_id, address, event, from, to }: Transition): Item {
  return {
    ids: [device_id, host_id, server_id],
    text: (names) =>
      `device ${address} of host ${nameOf(host_id, names)}: ${from} → ${to} (${event}${server_id === null ? '' : `, server ${server_id}`})`,
  };
}

function decisionItem({ server_id, host_id, attempt, outcome, record_sha256 }: Decided): Item {
  return {
    ids: [server_id, host_id],
    text: (names) => {
      const where = host_id === null ? '' : ` on host ${nameOf(host_id, names)}`;
      return `server ${server_id}, attempt ${attempt}: ${outcome}${where}, record ${record_sha256.slice(0, 16)}…`;
    },
  };
}

/** A host that is gone has its id only. */
function nameOf(id: string, names: ReadonlyMap<string, string>): string {
  return names.get(id) ?? id;
}
