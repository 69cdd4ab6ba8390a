import { createHash } from 'node:crypto';

/**
 * SHA-256 (hex) of a value's canonical JSON: object keys sorted, arrays in order. Agent and scheduler compute it over
 * `{ facts, devices }` of a report.
 */
export function contentHash(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value, sortKeys)).digest('hex');
}

function sortKeys(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}
