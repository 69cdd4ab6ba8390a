/** One line of a vector file: a question and Nova's answer (the format is told in `vectors/README.md`). */
export interface Case {
  readonly id: string;
  readonly area: string;
  readonly input: Record<string, unknown>;
  readonly expected: unknown;
  readonly quirks: readonly string[];
}

/** Asks Berth, in the nova dialect, what the case asks. @returns the answer in the form of `expected` */
export type Area = (input: never) => unknown;

export interface ErrorAnswer {
  readonly error: string;
  readonly kind: 'nova' | 'crash';
  readonly stage?: string;
}
