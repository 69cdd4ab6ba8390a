/** A queue that holds this many messages, or this many bytes, refuses more: the sender gets `bus.unavailable`. */
export const QUEUE_MESSAGES_MAX = 100_000;
export const QUEUE_BYTES_MAX = 1024 * 1024 * 1024;

/** Dead letters are kept to be looked at; when there are more, the oldest go. */
export const DEAD_MESSAGES_MAX = 10_000;
export const DEAD_BYTES_MAX = 64 * 1024 * 1024;

/** Queues that one connection declares at a time. */
export const DECLARED_AT_ONCE_MAX = 64;

/** What a listener has not taken yet; when there is more, the oldest is dropped. */
export const LISTENER_MESSAGES_MAX = 50_000;
/** How many broadcasts one listener handles at a time. */
export const LISTENER_AT_ONCE = 64;

/** How long a sender waits for the broker to confirm. */
export const PUBLISH_MS_MAX = 10_000;
/** How many messages of one process may wait for the broker to confirm. */
export const UNCONFIRMED_MAX = 10_000;

/** How long `stop` waits for handlers; a message whose handler is later than this is delivered again. */
export const STOP_MS_MAX = 30_000;

const RETRY_MS_FIRST = 50;
const RETRY_MS_MAX = 2_000;

/** The pause before a message whose handler threw is given back, by how often it was delivered before. */
export function retryDelayMs(deliveredBefore: number): number {
  return Math.min(RETRY_MS_MAX, RETRY_MS_FIRST * 2 ** deliveredBefore);
}
