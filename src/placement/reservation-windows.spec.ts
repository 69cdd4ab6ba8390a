import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Recurrence, WINDOWS_MAX, windowsOf } from './reservation-windows.js';

const NOW = Date.parse('2026-03-01T12:00:00Z');
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const at = (hours: number, length = 2) => ({ start: NOW + hours * HOUR, end: NOW + (hours + length) * HOUR });
const daily = (more: Partial<Recurrence>): Recurrence => ({ every: 'day', until: null, count: null, ...more });

function problemOf(...asked: Parameters<typeof windowsOf>): string {
  const found = windowsOf(...asked);
  return 'problems' in found ? found.problems.map(({ field, problem }) => `${field} ${problem}`).join('; ') : 'fine';
}

describe('windows of a reservation', () => {
  it('is one without recurrence', () => {
    expect(windowsOf(at(1), null, NOW)).toEqual({ windows: [at(1)] });
  });

  it('come back so many times', () => {
    expect(windowsOf(at(1), daily({ count: 3 }), NOW)).toEqual({ windows: [at(1), at(25), at(49)] });
    expect(windowsOf(at(1), daily({ every: 'week', count: 2 }), NOW)).toEqual({ windows: [at(1), at(169)] });
  });

  it('come back while they begin not later than until', () => {
    const until = (hours: number) => windowsOf(at(1), daily({ until: NOW + hours * HOUR }), NOW);
    expect(until(25)).toEqual({ windows: [at(1), at(25)] });
    expect(until(24.9)).toEqual({ windows: [at(1)] });
  });

  it('may follow each other without a gap', () => {
    expect(windowsOf(at(0, 24), daily({ count: 2 }), NOW)).toEqual({ windows: [at(0, 24), at(24, 24)] });
  });

  it.each<[string, string]>([
    [problemOf(at(2, 0), null, NOW), 'ends_at is not after starts_at'],
    [problemOf(at(2, -1), null, NOW), 'ends_at is not after starts_at'],
    [problemOf(at(-1, 5), null, NOW), 'starts_at is in the past; leave it out for a window that begins now'],
    [problemOf(at(-0.01, 5), null, NOW), 'fine'],
    [problemOf(at(1, 366 * 24), null, NOW), 'fine'],
    [problemOf(at(1, 366 * 24 + 1), null, NOW), 'ends_at is more than 366 days after starts_at'],
    [problemOf(at(733 * 24), null, NOW), 'starts_at has a window that begins later than two years from now'],
    [problemOf(at(1), daily({}), NOW), 'recurrence has to say one of until and count'],
    [problemOf(at(1), daily({ count: 2, until: NOW + DAY }), NOW), 'recurrence has to say one of until and count'],
    [problemOf(at(1), daily({ until: NOW }), NOW), 'recurrence.until is before starts_at'],
    [
      problemOf(at(1, 25), daily({ count: 2 }), NOW),
      'recurrence.every the window is longer than a day: it would overlap the next one',
    ],
    [problemOf(at(1), daily({ count: WINDOWS_MAX }), NOW), 'fine'],
    [problemOf(at(1), daily({ count: 61 }), NOW), 'recurrence.count makes 61 windows; a reservation has at most 60'],
    [
      problemOf(at(1), daily({ until: NOW + 100 * DAY }), NOW),
      'recurrence.until makes 100 windows; a reservation has at most 60',
    ],
    [
      problemOf(at(400 * 24), daily({ every: 'week', count: 60 }), NOW),
      'recurrence has a window that begins later than two years from now',
    ],
  ])('%s', (found, expected) => expect(found).toBe(expected));

  it('never overlap, are as long as the first, and at most sixty', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 1000 }),
        fc.integer({ min: 1, max: 400 }),
        fc.record({
          every: fc.constantFrom('day' as const, 'week' as const),
          until: fc.option(fc.integer({ min: 0, max: 5000 }).map((hours) => NOW + hours * HOUR)),
          count: fc.option(fc.integer({ min: 1, max: 100 })),
        }),
        (start, length, recurrence) => {
          const found = windowsOf(at(start, length), recurrence, NOW);
          if ('problems' in found) return found.problems.length > 0;
          const { windows } = found;
          return (
            windows.length <= WINDOWS_MAX &&
            windows.every(({ start: from, end }, index) => {
              const before = windows[index - 1];
              return end - from === length * HOUR && (!before || before.end <= from);
            })
          );
        },
      ),
    );
  });
});
