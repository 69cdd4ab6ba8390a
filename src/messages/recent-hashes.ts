import { createHash } from 'node:crypto';

/** Remembers the hashes of the last so many contents, so that what was checked once need not be checked again. */
export class RecentHashes {
  private readonly hashes = new Set<string>();

  constructor(private readonly max: number) {}

  has(hash: string): boolean {
    if (!this.hashes.delete(hash)) return false;
    this.hashes.add(hash);
    return true;
  }

  add(hash: string): void {
    this.hashes.add(hash);
    for (const oldest of this.hashes) {
      if (this.hashes.size <= this.max) return;
      this.hashes.delete(oldest);
    }
  }
}

/** SHA-256 of the JSON of a value, in the order that its keys have; null when it is nested too deeply for that. */
export function jsonHash(value: unknown): string | null {
  try {
    return createHash('sha256').update(JSON.stringify(value)).digest('base64');
  } catch {
    return null;
  }
}
