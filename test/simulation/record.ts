/** What happened to one seed: told in order, and counted. */
export class SeedRecord {
  readonly lines: string[] = [];
  readonly counts = new Map<string, number>();

  tell(line: string): void {
    this.lines.push(line);
  }

  count(what: string, by = 1): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + by);
  }

  /** Tells a fault and counts it by its kind. */
  fault(kind: string, where: string): void {
    this.count(`fault: ${kind}`);
    this.tell(`      ! ${kind}: ${where}`);
  }
}

/** The seed has found something: what holds always does not hold. */
export class Finding extends Error {}
