import { Option, type Command } from 'commander';
import type { Schemas } from '../client/rest-client.js';
import type { Column } from '../output/columns.js';
import { filled, positive } from '../verbs/options.js';
import type { Noun, Session } from '../verbs/session.js';
import { eachVerb, listVerb, showVerb } from '../verbs/verbs.js';
import { demandOf, type GivenDemand, withDemand } from './demand.js';
import { reservationId } from './ids.js';

type Reservation = Schemas['ReservationView'];
type OnEnd = Reservation['on_end'];

interface GivenCreate extends GivenDemand {
  readonly count: number;
  readonly start?: string;
  readonly end: string;
  readonly every?: 'day' | 'week';
  readonly times?: number;
  readonly until?: string;
  readonly onEnd: OnEnd;
}

interface GivenSet {
  readonly name?: string;
  readonly end?: string;
  readonly onEnd?: OnEnd;
}

const ON_END: readonly OnEnd[] = ['keep', 'delete'];
const STATUSES = ['pending', 'active', 'ended', 'cancelled', 'degraded'] as const;
const COLUMNS = ['id', 'name', 'status', 'count', 'devices_asked', 'starts_at', 'ends_at'] as const;
const FIELDS: readonly Column<Reservation>[] = [
  ...COLUMNS,
  ...(['recurrence', 'on_end', 'project_id', 'created_at'] as const),
  { name: 'windows', text: ({ windows }) => windows.map(windowText).join('\n') },
  { name: 'events', text: ({ events }) => events.map(eventText).join('\n') },
];

const HELP = `
Times are of ISO 8601 with Z or an offset: 2026-03-02T08:00:00+01:00.
  berth reservation create mondays --devices gpu:2 --start 2026-03-02T08:00+01:00 --end 2026-03-02T18:00+01:00 --every week --times 8`;

/** `berth reservation`. */
export function addReservation(noun: Noun): void {
  showVerb(noun, 'create <name>', 'keep devices for a time, in all windows or not at all', {
    options: createOptions,
    help: HELP,
    one: create,
    fields: FIELDS,
  });
  listVerb(noun, 'list', 'reservations, oldest first', {
    options: (command) => command.addOption(new Option('--status <status>', 'only such').choices([...STATUSES])),
    rows: ({ rest, all }: Session, { status }: { status?: (typeof STATUSES)[number] }) =>
      all((query) => rest.GET('/v1/reservations', { params: { query: { ...query, ...filled({ status }) } } })),
    columns: COLUMNS,
    long: ['recurrence', 'on_end', 'project_id', 'created_at'],
  });
  showVerb(noun, 'show <reservation>', 'windows, devices and what has happened', {
    one: async (session: Session, _given: unknown, name: string) => {
      const path = await pathOf(session, name);
      return session.ask(session.rest.GET('/v1/reservations/{id}', { params: { path } }));
    },
    fields: FIELDS,
  });
  showVerb(noun, 'set <reservation>', 'change its name, its end, or what becomes of its servers', {
    options: (command) =>
      command
        .option('--name <name>', 'another one')
        .option('--end <time>', 'of the window under way, or the first one')
        .addOption(new Option('--on-end <what>', 'becomes of its servers').choices([...ON_END])),
    one: async (session: Session, { name, end, onEnd }: GivenSet, reservation: string) => {
      const params = { path: await pathOf(session, reservation) };
      const body = filled({ name, ends_at: end, on_end: onEnd });
      return session.ask(session.rest.PATCH('/v1/reservations/{id}', { params, body }));
    },
    fields: FIELDS,
  });
  eachVerb(
    noun,
    'delete <reservation...>',
    'cancel reservations: their devices are free for all, their servers go on',
    {
      what: 'reservation delete',
      act: async (session: Session, _given: unknown, name) => {
        const path = await pathOf(session, name);
        await session.ask(session.rest.DELETE('/v1/reservations/{id}', { params: { path } }));
      },
    },
  );
}

function createOptions(command: Command): Command {
  return withDemand(command)
    .option('--count <n>', 'for so many servers', positive, 1)
    .option('--start <time>', 'now, when left out')
    .requiredOption('--end <time>', 'of the first window')
    .addOption(new Option('--every <period>', 'comes back').choices(['day', 'week']))
    .option('--times <n>', 'so many windows in all', positive)
    .option('--until <time>', 'no window begins later')
    .addOption(new Option('--on-end <what>', 'becomes of its servers').choices([...ON_END]).default('keep'));
}

async function create(session: Session, given: GivenCreate, name: string): Promise<Reservation> {
  const { count, start, end, every, times, until, onEnd } = given;
  const recurs = every !== undefined || times !== undefined || until !== undefined;
  const body = {
    ...(await demandOf(session, given)),
    ...filled({ starts_at: start, recurrence: recurs ? filled({ every, count: times, until }) : undefined }),
    ...{ name, count, ends_at: end, on_end: onEnd },
  };
  return session.ask(session.rest.POST('/v1/reservations', { body: body as Schemas['ReservationBody'] }));
}

async function pathOf(session: Session, name: string): Promise<{ id: string }> {
  return { id: await reservationId(session, name) };
}

function windowText({ starts_at, ends_at, status, fault, devices }: Reservation['windows'][number]): string {
  const places = devices.map(({ host, address, server }) => `  server ${server}: ${host ?? '?'} ${address ?? '?'}`);
  return [`${starts_at} to ${ends_at}, ${status}${fault ? `: ${fault.message}` : ''}`, ...places].join('\n');
}

function eventText({ created_at, event, message }: Reservation['events'][number]): string {
  return `${created_at} ${event}: ${message}`;
}
