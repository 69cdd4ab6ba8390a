import type { Schemas } from '../client/rest-client.js';
import { counted, table } from './preview-text.js';

/** What was asked for, for a person at a terminal. */
export function evacuationPlanText({ host, servers }: Schemas['EvacuationPlanView']): string {
  if (servers.length === 0) return `No servers are on host ${host}.\n`;
  const rows = servers.map(({ server_id, name, will }) => [name, server_id, will.replace('_', ' ')]);
  return [
    `${counted(servers.length, 'server', 'servers')} of host ${host}:`,
    '',
    ...table(['server', 'id', ''], rows),
    '',
  ].join('\n');
}

/** How it stands. */
export function evacuationText({ host, done, releasing, servers }: Schemas['EvacuationView']): string {
  const rows = servers.map(({ server_id, name, progress, to, reason }) => [
    ...[name, server_id, progress.replace('_', ' '), to ?? '', reason ?? ''],
  ]);
  const left = releasing === 0 ? '' : `; ${counted(releasing, 'claim is', 'claims are')} still to be given back`;
  return [
    `Host ${host}: ${done ? 'done' : 'not done'}${left}.`,
    ...(rows.length > 0 ? ['', ...table(['server', 'id', '', 'to', ''], rows)] : []),
    '',
  ].join('\n');
}
