import { closeSync, constants, openSync, readSync } from 'node:fs';
import { errnoOf } from '../sysfs-read.js';

/** A table of /proc can be of any size: a full routing table, the mounts of ten thousand containers. */
const BYTES_MAX = 4 * 1024 * 1024;
const CHUNK = 64 * 1024;
const OPEN_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

export interface ProcLines {
  /** What is no plain ASCII is a question mark: paths may have any bytes in them. */
  readonly lines: readonly string[];
  readonly problem: string | null;
}

/** The lines of a file of /proc; of one that is not there: null. Of one that is too large: those at its beginning. */
export function readProcLines(path: string, bytesMax = BYTES_MAX): ProcLines | null {
  let file: number;
  try {
    file = openSync(path, OPEN_FLAGS);
  } catch (error) {
    // no such file, and no such process
    if (['ENOENT', 'ENOTDIR', 'ESRCH'].includes(errnoOf(error))) return null;
    return { lines: [], problem: `${path} cannot be read: ${errnoOf(error)}` };
  }
  try {
    return linesOf(path, file, bytesMax);
  } catch (error) {
    return { lines: [], problem: `${path} cannot be read: ${errnoOf(error)}` };
  } finally {
    closeSync(file);
  }
}

function linesOf(path: string, file: number, bytesMax: number): ProcLines {
  const chunks: Buffer[] = [];
  let filled = 0;
  for (;;) {
    const chunk = Buffer.allocUnsafe(CHUNK);
    const count = readSync(file, chunk, 0, CHUNK, null);
    if (count === 0) break;
    chunks.push(chunk.subarray(0, count));
    filled += count;
    if (filled > bytesMax) break;
  }
  const text = Buffer.concat(chunks).subarray(0, bytesMax).toString('latin1');
  const lines = text.replace(/[^\x20-\x7e\n\t]/g, '?').split('\n');
  if (filled <= bytesMax) return { lines, problem: null };
  return { lines: lines.slice(0, -1), problem: `${path} has more than ${bytesMax} bytes; the rest is not looked at` };
}
