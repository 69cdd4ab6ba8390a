import { statSync } from 'node:fs';

/**
 * Tells when files have changed and lie still again, from looks at them. A file that is still being written looks different
 * at every look, so half of one is not taken unless its writer rests for longer than that.
 *
 * Looks, not notifications: a look sees a rename over the file, a symlink anywhere on the way that points elsewhere (a
 * Kubernetes ConfigMap), a file that is gone and one that returns, on any file system, all in the same way.
 */
export class FilesAtRest {
  private seen: string;
  private looksAlike = 0;

  /**
   * @param taken how the files looked when they were read
   * @param looksNeeded looks that have to be alike, beyond the one that saw the change
   */
  constructor(
    private taken: string,
    private readonly looksNeeded: number,
  ) {
    this.seen = taken;
  }

  /** @returns whether the files should be read now */
  look(now: string): boolean {
    this.looksAlike = now === this.seen ? this.looksAlike + 1 : 0;
    this.seen = now;
    return now !== this.taken && this.looksAlike >= this.looksNeeded;
  }

  /** The files were read when they looked like this, whatever became of it. */
  take(look: string): void {
    this.taken = look;
  }
}

/** How files look from outside: another text when one was written, replaced, removed or brought back. */
export function lookAt(files: readonly string[]): string {
  return files.map((file) => `${file}\n${lookAtOne(file)}`).join('\n');
}

/** Those of the files that are there and have nothing in them. */
export function emptyAmong(files: readonly string[]): string[] {
  return files.filter((file) => {
    try {
      const entry = statSync(file);
      return entry.isFile() && entry.size === 0;
    } catch {
      return false;
    }
  });
}

function lookAtOne(file: string): string {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = statSync(file, { bigint: true });
    return [dev, ino, size, mtimeNs, ctimeNs].join(' ');
  } catch (error) {
    return String((error as NodeJS.ErrnoException).code);
  }
}
