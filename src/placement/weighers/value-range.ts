/**
 * The least and the greatest of the values of hosts, kept while single ones change: how many there are at either end is
 * counted, and only when the last of them is gone all are looked at again. NaN is no value.
 */
export class ValueRange {
  low = Infinity;
  high = -Infinity;
  private atLow = 0;
  private atHigh = 0;
  private isLost = false;

  /** @param values by host; owned, and changed, by the caller */
  constructor(private readonly values: Float64Array) {}

  /** One value becomes another; NaN: it was not there, or is not there any more. */
  change(before: number, after: number): void {
    if (before === after) return;
    if (before === this.low && --this.atLow === 0) this.isLost = true;
    if (before === this.high && --this.atHigh === 0) this.isLost = true;
    this.add(after);
  }

  /** Brings the ends up to date. */
  settle(): void {
    // what went over the end that it was alone at has put another end in its place
    if (!this.isLost || (this.atLow > 0 && this.atHigh > 0)) return;
    [this.low, this.high, this.atLow, this.atHigh, this.isLost] = [Infinity, -Infinity, 0, 0, false];
    for (const value of this.values) this.add(value);
  }

  private add(value: number): void {
    if (value < this.low) [this.low, this.atLow] = [value, 0];
    if (value > this.high) [this.high, this.atHigh] = [value, 0];
    if (value === this.low) this.atLow++;
    if (value === this.high) this.atHigh++;
  }
}
