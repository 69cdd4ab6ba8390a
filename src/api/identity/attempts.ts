/** How often whoever asks now has failed to say who he is. */
export interface Attempts {
  /** @throws BerthError `request.too_many` when that was too often: nothing more is looked at for a while */
  assertFewFailed(): Promise<void>;
  /** What was sent was wrong once more. */
  failed(): Promise<void>;
}

/** Where nobody counts. */
export const UNCOUNTED: Attempts = { assertFewFailed: async () => undefined, failed: async () => undefined };
