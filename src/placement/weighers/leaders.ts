/** So many are kept: when some of them fall behind, the next ones need not be looked for at once. */
const KEPT_MAX = 32;

/**
 * The greatest of many numbers, in order, kept while single ones change; of equal ones the first from a certain index on, and round.
 * NaN takes no part. Whoever is not kept comes after all who are.
 */
export class Leaders {
  private kept: number[] = [];
  /** Nobody else takes part. */
  private isComplete = false;
  private isKnown = false;
  /** While all are looked for: the last of those who are kept. */
  private least = -Infinity;

  /**
   * @param values owned, and changed, by the caller, who says where
   * @param start  the index that comes first of equal ones
   */
  constructor(
    private readonly values: Float64Array,
    private readonly start = 0,
  ) {}

  /** One number has changed. */
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

  /** Indexes of the first so many, or of all that there are; of more than is asked for, if they are known. */
  first(count: number): readonly number[] {
    if (!this.isKnown || (this.kept.length < count && !this.isComplete)) this.lookForAll();
    return this.kept;
  }

  /** Negative: a comes before b. */
  compare(a: number, b: number): number {
    return (this.values[b] as number) - (this.values[a] as number) || this.turn(a) - this.turn(b);
  }

  private turn(index: number): number {
    return index < this.start ? index + this.values.length : index;
  }

  private lookForAll(): void {
    this.kept = [];
    [this.isComplete, this.isKnown] = [true, true];
    this.lookFor(this.start, this.values.length);
    this.lookFor(0, this.start);
  }

  private lookFor(from: number, to: number): void {
    const { values } = this;
    for (let index = from; index < to; index++) {
      // of equal ones, those who come later are behind
      if (!this.isComplete && !((values[index] as number) > this.least)) continue;
      this.enter(index);
      if (!this.isComplete) this.least = values[this.kept.at(-1) as number] as number;
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
