interface Waiting {
  readonly id: string;
  readonly done: () => void;
  readonly failed: (error: unknown) => void;
}

/**
 * Gathers ids into batches, closed by size or after a short delay, and handles one batch at a time. Each caller's
 * promise ends as its batch does.
 */
export class BatchIntake {
  private waiting: Waiting[] = [];
  private isRunning = false;

  constructor(
    private readonly handle: (ids: readonly string[]) => Promise<void>,
    private readonly limits: { readonly sizeMax: number; readonly delayMs: number },
  ) {}

  /** Resolves when the batch with this id is handled; rejects when the batch failed. */
  add(id: string): Promise<void> {
    return new Promise((done, failed) => {
      this.waiting.push({ id, done, failed });
      if (!this.isRunning) void this.run();
    });
  }

  private async run(): Promise<void> {
    this.isRunning = true;
    while (this.waiting.length > 0) {
      if (this.waiting.length < this.limits.sizeMax) await pause(this.limits.delayMs);
      const batch = this.waiting.splice(0, this.limits.sizeMax);
      try {
        await this.handle([...new Set(batch.map((entry) => entry.id))]);
        batch.forEach((entry) => entry.done());
      } catch (error) {
        batch.forEach((entry) => entry.failed(error));
      }
    }
    // in the same breath as the last look: who comes after it starts the next run
    this.isRunning = false;
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
