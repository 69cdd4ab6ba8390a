import { describe, expect, it } from 'vitest';
import { imageWishes } from './host-wishes.js';

describe('image properties', () => {
  it('are sorted out: the policy for devices, and the rest in name order', () => {
    expect(imageWishes({})).toEqual({ policy: null, properties: {} });
    const given = { img_hv_type: 'qemu', hw_pci_numa_affinity_policy: 'required', hw_architecture: 'x86_64' };
    const wishes = imageWishes(given);
    expect(wishes).toEqual({ policy: 'required', properties: { hw_architecture: 'x86_64', img_hv_type: 'qemu' } });
    expect(Object.keys(wishes.properties)).toEqual(['hw_architecture', 'img_hv_type']);
  });

  it.each([
    [{ hw_pci_numa_affinity_policy: '' }, 'is empty'],
    [{ hw_pci_numa_affinity_policy: 'require' }, 'did you mean "required"?'],
    [{ hw_pci_numa_affinty_policy: 'required' }, 'did you mean "hw_pci_numa_affinity_policy"?'],
  ])('%o is refused', (given, says) => {
    expect(() => imageWishes(given)).toThrow(says);
  });
});
