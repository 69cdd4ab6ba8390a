interface Waiting<T, R> {
  readonly item: T;
  readonly done: (answer: R) => void;
  readonly failed: (error: unknown) => void;
}

export interface IntakeLimits {
  readonly sizeMax: number;
  /** How long a batch waits for more. */
  readonly delayMs: number;
  /** So many do not wait while no other batch is handled: one caller has brought them all. As many as `sizeMax` when left out. */
  readonly promptMin?: number;
  /** So many batches are handled at once; 1 when left out. */
  readonly atOnce?: number;
  /** So many may wait; whoever comes then is turned away. No limit when left out. */
  readonly waitingMax?: { readonly count: number; readonly refusal: () => Error };
}

/**
 * Gathers items into batches, closed by size or after a short delay, and handles each batch as one. Each caller's promise ends as
 * its item does.
 *
 * @template T item @template R what becomes of one
 */
export class BatchIntake<T, R = void> {
  private waiting: Waiting<T, R>[] = [];
  private running = 0;
  private isGathering = false;
  private endPause: (() => void) | null = null;

  /** @param handle answers in the order of the items; when it throws, all of the batch fail */
  constructor(
    private readonly handle: (items: readonly T[]) => Promise<readonly R[]>,
    private readonly limits: IntakeLimits,
  ) {}

  /** Resolves when the batch with this item is handled; rejects when the batch failed. */
  add(item: T): Promise<R> {
    const { waitingMax } = this.limits;
    if (waitingMax && this.waiting.length >= waitingMax.count) return Promise.reject(waitingMax.refusal());
    return new Promise((done, failed) => {
      this.waiting.push({ item, done, failed });
      if (this.isPrompt()) this.hurry();
      void this.gather();
    });
  }

  private async gather(): Promise<void> {
    if (this.isGathering) return;
    this.isGathering = true;
    while (this.waiting.length > 0 && this.running < (this.limits.atOnce ?? 1)) {
      if (!this.isPrompt()) await this.pause();
      this.running++;
      void this.run(this.waiting.splice(0, this.limits.sizeMax));
    }
    // in the same breath as the last look: who comes after it starts the next one
    this.isGathering = false;
  }

  private isPrompt(): boolean {
    const { sizeMax, promptMin = sizeMax } = this.limits;
    return this.waiting.length >= (this.running === 0 ? promptMin : sizeMax);
  }

  private async run(batch: readonly Waiting<T, R>[]): Promise<void> {
    try {
      const answers = await this.handle(batch.map((entry) => entry.item));
      batch.forEach((entry, index) => entry.done(answers[index] as R));
    } catch (error) {
      batch.forEach((entry) => entry.failed(error));
    }
    this.running--;
    void this.gather();
  }

  private async pause(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      timer = setTimeout(resolve, this.limits.delayMs);
      this.endPause = resolve;
    });
    clearTimeout(timer);
    this.endPause = null;
  }

  /** When the call that has brought the last one has brought them all. */
  private hurry(): void {
    const { endPause } = this;
    this.endPause = null;
    if (endPause) setImmediate(endPause);
  }
}
