/**
 * SQLSTATEs of a server that is gone, going, or full (connection, resources, operator's intervention), that did not answer
 * within our time limits, and of a database that lets nobody in (authorization, no such database, no connections allowed).
 */
const OUTAGE_STATES = /^(?:08...|53...|57014|57P0[1-5]|25P0[34]|28...|3D000|55000)$/;
const OUTAGE_ERRNOS: ReadonlySet<string> = new Set([
  ...[
    'ECONNREFUSED',
    'ECONNRESET',
    'ENOTFOUND',
    'EAI_AGAIN',
    'ETIMEDOUT',
    'EPIPE',
    'ENOENT',
    'EHOSTUNREACH',
    'ENETUNREACH',
  ],
]);
const OUTAGE_MESSAGES = [
  /^Connection terminated/,
  /^timeout exceeded when trying to connect/,
  /^Client has encountered a connection error/,
  /^Driver not Connected/,
  // a connection that broke in a transaction is given back at once; the transaction's next statement finds it gone
  /^Database connection provided by a query runner was already released/,
  /^Query runner already released/,
];
/** Undefined table or column: the schema is not there, or is another one. */
const SCHEMA_STATES: ReadonlySet<string> = new Set(['42P01', '42703']);

/**
 * What a failed statement says of the database: `unavailable` (try again later), `not_migrated`, or null when the
 * statement itself is at fault.
 */
export function outageOf(error: unknown): 'unavailable' | 'not_migrated' | null {
  for (const cause of causesOf(error)) {
    const code = typeof cause['code'] === 'string' ? cause['code'] : '';
    if (SCHEMA_STATES.has(code)) return 'not_migrated';
    if (OUTAGE_STATES.test(code)) return 'unavailable';
    // only what comes from the driver: other libraries use the same errnos
    if (
      OUTAGE_ERRNOS.has(code) &&
      (cause['syscall'] === 'connect' || cause['syscall'] === 'read' || 'query' in cause)
    ) {
      return 'unavailable';
    }
    const message = typeof cause['message'] === 'string' ? cause['message'] : '';
    if (OUTAGE_MESSAGES.some((known) => known.test(message))) return 'unavailable';
  }
  return null;
}

function causesOf(error: unknown): Record<string, unknown>[] {
  const chain: Record<string, unknown>[] = [];
  let current = error;
  while (typeof current === 'object' && current !== null && chain.length < 5) {
    const link = current as Record<string, unknown>;
    chain.push(link);
    const inner = Array.isArray(link['errors']) ? link['errors'][0] : undefined;
    current = link['driverError'] ?? link['cause'] ?? inner;
    if (current === link) break;
  }
  return chain;
}
