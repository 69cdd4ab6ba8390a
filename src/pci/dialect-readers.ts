import { BerthError } from '../errors.js';
import { ALIAS_ENTRIES_MAX, parseAliases } from './alias/alias.js';
import type { AliasDefinition, AliasEntry } from './alias/alias.js';
import { parseAliasRequest, REQUEST_COUNT_MAX, REQUEST_ITEMS_MAX, REQUEST_LENGTH_MAX } from './alias/alias-request.js';
import type { AliasRequest } from './alias/alias-request.js';
import { placeOf } from './device-spec/device-spec-fields.js';
import type { Dialect } from './dialect.js';
import { novaNumaPolicy, parseNovaAliases, parseNovaAliasRequest } from './nova/nova-alias.js';
import { resolveNumaPolicy } from './alias/numa-policy.js';
import type { NumaPolicy } from './alias/numa-policy.js';

/**
 * Reads alias entries in a dialect. All problems are reported together.
 *
 * @throws BerthError `alias.invalid`; `details.problems` has one text for each problem
 */
export function parseAliasesAs(
  dialect: Dialect,
  entries: readonly AliasEntry[],
  options: { readonly requireDeviceType: boolean } = { requireDeviceType: true },
): AliasDefinition[] {
  if (dialect === 'strict') return parseAliases(entries, options);
  const problems = entries.slice(0, ALIAS_ENTRIES_MAX).flatMap(({ value, where }) => {
    const problem = problemOf(() => parseNovaAliases([value]));
    return problem === null ? [] : [`${placeOf(where, [])}: ${problem}`];
  });
  if (entries.length > ALIAS_ENTRIES_MAX)
    problems.push(`alias: ${entries.length} entries; at most ${ALIAS_ENTRIES_MAX}`);
  // lines that are fine alone may contradict each other
  const together = problems.length > 0 ? null : problemOf(() => parseNovaAliases(entries.map(({ value }) => value)));
  if (together !== null) problems.push(together);
  if (problems.length > 0) throw new BerthError('alias.invalid', problems.join('\n'), { details: { problems } });
  return parseNovaAliases(entries.map(({ value }) => value));
}

/**
 * Reads `gpu:2,nic:1` in a dialect. Nova takes counts of 0 and below; they ask for nothing, and come out as 0. It knows no
 * ranges: `gpu:1..4` is no whole number to it.
 *
 * @throws BerthError `request.invalid`
 */
export function parseAliasRequestAs(dialect: Dialect, text: string): AliasRequest[] {
  if (dialect === 'strict') return parseAliasRequest(text);
  if (text.length > REQUEST_LENGTH_MAX) {
    const message = `pci_passthrough:alias: the text has ${text.length} characters; at most ${REQUEST_LENGTH_MAX}`;
    throw new BerthError('request.invalid', message);
  }
  const requests = parseNovaAliasRequest(text, () => true);
  if (requests.length > REQUEST_ITEMS_MAX) {
    throw new BerthError(
      'request.invalid',
      `pci_passthrough:alias: ${requests.length} items; at most ${REQUEST_ITEMS_MAX}`,
    );
  }
  return requests.map(({ alias, count }) => {
    if (count <= REQUEST_COUNT_MAX) return { alias, count: Math.max(0, count) };
    throw new BerthError(
      'request.invalid',
      `pci_passthrough:alias: "${alias}": the count must be ${REQUEST_COUNT_MAX} or less`,
    );
  });
}

/**
 * The policy of a request in a dialect: flavor or image, then alias, then legacy. They differ in which of two faults is told.
 *
 * @throws BerthError `numa_policy.invalid`, `numa_policy.conflict`
 */
export function resolveNumaPolicyAs(
  dialect: Dialect,
  given: { readonly flavor: string | null; readonly image: string | null; readonly alias: NumaPolicy | null },
): NumaPolicy {
  if (dialect === 'strict') return resolveNumaPolicy(given);
  return novaNumaPolicy(given.flavor, given.image) ?? given.alias ?? 'legacy';
}

function problemOf(read: () => unknown): string | null {
  try {
    read();
    return null;
  } catch (error) {
    if (!(error instanceof BerthError)) throw error;
    const exception = error.details['exception'];
    return typeof exception === 'string' ? `alias: ${error.message} (${exception})` : `alias: ${error.message}`;
  }
}
