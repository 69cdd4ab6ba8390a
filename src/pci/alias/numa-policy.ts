import { BerthError } from '../../errors.js';
import { clip, FieldProblem, kindOf } from '../device-spec/device-spec-fields.js';
import { suggestion } from '../suggest.js';

export const NUMA_POLICIES = ['required', 'preferred', 'legacy', 'socket'] as const;
export type NumaPolicy = (typeof NUMA_POLICIES)[number];

/**
 * The policy of a request: flavor or image, then alias, then legacy. An empty text counts as not given (rule: Nova's `nova/virt/hardware.py`).
 *
 * @throws BerthError `numa_policy.invalid`, `numa_policy.conflict`
 */
export function resolveNumaPolicy(given: {
  readonly flavor: string | null;
  readonly image: string | null;
  readonly alias: NumaPolicy | null;
}): NumaPolicy {
  const image = policyNamed('image property hw_pci_numa_affinity_policy', given.image);
  const flavor = policyNamed('extra spec hw:pci_numa_affinity_policy', given.flavor);
  if (image !== null && flavor !== null && image !== flavor) {
    throw new BerthError(
      'numa_policy.conflict',
      `the flavor says hw:pci_numa_affinity_policy "${flavor}", the image says "${image}"; make them agree`,
    );
  }
  return flavor ?? image ?? given.alias ?? 'legacy';
}

/** The `numa_policy` of an alias. @throws FieldProblem */
export function readNumaPolicy(value: unknown): NumaPolicy {
  const known = NUMA_POLICIES.find((policy) => policy === value);
  if (known) return known;
  const shown = typeof value === 'string' ? `"${clip(value)}"` : kindOf(value);
  const hint = typeof value === 'string' ? suggestion(value, NUMA_POLICIES) : '';
  throw new FieldProblem(`say ${NUMA_POLICIES.join(', ')}, not ${shown}${hint}`);
}

function policyNamed(source: string, text: string | null): NumaPolicy | null {
  if (text === null || text === '') return null;
  const known = NUMA_POLICIES.find((policy) => policy === text);
  if (known) return known;
  throw new BerthError(
    'numa_policy.invalid',
    `${source}: say ${NUMA_POLICIES.join(', ')}, not "${clip(text)}"${suggestion(text, NUMA_POLICIES)}`,
  );
}
