import { basename, dirname, relative } from 'node:path/posix';
import { sorted, type FileContent, type TreeEntry } from './tree.js';

/** Collects entries; the directories above an entry come by themselves. */
export class TreeBuilder {
  private readonly entries = new Map<string, TreeEntry>();

  dir(path: string): void {
    if (path === '.' || this.entries.has(path)) return;
    this.dir(dirname(path));
    this.entries.set(path, { path, kind: 'dir', mode: 0o755 });
  }

  file(path: string, content: FileContent, mode = 0o444): void {
    this.dir(dirname(path));
    this.entries.set(path, { path, kind: 'file', mode, content });
  }

  /** An attribute: its value and the newline that the kernel puts behind it. */
  attribute(path: string, value: string | number, mode = 0o444): void {
    this.file(path, `${value}\n`, mode);
  }

  /** A link from `path` to `targetPath`, both from the root; its text is what the kernel would write. */
  link(path: string, targetPath: string): void {
    this.dir(dirname(path));
    this.entries.set(path, { path, kind: 'link', target: kernelLink(path, targetPath) });
  }

  done(): readonly TreeEntry[] {
    return sorted([...this.entries.values()]);
  }
}

/**
 * The text of a sysfs link. The kernel goes up to the nearest directory that has the target *below* it, so a link to
 * an ancestor goes one step higher and down again: `net/eth0/device -> ../../../0000:01:00.0`.
 */
export function kernelLink(path: string, targetPath: string): string {
  const way = relative(dirname(path), dirname(targetPath));
  return way === '' ? basename(targetPath) : `${way}/${basename(targetPath)}`;
}
