import { closeSync, constants, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Address } from '../pci/address.js';
import { BindingError } from './binding-error.js';
import { PCI_DEVICES } from './device-reader.js';
import { errnoOf, readText } from './sysfs-read.js';
import { write, type WritingHost } from './vfio-binder-writes.js';

/** `done`; `none`: the kernel knows no way to reset it; else what went wrong, for people. */
export type ResetOutcome =
  | { readonly kind: 'done' | 'none' }
  | { readonly kind: 'failed'; readonly errno: string | null; readonly reason: string };

/** Until the device answers again. */
const BACK_MS = 5_000;
const ASKED_EVERY_MS = 100;
/** Where the command register is in the configuration space, with the status after it. */
const COMMAND = 4;
/** The kernel probes its methods anew at each reset; with none left there is nothing that failed. */
const NO_METHOD = 'ENOTTY';

/**
 * Resets a device by the methods that its `reset_method` has, in that order, which is the kernel's own doing: an administrator who
 * wrote fewer into it has them respected. Then reads the device's configuration space, as a card that did not come back
 * answers with ones. Never throws.
 *
 * Takes as long as the kernel does, which may wait a minute for the device by each method, and holds the device's lock meanwhile: nothing
 * else could be done with it. Reports show it as blocked then.
 */
export async function resetDevice(
  host: WritingHost,
  { claimId, address }: { readonly claimId: string; readonly address: Address },
  backMs = BACK_MS,
): Promise<ResetOutcome> {
  const directory = join(host.sysfsRoot, PCI_DEVICES, address);
  const methods = readText(join(directory, 'reset_method'));
  // kernels before 5.15 have `reset` alone
  if (readText(join(directory, 'reset')).kind === 'absent') return { kind: 'none' };
  if (methods.kind === 'text' && methods.text === '') return { kind: 'none' };
  try {
    await write(host, { claimId, address, step: 'reset' }, `${PCI_DEVICES}/${address}/reset`, '1');
  } catch (error) {
    const errno = error instanceof BindingError && error.errno !== null ? error.errno : errnoOf(error);
    if (errno === NO_METHOD) return { kind: 'none' };
    return { kind: 'failed', errno, reason: `its reset failed with ${errno}` };
  }
  if (await isBack(join(directory, 'config'), backMs)) return { kind: 'done' };
  return {
    kind: 'failed',
    errno: null,
    reason: 'it does not answer after its reset: its configuration space reads ffff',
  };
}

async function isBack(config: string, limitMs: number): Promise<boolean> {
  const until = performance.now() + limitMs;
  while (!isPresent(config)) {
    if (performance.now() >= until) return false;
    await delay(ASKED_EVERY_MS);
  }
  return true;
}

/**
 * Command and status of a device that answers are never ones alone, where a VF's ids always are. What has no such file, a part of a
 * recorded host, cannot be asked.
 */
function isPresent(config: string): boolean {
  const registers = Buffer.alloc(4);
  let file: number;
  try {
    file = openSync(config, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    return errnoOf(error) === 'ENOENT';
  }
  try {
    return readSync(file, registers, 0, 4, COMMAND) === 4 && registers.readUInt32LE() !== 0xffff_ffff;
  } catch {
    return false;
  } finally {
    closeSync(file);
  }
}
