/** So many are kept: when some of them fall behind, the next ones need not be looked for at once. */
const KEPT_MAX = 32;

/**
 * The greatest of many numbers, in order, kept while single ones change; of equal ones the one with the least turn. NaN takes no
 * part. Whoever is not kept comes after all who are.
 */
export class Leaders {
  private kept: number[] = [];
  /** Nobody else takes part. */
  private isComplete = false;
  private isKnown = false;

  /**
   * Both are owned, and changed, by the caller, who says where.
   *
   * @param turns no two that take part have the same
   */
  constructor(
    private readonly values: Float64Array,
    private readonly turns: Int32Array,
  ) {}

  /** One number, or its turn, has changed. */
  touch(index: number): void {
    if (!this.isKnown) return;
    const place = this.kept.indexOf(index);
    if (place >= 0) this.kept.splice(place, 1);
    this.enter(index);
  }

  /** All may have changed. */
  forget(): void {
    this.isKnown = false;
  }

  /**
   * Indexes of the first so many, or of all that there are; of more than is asked for, if they are known.
   *
   * @param end no index from here on takes part
   */
  first(count: number, end: number): readonly number[] {
    if (!this.isKnown || (this.kept.length < count && !this.isComplete)) this.lookForAll(end);
    return this.kept;
  }

  /** Negative: a comes before b. */
  private compare(a: number, b: number): number {
    return (
      (this.values[b] as number) - (this.values[a] as number) || (this.turns[a] as number) - (this.turns[b] as number)
    );
  }

  private lookForAll(end: number): void {
    const { values } = this;
    this.kept = [];
    [this.isComplete, this.isKnown] = [true, true];
    let least = -Infinity;
    for (let index = 0; index < end; index++) {
      if (!((values[index] as number) >= least)) continue;
      this.enter(index);
      if (!this.isComplete) least = values[this.kept.at(-1) as number] as number;
    }
  }

  private enter(index: number): void {
    const { kept } = this;
    if (Number.isNaN(this.values[index])) return;
    let place = kept.length;
    while (place > 0 && this.compare(index, kept[place - 1] as number) < 0) place--;
    if (place === kept.length && !this.isComplete) return;
    if (place === KEPT_MAX) {
      this.isComplete = false;
      return;
    }
    kept.splice(place, 0, index);
    if (kept.length <= KEPT_MAX) return;
    kept.pop();
    this.isComplete = false;
  }
}
