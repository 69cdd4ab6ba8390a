import { describe, expect, it } from 'vitest';
import { resolveNumaPolicy } from './numa-policy.js';

describe('the NUMA policy of a request', () => {
  it.each([
    [null, null, null, 'legacy'],
    [null, null, 'required', 'required'],
    ['socket', null, 'required', 'socket'],
    [null, 'preferred', 'required', 'preferred'],
    ['socket', 'socket', 'required', 'socket'],
    ['', '', 'required', 'required'],
  ] as const)('flavor %j, image %j, alias %j: %s', (flavor, image, alias, expected) => {
    expect(resolveNumaPolicy({ flavor, image, alias })).toBe(expected);
  });

  it.each([
    [
      'prefered',
      null,
      'numa_policy.invalid',
      'hw:pci_numa_affinity_policy: say required, preferred, legacy, socket, not "prefered"; did you mean "preferred"?',
    ],
    [null, 'x', 'numa_policy.invalid', 'image property hw_pci_numa_affinity_policy: say'],
    [
      'required',
      'legacy',
      'numa_policy.conflict',
      'the flavor says hw:pci_numa_affinity_policy "required", the image says "legacy"',
    ],
  ])('flavor %j, image %j: %s', (flavor, image, code, message) => {
    const resolve = (): unknown => resolveNumaPolicy({ flavor, image, alias: null });
    expect(resolve).toThrow(message);
    expect(resolve).toThrow(expect.objectContaining({ code }) as Error);
  });
});
