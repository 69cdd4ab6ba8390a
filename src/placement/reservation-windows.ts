/** A time, in milliseconds since 1970. */
type Instant = number;

/** From `start` up to, and without, `end`. */
export interface Window {
  readonly start: Instant;
  readonly end: Instant;
}

/** How a window comes back: with `until`, while it begins not later than that; with `count`, so many times in all. */
export interface Recurrence {
  readonly every: 'day' | 'week';
  readonly until: Instant | null;
  readonly count: number | null;
}

const DAY_MS = 86_400_000;
const PERIOD_MS = { day: DAY_MS, week: 7 * DAY_MS } as const;

/** So many windows has a reservation at most, and so long may one be. */
export const WINDOWS_MAX = 60;
export const WINDOW_MS_MAX = 366 * DAY_MS;
/** A window begins not later than so long from now. */
export const AHEAD_MS_MAX = 2 * 366 * DAY_MS;

/** What is wrong, and with which field of the request. */
export interface WindowProblem {
  readonly field: string;
  readonly problem: string;
}

/**
 * All windows of a reservation, in order. A day has 24 hours, whatever clocks on walls are put to.
 *
 * @param now for what has to be in the future
 */
export function windowsOf(
  first: Window,
  recurrence: Recurrence | null,
  now: Instant,
): { readonly windows: readonly Window[] } | { readonly problems: readonly WindowProblem[] } {
  const problems = [...firstProblems(first, now), ...(recurrence ? recurrenceProblems(first, recurrence) : [])];
  if (problems.length > 0) return { problems };
  const period = PERIOD_MS[recurrence?.every ?? 'day'];
  const count = countOf(first, recurrence, period);
  const windows = Array.from({ length: count }, (_unused, at) => ({
    start: first.start + at * period,
    end: first.end + at * period,
  }));
  const last = windows.at(-1) as Window;
  const tooFar = last.start - now > AHEAD_MS_MAX;
  if (!tooFar) return { windows };
  const field = recurrence ? 'recurrence' : 'starts_at';
  return { problems: [{ field, problem: 'has a window that begins later than two years from now' }] };
}

/** What clocks may differ by. */
const LATE_MS_MAX = 60_000;

function firstProblems({ start, end }: Window, now: Instant): WindowProblem[] {
  if (end <= start) return [{ field: 'ends_at', problem: 'is not after starts_at' }];
  if (start < now - LATE_MS_MAX) {
    return [{ field: 'starts_at', problem: 'is in the past; leave it out for a window that begins now' }];
  }
  if (end - start > WINDOW_MS_MAX) return [{ field: 'ends_at', problem: 'is more than 366 days after starts_at' }];
  return [];
}

function recurrenceProblems(first: Window, recurrence: Recurrence): WindowProblem[] {
  const { every, until, count } = recurrence;
  const period = PERIOD_MS[every];
  if ((until === null) === (count === null)) {
    return [{ field: 'recurrence', problem: 'has to say one of until and count' }];
  }
  if (first.end - first.start > period) {
    return [
      { field: 'recurrence.every', problem: `the window is longer than a ${every}: it would overlap the next one` },
    ];
  }
  if (until !== null && until < first.start) return [{ field: 'recurrence.until', problem: 'is before starts_at' }];
  const asked = countOf(first, recurrence, period);
  if (asked <= WINDOWS_MAX) return [];
  const field = until === null ? 'recurrence.count' : 'recurrence.until';
  return [{ field, problem: `makes ${asked} windows; a reservation has at most ${WINDOWS_MAX}` }];
}

function countOf({ start }: Window, recurrence: Recurrence | null, period: number): number {
  if (recurrence === null) return 1;
  return recurrence.count ?? Math.floor(((recurrence.until ?? start) - start) / period) + 1;
}
