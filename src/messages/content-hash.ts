import { createHash } from 'node:crypto';
import { canonicalJson } from '../pci/canonical-json.js';

/**
 * SHA-256 (hex) of a value's canonical JSON: object keys sorted, arrays in order. Agent and scheduler compute it over
 * `{ facts, devices }` of a report.
 */
export function contentHash(value: unknown): string {
  return createHash('sha256').update(canonicalJson(value)).digest('hex');
}
