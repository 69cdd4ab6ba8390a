/** A time as Nova writes it where it is of the database: in UTC, and without saying so. */
export function stamp(time: Date): string {
  return time.toISOString().replace(/Z$/, '000');
}
