/** So many waiting servers are tried in one batch. */
const PER_BATCH_MAX = 256;

/**
 * Which waiting servers are to be tried next. The whole queue is gone through once, in parts, whenever a host has changed since
 * it was gone through last; what changes meanwhile is the next pass's, so that the end of a long queue has its turn too.
 */
export class WaitingPass {
  /** Up to which change of the hosts the queue has been tried; null: never. */
  private triedAt: number | null = null;
  private passAt: number | null = null;
  private after = 0;

  /** The part of the queue to be tried with hosts that have changed so often; null: nothing new. */
  next(changes: number): { readonly after: number; readonly limit: number } | null {
    if (this.passAt === null && this.triedAt === changes) return null;
    this.passAt ??= changes;
    return { after: this.after, limit: PER_BATCH_MAX };
  }

  /**
   * @param found   how many there were in the part
   * @param placed  how many of these are no longer in the queue
   * @returns whether the pass goes on
   */
  done(found: number, placed: number): boolean {
    if (this.passAt === null) return false;
    this.after += found - placed;
    if (found === PER_BATCH_MAX) return true;
    this.triedAt = this.passAt;
    this.passAt = null;
    this.after = 0;
    return false;
  }
}
