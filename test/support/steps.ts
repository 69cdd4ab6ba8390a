import type { Steps } from '../../src/placement/steps.js';

/** Does all of the work at once. */
export function atOnce<T>(work: Steps<T>): T {
  for (;;) {
    const piece = work.next();
    if (piece.done === true) return piece.value;
  }
}
