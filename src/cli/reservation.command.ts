import { type Command, InvalidArgumentError, Option } from 'commander';
import { type Reservation, type ReservationSummary, reservationsText, reservationText } from './reservation-text.js';
import { ask, tell } from './rest-question.js';

const PATH = '/v1/reservations';
const PAGES_MAX = 10_000;

interface Options {
  readonly url: string;
  readonly json: boolean;
}

interface CreateOptions extends Options {
  readonly devices?: string;
  readonly flavor?: string;
  readonly count: number;
  readonly start?: string;
  readonly end: string;
  readonly every?: string;
  readonly times?: number;
  readonly until?: string;
  readonly onEnd: string;
}

const CREATE_HELP = `
Times are of ISO 8601 with Z or an offset: 2026-03-02T08:00:00+01:00.
  berth reservation create mondays --devices gpu:2 --start 2026-03-02T08:00+01:00 --end 2026-03-02T18:00+01:00 --every week --times 8`;

/** `berth reservation`. */
export function addReservationCommand(program: Command): void {
  const reservation = program.command('reservation').description('devices that are kept for a time');
  withUrl(reservation.command('create <name>').description('keep devices, in all windows or not at all'))
    .option('--devices <text>', 'of one server: gpu:2')
    .option('--flavor <name>', 'of one server')
    .option('--count <n>', 'for so many servers', wholeNumber, 1)
    .option('--start <time>', 'now, when left out')
    .requiredOption('--end <time>', 'of the first window')
    .addOption(new Option('--every <period>', 'comes back').choices(['day', 'week']))
    .option('--times <n>', 'so many windows in all', wholeNumber)
    .option('--until <time>', 'no window begins later')
    .addOption(new Option('--on-end <what>', 'becomes of its servers').choices(['keep', 'delete']).default('keep'))
    .addHelpText('after', CREATE_HELP)
    .action((name: string, options: CreateOptions) =>
      answer(() => ask<Reservation>(options.url, PATH, bodyOf(name, options)), options, reservationText),
    );
  withUrl(reservation.command('list').description('all reservations, oldest first')).action((options: Options) =>
    answer(() => allOf(options.url), options, reservationsText),
  );
  withUrl(reservation.command('show <id>').description('windows, devices and what has happened')).action(
    (id: string, options: Options) => answer(() => ask<Reservation>(options.url, pathOf(id)), options, reservationText),
  );
  withUrl(reservation.command('cancel <id>').description('free its devices for all; its servers go on')).action(
    (id: string, options: Options) => answer(() => cancel(id, options.url), options, reservationText),
  );
}

function withUrl(command: Command): Command {
  return command
    .requiredOption('--url <url>', 'the REST face, e.g. http://127.0.0.1:8790')
    .option('--json', 'the answer as JSON', false);
}

async function answer<T>(question: () => Promise<T>, { json }: Options, textOf: (answer: T) => string): Promise<void> {
  process.exitCode = await tell(question, json, textOf);
}

function bodyOf(name: string, options: CreateOptions): object {
  const { devices, flavor, count, start, end, every, times, until, onEnd } = options;
  const recurrence =
    every === undefined && times === undefined && until === undefined ? undefined : { every, count: times, until };
  return { name, devices, flavor, count, starts_at: start, ends_at: end, recurrence, on_end: onEnd };
}

async function allOf(url: string): Promise<ReservationSummary[]> {
  const all: ReservationSummary[] = [];
  let next: string | null = PATH;
  for (let page = 0; page < PAGES_MAX && next !== null; page++) {
    const read: { readonly reservations: readonly ReservationSummary[]; readonly next: string | null } = await ask(
      url,
      next,
    );
    all.push(...read.reservations);
    next = read.next;
  }
  return all;
}

async function cancel(id: string, url: string): Promise<Reservation> {
  await ask<null>(url, pathOf(id), undefined, 'DELETE');
  return ask(url, pathOf(id));
}

function pathOf(id: string): string {
  return `${PATH}/${encodeURIComponent(id)}`;
}

function wholeNumber(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('has to be a whole number');
}
