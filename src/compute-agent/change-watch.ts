import { join } from 'node:path';
import { readText } from './sysfs-read.js';

/** The kernel counts every uevent here: of devices that come and go, and of drivers that are bound and unbound. */
export const UEVENT_SEQNUM = 'kernel/uevent_seqnum';

/** A card brings a burst of uevents: it is looked at when they have been quiet for so long… */
const QUIET_MS = 300;
/** …or when they have gone on for so long. */
const STORM_MS = 1_500;
/** From the end of one look to the beginning of the next; more after a look that took long. */
const APART_MIN_MS = 1_000;
const APART_MAX_MS = 2_500;
const APART_FOR_EACH_MS_OF_A_LOOK = 5;

export interface ChangeWatchOptions {
  readonly sysfsRoot: string;
  /** How often the kernel's count is read. */
  readonly intervalMs: number;
  /** Looks at the host; resolves when that is done, and never fails. */
  readonly look: () => Promise<void>;
}

/**
 * Has the host looked at soon after the kernel told of a change, without waiting for the periodic scan. Node has no netlink, and
 * sysfs no change notices; but the number of the last uevent is one small read. Which device it was about is not in it: the whole
 * host is looked at.
 *
 * Invariant: one look at a time, and however many uevents there are, at least a second between two looks.
 */
export class ChangeWatch {
  private timer: NodeJS.Timeout | null = null;
  private count: string | null = null;
  /** Of uevents that are not looked at yet. */
  private firstAt: number | null = null;
  private lastAt = 0;
  private looking: Promise<void> | null = null;
  private notBefore = 0;

  constructor(
    private readonly options: ChangeWatchOptions,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** @returns false when this host has no such count (a recorded tree): then there is only the periodic scan */
  start(): boolean {
    this.count = this.read();
    if (this.count === null) return false;
    this.timer = setInterval(() => this.poll(), this.options.intervalMs);
    return true;
  }

  /** Resolves when the look under way has ended. */
  async stop(): Promise<void> {
    if (this.timer) clearInterval(this.timer);
    this.timer = null;
    await this.looking;
  }

  /** One read, and a look if one is due. Public for whoever keeps the time himself. */
  poll(): void {
    const now = this.now();
    const count = this.read();
    // a count that cannot be read for once says nothing
    if (count !== null && count !== this.count) {
      this.count = count;
      this.firstAt ??= now;
      this.lastAt = now;
    }
    if (this.isDue(now)) this.look(now);
  }

  private isDue(now: number): boolean {
    if (this.firstAt === null || this.looking || now < this.notBefore) return false;
    return now - this.lastAt >= QUIET_MS || now - this.firstAt >= STORM_MS;
  }

  /** What changes from here on is another change: this look may have passed it by already. */
  private look(begun: number): void {
    this.firstAt = null;
    this.looking = this.options.look().finally(() => {
      const ended = this.now();
      const apart = (ended - begun) * APART_FOR_EACH_MS_OF_A_LOOK;
      this.notBefore = ended + Math.min(APART_MAX_MS, Math.max(APART_MIN_MS, apart));
      this.looking = null;
    });
  }

  private read(): string | null {
    const reading = readText(join(this.options.sysfsRoot, UEVENT_SEQNUM));
    return reading.kind === 'text' && /^\d{1,20}$/.test(reading.text) ? reading.text : null;
  }
}
