import { counted, table } from './preview-text.js';

/** What is read of a reservation in the answers of `/v1/reservations`. */
export interface ReservationSummary {
  readonly id: string;
  readonly name: string;
  readonly status: string;
  readonly count: number;
  readonly devices_asked: readonly string[];
  readonly starts_at: string;
  readonly ends_at: string;
  readonly recurrence: { readonly every: string } | null;
}

export interface Reservation extends ReservationSummary {
  readonly on_end: string;
  readonly windows: readonly {
    readonly starts_at: string;
    readonly ends_at: string;
    readonly status: string;
    readonly fault: { readonly message: string } | null;
    readonly devices: readonly { readonly host: string; readonly address: string; readonly server: number }[];
  }[];
  readonly events: readonly { readonly event: string; readonly message: string; readonly created_at: string }[];
}

const HEAD = ['id', 'name', 'status', 'for', 'first window', 'until', 'every'];

/** Reservations for a person at a terminal. */
export function reservationsText(all: readonly ReservationSummary[]): string {
  if (all.length === 0) return 'No reservations.\n';
  const rows = all.map((one) => [
    ...[one.id, one.name, one.status, `${one.count} × ${one.devices_asked.join(', ')}`],
    ...[one.starts_at, one.ends_at, one.recurrence?.every ?? ''],
  ]);
  return [...table(HEAD, rows), ''].join('\n');
}

export function reservationText(one: Reservation): string {
  const servers = counted(one.count, 'server', 'servers');
  const atEnd = one.on_end === 'delete' ? 'its servers are deleted at the end' : 'its servers go on at the end';
  return [
    `${one.name} (${one.id}), ${one.status}: ${one.devices_asked.join(', ')} for ${servers}; ${atEnd}`,
    ...one.windows.flatMap(windowLines),
    ...(one.events.length > 0 ? ['', ...one.events.map(eventLine)] : []),
    '',
  ].join('\n');
}

function windowLines({ starts_at, ends_at, status, fault, devices }: Reservation['windows'][number]): string[] {
  const places = devices.map(({ host, address, server }) => `    server ${server}: ${host} ${address}`);
  return [`  ${starts_at} to ${ends_at}, ${status}${fault ? `: ${fault.message}` : ''}`, ...places];
}

function eventLine({ created_at, event, message }: Reservation['events'][number]): string {
  return `  ${created_at} ${event}: ${message}`;
}
