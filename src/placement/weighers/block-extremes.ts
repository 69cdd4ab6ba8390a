const BLOCK = 64;

/**
 * The least and the greatest of many numbers, kept while single ones change: of each block of them it is known, and only
 * blocks in which something has changed are looked at again. NaN is no number.
 */
export class BlockExtremes {
  private readonly lows: Float64Array;
  private readonly highs: Float64Array;
  /** Blocks in which something has changed; and of each block, 1 when it is one of them. */
  private readonly changed: number[] = [];
  private readonly isChanged: Uint8Array;
  private least = Infinity;
  private greatest = -Infinity;

  /** @param values owned, and changed, by the caller, who says where */
  constructor(private readonly values: Float64Array) {
    const blocks = Math.ceil(values.length / BLOCK);
    this.lows = new Float64Array(blocks).fill(Infinity);
    this.highs = new Float64Array(blocks).fill(-Infinity);
    this.isChanged = new Uint8Array(blocks);
  }

  touch(index: number): void {
    const block = index >> 6;
    if (this.isChanged[block] === 1) return;
    this.isChanged[block] = 1;
    this.changed.push(block);
  }

  /** Infinity when there is no number. */
  get low(): number {
    this.settle();
    return this.least;
  }

  /** −Infinity when there is no number. */
  get high(): number {
    this.settle();
    return this.greatest;
  }

  private settle(): void {
    if (this.changed.length === 0) return;
    for (const block of this.changed) this.look(block);
    this.changed.length = 0;
    const { lows, highs } = this;
    let [least, greatest] = [Infinity, -Infinity];
    for (let block = 0; block < lows.length; block++) {
      if ((lows[block] as number) < least) least = lows[block] as number;
      if ((highs[block] as number) > greatest) greatest = highs[block] as number;
    }
    this.least = least;
    this.greatest = greatest;
  }

  private look(block: number): void {
    const { values } = this;
    let [low, high] = [Infinity, -Infinity];
    const end = Math.min(values.length, (block + 1) * BLOCK);
    for (let index = block * BLOCK; index < end; index++) {
      const value = values[index] as number;
      if (value < low) low = value;
      if (value > high) high = value;
    }
    this.lows[block] = low;
    this.highs[block] = high;
    this.isChanged[block] = 0;
  }
}
