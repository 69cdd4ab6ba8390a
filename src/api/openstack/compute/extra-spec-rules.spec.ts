import { describe, expect, it } from 'vitest';
import { assertKnownSpecs } from './extra-spec-rules.js';

describe('extra specs of known namespaces', () => {
  it.each([
    ['hw:cpu_policy', 'shared'],
    ['hw:numa_cpus.0', '0-3,^2'],
    ['hw:numa_mem.12', '512'],
    ['hw:mem_page_size', '2MB'],
    ['hw:mem_page_size', 'large'],
    ['hw:hide_hypervisor_id', 'Yes'],
    ['hw:watchdog_action', 'none'],
    ['hw_rng:rate_bytes', '0'],
    ['quota:cpu_quota', '-1'],
    ['quota:vif_shares_level', 'low'],
    ['os:monitors', '8'],
    ['foo:bar', 'anything'],
    ['no namespace', 'anything'],
    ['constructor', 'anything'],
  ])('takes %s = %s', (key, value) => expect(() => assertKnownSpecs({ [key]: value })).not.toThrow());

  it.each([
    ['hw:cpu_polcy', 'shared', 'did you mean "hw:cpu_policy"?'],
    ['hw:cpu_policy', 'share', 'did you mean "shared"?'],
    ['hw:numa_mem.0', '0', '1 or more'],
    ['hw:numa_cpus.a', '0', 'is not known'],
    ['hw:mem_page_size', 'huge', 'form'],
    ['hw:boot_menu', 'maybe', 'true or false'],
    ['os:monitors', '9', 'from 1 to 8'],
    ['quota:cpu_quota', '1.5', 'whole number'],
    ['quota:cpu_limit', '-1', '0 or more'],
    ['hw:', 'x', 'is not known'],
    ['hw:toString', 'x', 'is not known'],
  ])('refuses %s = %s', (key, value, says) => expect(() => assertKnownSpecs({ [key]: value })).toThrow(says));
});
