import { spawnSync } from 'node:child_process';
import { chmodSync, closeSync, mkdirSync, mkdtempSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { beforeDeath } from '../support/processes.js';

const SIZE = '640M';
const BLOCK = 4096;

/** A folder on a small file system of its own, which can be full; or, where none can be mounted, any folder. */
export interface SmallDisk {
  readonly folder: string;
  /** `ext4`, `tmpfs`, or why there is neither. */
  readonly kind: string;
  readonly canBeFull: boolean;
  /** Leaves not one block free. */
  fill(): void;
  free(): void;
  remove(): void;
}

/** An ext4 in a file; a tmpfs where there are no loop devices. */
export function makeSmallDisk(): SmallDisk {
  const parent = mkdtempSync(path.join(tmpdir(), 'berth-chaos-'));
  chmodSync(parent, 0o711);
  const folder = path.join(parent, 'disk');
  mkdirSync(folder);
  const kind = mountAt(parent, folder);
  const canBeFull = kind === 'ext4' || kind === 'tmpfs';
  const ballast = path.join(folder, 'ballast');
  const remove = (): void => {
    if (canBeFull) spawnSync('umount', ['--lazy', folder]);
    rmSync(parent, { recursive: true, force: true, maxRetries: 5 });
  };
  const forget = beforeDeath(remove);
  return {
    folder,
    kind,
    canBeFull,
    fill: () => fillWith(ballast, folder),
    free: () => rmSync(ballast, { force: true }),
    remove() {
      forget();
      remove();
    },
  };
}

function mountAt(parent: string, folder: string): string {
  // Only in a mount namespace of our own: then nothing stays mounted, whatever becomes of us.
  if (process.env['CHAOS_OWN_MOUNTS'] === undefined) return 'not root, or no mount namespaces';
  const image = path.join(parent, 'image');
  const isMade =
    succeeds('truncate', ['-s', SIZE, image]) &&
    succeeds('mkfs.ext4', ['-q', '-F', '-m', '0', image]) &&
    succeeds('mount', ['-o', 'loop', image, folder]);
  if (isMade) return 'ext4';
  return succeeds('mount', ['-t', 'tmpfs', '-o', `size=${SIZE}`, 'berth-chaos', folder]) ? 'tmpfs' : 'mount is refused';
}

function succeeds(program: string, words: readonly string[]): boolean {
  return spawnSync(program, words, { stdio: 'ignore' }).status === 0;
}

/** Most of it is only promised, which takes no time; the rest is written. */
function fillWith(ballast: string, folder: string): void {
  const { bavail, bsize } = statfsSync(folder);
  spawnSync('fallocate', ['-l', String(Math.max(bavail - 64, 1) * bsize), ballast]);
  const file = openSync(ballast, 'a');
  try {
    for (;;) writeSync(file, Buffer.alloc(BLOCK));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  } finally {
    closeSync(file);
  }
}
