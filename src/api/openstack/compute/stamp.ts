/** A time as Nova writes most of them: with microseconds, and no word of UTC. */
export function stamp(time: Date): string {
  return time.toISOString().replace(/Z$/, '000');
}
