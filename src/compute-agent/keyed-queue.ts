/**
 * Runs tasks side by side, except that tasks which share a key run one after the other in the order they came. All of a task's
 * keys are taken at once when it comes, so tasks cannot wait for each other in a ring.
 */
export class KeyedQueue {
  private readonly last = new Map<string, Promise<unknown>>();

  run<T>(keys: readonly string[], task: () => Promise<T>): Promise<T> {
    const before = keys.map((key) => this.last.get(key));
    const done = Promise.all(before).then(task);
    // Those that wait, wait for the end, whichever it is; who called learns of the failure.
    const ended: Promise<void> = done.then(
      () => this.forget(keys, ended),
      () => this.forget(keys, ended),
    );
    for (const key of keys) this.last.set(key, ended);
    return done;
  }

  /** Whether something runs, or waits, for one of the keys. */
  isBusy(keys: readonly string[]): boolean {
    return keys.some((key) => this.last.has(key));
  }

  private forget(keys: readonly string[], ended: Promise<unknown>): void {
    for (const key of keys) if (this.last.get(key) === ended) this.last.delete(key);
  }
}
