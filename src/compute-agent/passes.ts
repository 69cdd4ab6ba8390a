import { setTimeout as delay } from 'node:timers/promises';

/** The start of an agent waits no longer for what its kernel does not do. */
const FIRST_LIMIT_MS = 90_000;

/**
 * Passes over what shall be, one at a time; who asks while one is under way gets one more after it.
 *
 * Invariant: a pass that is waited for began after it was asked for.
 */
export class Passes {
  private current: Promise<void> | null = null;
  private next: Promise<void> | null = null;
  private timer: NodeJS.Timeout | null = null;
  private isStopped = false;

  /** @param pass ends in bounded time and never fails */
  constructor(private readonly pass: () => Promise<void>) {}

  /** One more at this interval from now on. */
  start(intervalMs: number): void {
    this.timer = setInterval(() => void this.run(), intervalMs);
  }

  /** Resolves after a pass that began after this call. */
  run(): Promise<void> {
    if (!this.current) return this.begin();
    this.next ??= this.current.then(() => this.begin());
    return this.next;
  }

  /** The pass of a start, which goes on by itself when it takes too long. @returns whether it has ended */
  async runFirst(): Promise<boolean> {
    const over = new AbortController();
    const late = delay(FIRST_LIMIT_MS, 'late' as const, { signal: over.signal }).catch(() => 'over' as const);
    const end = await Promise.race([this.run(), late]);
    over.abort();
    return end !== 'late';
  }

  /** No more passes; resolves when the one under way has ended. */
  async stop(): Promise<void> {
    this.isStopped = true;
    if (this.timer) clearInterval(this.timer);
    await this.current;
  }

  private begin(): Promise<void> {
    this.next = null;
    if (this.isStopped) return Promise.resolve();
    const pass = this.pass().finally(() => {
      if (this.current === pass) this.current = null;
    });
    this.current = pass;
    return pass;
  }
}
