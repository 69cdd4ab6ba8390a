import { setTimeout as delay } from 'node:timers/promises';
import { errnoError, type SysfsWrite } from './kernel.js';

const LIMIT_MS = 60_000;

/** Writes that are waited for only so long. */
export interface TimeLimitedWrites {
  /** The writes of one piece of work, by its name. They fail with ETIMEDOUT, and go on by themselves then. */
  to(name: string): SysfsWrite;
  /** Whether a write of that name still goes on. */
  isStuck(name: string): boolean;
}

/** A write to sysfs can block for as long as a program holds a device, and cannot be called back. */
export function timeLimited(write: SysfsWrite, limitMs = LIMIT_MS): TimeLimitedWrites {
  const stuck = new Set<string>();
  return {
    isStuck: (name) => stuck.has(name),
    to: (name) => async (path, value) => {
      const over = new AbortController();
      const late = delay(limitMs, 'late' as const, { signal: over.signal, ref: false }).catch(() => 'over' as const);
      const writing = write(path, value);
      try {
        if ((await Promise.race([writing, late])) !== 'late') return;
      } finally {
        over.abort();
      }
      stuck.add(name);
      void writing.catch(() => undefined).finally(() => stuck.delete(name));
      throw errnoError('ETIMEDOUT', `not done after ${limitMs} ms`, path);
    },
  };
}
