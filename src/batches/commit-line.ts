/**
 * The commits of one process, one after another in the order in which they were decided: a batch may be decided while the one
 * before it is still being written, because what it was decided on is there by the time that it is written itself.
 *
 * Where a batch did not get what it was put ahead for, the batches that were decided on it meanwhile are wrong about the hosts
 * concerned, even if their generations happen to fit: such hosts are not trusted for these batches.
 */
export class CommitLine {
  private last: Promise<unknown> = Promise.resolve();
  private decided = 0;
  /** Host id → the last batch that was decided before the host was read again. */
  private readonly wrongUpTo = new Map<string, number>();

  /**
   * To be called in the same breath as the decisions are put ahead.
   *
   * @param touched hosts that the batch was put ahead on
   * @param commit is told which hosts the batch is wrong about, and says which ones later batches are wrong about; these it has
   *   read anew, also before it throws
   * @throws what `commit` throws; then `touched` are distrusted
   */
  run<T extends { readonly staleHosts: readonly string[] }>(
    touched: readonly string[],
    commit: (isWrongAbout: (hostId: string) => boolean) => Promise<T>,
  ): Promise<T> {
    const batch = ++this.decided;
    const work = async (): Promise<T> => {
      try {
        const result = await commit((hostId) => batch <= (this.wrongUpTo.get(hostId) ?? 0));
        this.distrust(result.staleHosts);
        return result;
      } catch (error) {
        this.distrust(touched);
        throw error;
      } finally {
        if (batch === this.decided) this.wrongUpTo.clear();
      }
    };
    const turn = this.last.then(work);
    this.last = turn.catch(() => undefined);
    return turn;
  }

  private distrust(hostIds: readonly string[]): void {
    for (const hostId of hostIds) this.wrongUpTo.set(hostId, this.decided);
  }
}
