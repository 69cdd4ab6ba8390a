import { closeSync, constants, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Address } from '../pci/address.js';
import { PCI_DEVICES } from './device-reader.js';
import type { SysfsWrite } from './kernel.js';
import { errnoOf, readText } from './sysfs-read.js';

/** `done`; `none`: the kernel knows no way to reset it; else what went wrong, for people. */
export type ResetOutcome =
  | { readonly kind: 'done' | 'none' }
  | { readonly kind: 'failed'; readonly errno: string | null; readonly reason: string };

export interface ResetLimits {
  /** For the kernel's write: the methods wait for the device one after the other, a minute at most each. */
  readonly writeMs: number;
  /** Until the device answers again. */
  readonly backMs: number;
}

const LIMITS: ResetLimits = { writeMs: 60_000, backMs: 5_000 };
const ASKED_EVERY_MS = 100;
/** The kernel probes its methods anew at each reset; with none left there is nothing that failed. */
const NO_METHOD = ['ENOTTY'];

/**
 * Resets a device by the methods that its `reset_method` has, in that order, which is the kernel's own doing: an administrator who
 * wrote fewer into it has them respected. Then reads the device's configuration space, as a card that did not come back
 * answers with ones. Never throws.
 */
export async function resetDevice(
  { sysfsRoot, write }: { readonly sysfsRoot: string; readonly write: SysfsWrite },
  address: Address,
  limits = LIMITS,
): Promise<ResetOutcome> {
  const directory = join(sysfsRoot, PCI_DEVICES, address);
  const methods = readText(join(directory, 'reset_method'));
  // kernels before 5.15 have `reset` alone
  if (readText(join(directory, 'reset')).kind === 'absent') return { kind: 'none' };
  if (methods.kind === 'text' && methods.text === '') return { kind: 'none' };
  try {
    await inTime(write(`${PCI_DEVICES}/${address}/reset`, '1'), limits.writeMs);
  } catch (error) {
    const errno = errnoOf(error);
    if (NO_METHOD.includes(errno)) return { kind: 'none' };
    return { kind: 'failed', errno, reason: `its reset failed with ${errno}` };
  }
  if (await isBack(join(directory, 'config'), limits.backMs)) return { kind: 'done' };
  return {
    kind: 'failed',
    errno: null,
    reason: 'it does not answer after its reset: its configuration space reads ffff',
  };
}

async function inTime(writing: Promise<void>, limitMs: number): Promise<void> {
  const timeout = new AbortController();
  const late = delay(limitMs, null, { signal: timeout.signal }).then(
    () => {
      throw Object.assign(new Error(`no answer within ${limitMs} ms`), { code: 'ETIMEDOUT' });
    },
    () => undefined,
  );
  try {
    await Promise.race([writing, late]);
  } finally {
    timeout.abort();
    writing.catch(() => undefined);
  }
}

async function isBack(config: string, limitMs: number): Promise<boolean> {
  const until = performance.now() + limitMs;
  while (!isPresent(config)) {
    if (performance.now() >= until) return false;
    await delay(ASKED_EVERY_MS);
  }
  return true;
}

/** A vendor id of ones is nobody's. What has no such file, a part of a recorded host, cannot be asked. */
function isPresent(config: string): boolean {
  const id = Buffer.alloc(2);
  let file: number;
  try {
    file = openSync(config, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    return errnoOf(error) === 'ENOENT';
  }
  try {
    return readSync(file, id, 0, id.length, 0) === id.length && id.readUInt16LE() !== 0xffff;
  } catch {
    return false;
  } finally {
    closeSync(file);
  }
}
