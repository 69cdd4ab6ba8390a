import type { Dialect } from '../pci/dialect.js';

/** How requests are read; the class is the token it is injected by. */
export class RequestRules {
  /** A device with one of these tags goes only to who names the tag. Nova has none. */
  readonly exclusiveTags: readonly string[];

  constructor(
    readonly dialect: Dialect,
    exclusiveTags: readonly string[],
  ) {
    this.exclusiveTags = dialect === 'nova' ? [] : exclusiveTags;
  }
}
