const BLOCK = 64;

/**
 * The least and the greatest of many numbers, kept while single ones change: of each block of them it is known, and only
 * blocks in which something has changed are looked at again. NaN is no number.
 */
export class BlockExtremes {
  private readonly lows: Float64Array;
  private readonly highs: Float64Array;
  /** 1: something in the block has changed. */
  private readonly changed: Uint8Array;

  /** @param values owned, and changed, by the caller, who says where */
  constructor(private readonly values: Float64Array) {
    const blocks = Math.ceil(values.length / BLOCK);
    this.lows = new Float64Array(blocks).fill(Infinity);
    this.highs = new Float64Array(blocks).fill(-Infinity);
    this.changed = new Uint8Array(blocks);
  }

  touch(index: number): void {
    this.changed[index >> 6] = 1;
  }

  touchAll(): void {
    this.changed.fill(1);
  }

  /** Infinity and −Infinity when there is no number. */
  range(): { readonly low: number; readonly high: number } {
    this.settle();
    let [low, high] = [Infinity, -Infinity];
    for (let block = 0; block < this.lows.length; block++) {
      if ((this.lows[block] as number) < low) low = this.lows[block] as number;
      if ((this.highs[block] as number) > high) high = this.highs[block] as number;
    }
    return { low, high };
  }

  /** Indexes of the greatest, greatest first, at most so many; of equal ones the lower index first. */
  greatest(count: number): number[] {
    this.settle();
    const { values, highs } = this;
    const best: number[] = [];
    let worst = -Infinity;
    for (let block = 0; block < highs.length; block++) {
      // what is only as great as the last comes after it
      if (!((highs[block] as number) > worst)) continue;
      const end = Math.min(values.length, (block + 1) * BLOCK);
      for (let index = block * BLOCK; index < end; index++) {
        const value = values[index] as number;
        if (!(value > worst)) continue;
        let at = best.length;
        while (at > 0 && value > (values[best[at - 1] as number] as number)) at--;
        best.splice(at, 0, index);
        if (best.length > count) best.pop();
        if (best.length === count) worst = values[best[count - 1] as number] as number;
      }
    }
    return best;
  }

  private settle(): void {
    for (let block = 0; block < this.changed.length; block++) if (this.changed[block] === 1) this.look(block);
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
    this.changed[block] = 0;
  }
}
