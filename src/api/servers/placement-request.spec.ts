import { describe, expect, it } from 'vitest';
import { ANY_DEVICE, type AliasDefinition, type NumaPolicy } from '../../pci/alias.js';
import type { FlavorSnapshot } from '../../store/entities/workload.entities.js';
import { deviceWishes, placementRequest, type ServerWishes } from './placement-request.js';

const alias = (name: string, numaPolicy: NumaPolicy): AliasDefinition => ({
  name,
  numaPolicy,
  specs: [
    {
      ...ANY_DEVICE,
      vendorId: '10de',
      productId: '1bb0',
      deviceType: 'type-PCI',
    },
  ],
});

const flavor = (extra_specs: Record<string, string>): FlavorSnapshot => ({
  ...{ id: 'f', name: 'f', vcpus: 4, ram_mb: 8192, disk_gb: 40, extra_specs },
});

const wishes = (differing: Partial<ServerWishes>): ServerWishes => ({
  ...{ name: 's', projectId: 'default', flavor: null, devices: [], imagePolicy: null },
  size: { vcpus: 1, ramMb: 512, diskGb: 0 },
  ...differing,
});

const GPU = 'pci_passthrough:alias';
const POLICY = 'hw:pci_numa_affinity_policy';

describe('placementRequest', () => {
  it('takes the size of the flavor, or its own', () => {
    expect(placementRequest(wishes({ flavor: flavor({}) }), [])).toMatchObject({
      vcpus: 4,
      memoryMb: 8192,
      diskGb: 40,
    });
    expect(placementRequest(wishes({}), [])).toMatchObject({ vcpus: 1, memoryMb: 512, diskGb: 0, guestCells: null });
  });

  it("asks for the flavor's devices first, then for its own", () => {
    const own = [{ alias: 'b', count: 2, numaPolicy: null }];
    const both = wishes({ flavor: flavor({ [GPU]: 'a:1' }), devices: own });
    expect(deviceWishes(both).map((wish) => wish.alias)).toEqual(['a', 'b']);
    const request = placementRequest(both, [alias('b', 'legacy'), alias('a', 'legacy')]);
    expect(request.devices.map(({ alias: name, count }) => [name, count])).toEqual([
      ['a', 1],
      ['b', 2],
    ]);
  });

  it.each<{ who: string; own: NumaPolicy | null; flavor: string | null; image: string | null; taken: NumaPolicy }>([
    { who: 'its own, before all', own: 'socket', flavor: 'required', image: null, taken: 'socket' },
    { who: 'the flavor, before the alias', own: null, flavor: 'required', image: null, taken: 'required' },
    { who: 'the image, before the alias', own: null, flavor: null, image: 'required', taken: 'required' },
    { who: 'the alias, when nobody else says', own: null, flavor: null, image: null, taken: 'preferred' },
  ])('takes the NUMA policy of $who', (given) => {
    const request = placementRequest(
      wishes({
        flavor: flavor(given.flavor === null ? {} : { [POLICY]: given.flavor }),
        devices: [{ alias: 'a', count: 1, numaPolicy: given.own }],
        imagePolicy: given.image,
      }),
      [alias('a', 'preferred')],
    );
    expect(request.devices[0]?.numaPolicy).toBe(given.taken);
  });

  it('refuses contradiction, also without devices, and too much', () => {
    const contradicting = wishes({ flavor: flavor({ [POLICY]: 'required' }), imagePolicy: 'legacy' });
    expect(() => placementRequest(contradicting, [])).toThrow('make them agree');
    const many = Array.from({ length: 33 }, () => ({ alias: 'a', count: 1, numaPolicy: null }));
    expect(() => placementRequest(wishes({ devices: many }), [alias('a', 'legacy')])).toThrow('at most 32');
    const much = [1, 2].map(() => ({ alias: 'a', count: 129, numaPolicy: null }));
    expect(() => placementRequest(wishes({ devices: much }), [alias('a', 'legacy')])).toThrow('at most 256');
  });
});
