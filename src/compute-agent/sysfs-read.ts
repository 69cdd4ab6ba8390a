import { closeSync, constants, openSync, readdirSync, readlinkSync, readSync } from 'node:fs';
import { basename } from 'node:path';
import { BerthError } from '../errors.js';

/** The kernel gives an attribute one page. */
export const ATTRIBUTE_BYTES_MAX = 4096;

/** What reading one file or link gave; `absent` is an answer, `unusable` is a fault of the tree. */
export type Reading =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'absent' }
  | { readonly kind: 'unusable'; readonly problem: string };

/** Used again for each attribute: reading is synchronous, and what was read is a text before the next one begins. */
const ATTRIBUTE_BUFFER = Buffer.alloc(ATTRIBUTE_BYTES_MAX + 1);
const ABSENT: Reading = { kind: 'absent' };
// A last component that is a link is refused: attributes are plain files, and a recorded tree must not lead the agent
// to other files of the machine. NONBLOCK, so that a named pipe in a tree cannot hang the agent.
const OPEN_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/**
 * Reads a small text file, without the white space around it. Synchronous on purpose: sysfs answers from memory in some ten
 * microseconds, a trip through the thread pool costs ten times that.
 */
export function readText(path: string, bytesMax = ATTRIBUTE_BYTES_MAX): Reading {
  let bytes: Buffer;
  try {
    bytes = readBytes(path, bytesMax);
  } catch (error) {
    return failedReading(path, error);
  }
  if (bytes.length > bytesMax) return unusable(`${basename(path)} is larger than ${bytesMax} bytes`);
  const text = bytes.toString('latin1').trim();
  return /[^\x20-\x7e\n\t\r]/.test(text) ? unusable(`${basename(path)} is not text`) : { kind: 'text', text };
}

/** The last component of where a link points to; the link itself is not followed. */
export function readLinkName(path: string): Reading {
  try {
    return { kind: 'text', text: basename(readlinkSync(path)) };
  } catch (error) {
    if (errnoOf(error) === 'EINVAL') return unusable(`${basename(path)} is not a link`);
    return failedReading(path, error);
  }
}

/**
 * The names in a directory, sorted; of a directory that is not there: none.
 *
 * @throws BerthError `sysfs.unreadable` for any other failure
 */
export function listNames(path: string): string[] {
  try {
    return readdirSync(path).sort();
  } catch (cause) {
    if (errnoOf(cause) === 'ENOENT') return [];
    throw new BerthError('sysfs.unreadable', `${path} cannot be read: ${errnoOf(cause)}`, { cause });
  }
}

/** The system's name of an error (`ENOENT`), or `unknown`. */
export function errnoOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : 'unknown';
}

function readBytes(path: string, bytesMax: number): Buffer {
  const file = openSync(path, OPEN_FLAGS);
  try {
    // One byte more than allowed tells "too large"; the size that stat gives is a page for every attribute.
    const buffer = bytesMax === ATTRIBUTE_BYTES_MAX ? ATTRIBUTE_BUFFER : Buffer.allocUnsafe(bytesMax + 1);
    let filled = 0;
    for (;;) {
      const count = readSync(file, buffer, filled, buffer.length - filled, null);
      filled += count;
      if (count === 0 || filled === buffer.length) return buffer.subarray(0, filled);
    }
  } finally {
    closeSync(file);
  }
}

function failedReading(path: string, error: unknown): Reading {
  const errno = errnoOf(error);
  return errno === 'ENOENT' ? ABSENT : unusable(`${basename(path)} cannot be read: ${errno}`);
}

function unusable(problem: string): Reading {
  return { kind: 'unusable', problem };
}
