import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Steps } from '../placement/steps.js';

/** How long other requests wait at most while a piece of long work is done. */
const TURN_MS = 20;

/** Does long work without keeping other requests waiting. */
export async function inTurns<T>(work: Steps<T>): Promise<T> {
  let since = performance.now();
  for (;;) {
    const piece = work.next();
    if (piece.done === true) return piece.value;
    if (performance.now() - since < TURN_MS) continue;
    await nextTurn();
    since = performance.now();
  }
}
