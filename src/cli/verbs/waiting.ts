import { setTimeout as sleep } from 'node:timers/promises';

const FIRST_MS = 200;
const MOST_MS = 2_000;
const SLOWER = 1.5;

/**
 * Looks again and again, until it is settled or the time is over, and says on a terminal how it stands.
 *
 * @param timeout in seconds
 * @returns what was seen last
 */
export async function watched<T>(
  look: () => Promise<T>,
  isSettled: (seen: T) => boolean,
  tell: (seen: T) => string,
  timeout: number,
): Promise<T> {
  const deadline = Date.now() + timeout * 1000;
  const line = new StatusLine();
  try {
    for (let pause = FIRST_MS; ; pause = Math.min(pause * SLOWER, MOST_MS)) {
      const seen = await look();
      if (isSettled(seen) || !(Date.now() < deadline)) return seen;
      line.show(tell(seen));
      await sleep(Math.min(pause, Math.max(deadline - Date.now(), 1)));
    }
  } finally {
    line.clear();
  }
}

/** One line of standard error that is written over; nothing where nobody looks. */
class StatusLine {
  private readonly since = Date.now();
  private readonly stream = process.stderr.isTTY ? process.stderr : null;

  show(text: string): void {
    const seconds = Math.round((Date.now() - this.since) / 1000);
    const width = (this.stream?.columns || 80) - 1;
    this.stream?.write(`\r\u001b[2K${`${text} (${seconds} s)`.slice(0, width)}`);
  }

  clear(): void {
    this.stream?.write('\r\u001b[2K');
  }
}
