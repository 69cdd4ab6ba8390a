import type { Change, HostPreview, Preview } from './preview-request.js';

/** The preview for a person at a terminal. */
export function previewText({ hosts, entries, findings }: Preview, places: readonly string[]): string {
  const never = new Set(findings.map(({ entry }) => entry));
  const rows = entries.map(({ entry, matched_count, decided_count }) => {
    const note = never.has(entry) ? 'never decides' : noteOf(matched_count, decided_count);
    return [String(entry + 1), places[entry] ?? '', String(matched_count), String(decided_count), note];
  });
  return [
    `${counted(entries.length, 'entry', 'entries')}, ${counted(hosts.length, 'host', 'hosts')}`,
    '',
    ...table(['entry', 'where', 'matches', 'decides', ''], rows),
    ...findings.map(({ message }) => `warning: ${message}`),
    ...hosts.flatMap(hostLines),
    '',
    closingLine(hosts),
    '',
  ].join('\n');
}

/** Over all hosts: what is dead on one of them may be meant for another. */
function noteOf(matched: number, decided: number): string {
  if (matched === 0) return 'matches nothing on any of these hosts';
  return decided === 0 ? 'earlier entries decide all of it' : '';
}

function hostLines(host: HostPreview): string[] {
  const { added_count, removed_count, changed_count, uncertain_count, protected_count = 0 } = host;
  const counts = `${added_count} added, ${removed_count} removed, ${changed_count} changed`;
  const state = [host.status === 'up' ? [] : [host.status], host.read_only ? ['read-only'] : []].flat();
  return [
    '',
    `${host.host}${state.length > 0 ? ` (${state.join(', ')})` : ''}: ${counted(host.devices, 'device', 'devices')}: ${counts}${uncertain_count > 0 ? `, ${uncertain_count} uncertain` : ''}${protected_count > 0 ? `, ${protected_count} protected` : ''}`,
    ...changeLines('-', host.removed, removed_count),
    ...changeLines('?', host.uncertain, uncertain_count),
    ...changeLines('~', host.changed, changed_count),
    ...changeLines('+', host.added, added_count),
    ...changeLines('!', host.protected ?? [], protected_count),
    ...host.findings.filter(({ kind }) => kind === 'shadowed').map(({ message }) => `  warning: ${message}`),
  ];
}

function changeLines(sign: string, changes: readonly Change[], count: number): string[] {
  const more = count - changes.length;
  return [
    ...changes.map(({ address, vendor_id, product_id, device_type, server, reason }) => {
      const held = server ? `  held by server ${server.name} (${server.id})` : '';
      return `  ${sign} ${address}  ${vendor_id}:${product_id}  ${device_type}${held}${reason === '' ? '' : `  ${reason}`}`;
    }),
    ...(more > 0 ? [`  ${sign} and ${more} more`] : []),
  ];
}

function closingLine(hosts: readonly HostPreview[]): string {
  const sum = (of: (host: HostPreview) => number): number => hosts.reduce((total, host) => total + of(host), 0);
  const held = sum((host) => host.removed_held_count);
  const uncertain = sum((host) => host.uncertain_count);
  if (held > 0) return `Servers hold ${counted(held, 'device', 'devices')} that would disappear.`;
  if (uncertain > 0) return `Whether ${counted(uncertain, 'device', 'devices')} in use would disappear is not known.`;
  return 'No server holds a device that would disappear.';
}

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = head.map((title, at) => Math.max(title.length, ...rows.map((row) => row[at]?.length ?? 0)));
  return [head, ...rows].map((row) =>
    row
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

export function counted(count: number, one: string, many: string): string {
  return `${count} ${count === 1 ? one : many}`;
}
