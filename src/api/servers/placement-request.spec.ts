import { describe, expect, it } from 'vitest';
import { ANY_DEVICE, type AliasDefinition } from '../../pci/alias/alias.js';
import type { NumaPolicy } from '../../pci/alias/numa-policy.js';
import { portSpec } from '../../pci/alias/port.js';
import type { FlavorSnapshot } from '../../store/entities/workload.entities.js';
import { RequestRules } from '../request-rules.js';
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
  ...{ name: 's', projectId: 'default', flavor: null, devices: [], ports: [], imagePolicy: null },
  size: { vcpus: 1, ramMb: 512, diskGb: 0 },
  ...{ host: {}, topology: null, cpuPolicy: null, priority: null, preemptible: null },
  ...differing,
});

const RULES = new RequestRules('strict', []);
const GPU = 'pci_passthrough:alias';
const POLICY = 'hw:pci_numa_affinity_policy';
const IMAGE = 'image_properties.hw_pci_numa_affinity_policy';

describe('placementRequest', () => {
  it('takes the size of the flavor, or its own', () => {
    expect(placementRequest(wishes({ flavor: flavor({}) }), [], RULES)).toMatchObject({
      vcpus: 4,
      memoryMb: 8192,
      diskGb: 40,
    });
    expect(placementRequest(wishes({}), [], RULES)).toMatchObject({
      vcpus: 1,
      memoryMb: 512,
      diskGb: 0,
      guestCells: null,
    });
  });

  it("asks for the flavor's devices first, then for its own", () => {
    const own = [{ alias: 'b', count: 2, numaPolicy: null }];
    const both = wishes({ flavor: flavor({ [GPU]: 'a:1' }), devices: own });
    expect(deviceWishes(both, 'strict').map((wish) => wish.alias)).toEqual(['a', 'b']);
    const request = placementRequest(both, [alias('b', 'legacy'), alias('a', 'legacy')], RULES);
    expect(request.devices.map(({ alias: name, count }) => [name, count])).toEqual([
      ['a', 1],
      ['b', 2],
    ]);
  });

  describe('NUMA policy', () => {
    interface Given {
      /** Of the port, or of the ad-hoc request. */
      readonly own: NumaPolicy | null;
      /** undefined: no such extra spec. */
      readonly flavor?: string;
      readonly image: string | null;
      readonly alias: NumaPolicy;
    }

    const decided = ({ own, flavor: inFlavor, image, alias: inAlias }: Given): (NumaPolicy | undefined)[] => {
      const all = wishes({
        flavor: flavor(inFlavor === undefined ? {} : { [POLICY]: inFlavor }),
        devices: [{ alias: 'a', count: 1, numaPolicy: own }],
        ports: [{ name: 'eth0', vnicType: 'direct', physicalNetwork: null, trusted: null, numaPolicy: own }],
        imagePolicy: image,
      });
      const [device, port] = placementRequest(all, [alias('a', inAlias)], RULES).devices;
      return [device?.numaPolicy, port?.numaPolicy];
    };

    it.each<Given & { readonly taken: NumaPolicy; readonly byPort?: NumaPolicy }>([
      { own: 'socket', flavor: 'required', image: 'required', alias: 'preferred', taken: 'socket' },
      { own: 'socket', flavor: 'required', image: null, alias: 'preferred', taken: 'socket' },
      { own: 'socket', image: 'required', alias: 'preferred', taken: 'socket' },
      { own: 'socket', image: null, alias: 'preferred', taken: 'socket' },
      { own: 'legacy', flavor: 'required', image: 'required', alias: 'preferred', taken: 'legacy' },
      { own: null, flavor: 'required', image: 'required', alias: 'preferred', taken: 'required' },
      { own: null, flavor: 'required', image: null, alias: 'preferred', taken: 'required' },
      { own: null, flavor: 'required', image: '', alias: 'preferred', taken: 'required' },
      { own: null, flavor: 'legacy', image: null, alias: 'preferred', taken: 'legacy' },
      { own: null, image: 'required', alias: 'preferred', taken: 'required' },
      { own: null, image: 'legacy', alias: 'preferred', taken: 'legacy' },
      { own: null, image: null, alias: 'preferred', taken: 'preferred', byPort: 'legacy' },
      { own: null, image: '', alias: 'preferred', taken: 'preferred', byPort: 'legacy' },
      { own: null, image: null, alias: 'legacy', taken: 'legacy' },
    ])('own $own, flavor $flavor, image $image, alias $alias: $taken', ({ taken, byPort = taken, ...given }) => {
      expect(decided(given)).toEqual([taken, byPort]);
    });

    it.each<Partial<Given> & { readonly says: string; readonly field: string }>([
      { flavor: 'requird', says: 'did you mean "required"?', field: `extra_specs.${POLICY}` },
      { flavor: 'Required', says: 'say required, preferred, legacy, socket', field: `extra_specs.${POLICY}` },
      { flavor: '', says: 'is empty', field: `extra_specs.${POLICY}` },
      { flavor: ' ', says: 'not " "', field: `extra_specs.${POLICY}` },
      { flavor: 'requird', image: 'required', says: 'not "requird"', field: `extra_specs.${POLICY}` },
      { image: 'requird', says: 'did you mean "required"?', field: IMAGE },
      { flavor: 'required', image: 'requird', says: 'not "requird"', field: IMAGE },
      { flavor: 'required', image: 'legacy', says: 'make them agree', field: IMAGE },
      { own: 'socket', flavor: 'required', image: 'legacy', says: 'make them agree', field: IMAGE },
    ])('own $own, flavor $flavor, image $image: refused, $says', ({ says, field, ...given }) => {
      const refused = (): unknown => decided({ own: null, image: null, alias: 'preferred', ...given });
      expect(refused).toThrow(says);
      expect(refused).toThrow(
        expect.objectContaining({ details: { errors: [{ field, problem: expect.any(String) }] } }),
      );
    });
  });

  describe('as Nova reads it', () => {
    const NOVA = new RequestRules('nova', ['physical_network']);
    const inFlavor = (extraSpecs: Record<string, string>, image: string | null = null) =>
      placementRequest(
        wishes({ flavor: flavor({ [GPU]: 'a:1', ...extraSpecs }), imagePolicy: image }),
        [alias('a', 'preferred')],
        NOVA,
      ).devices;

    it.each<[string, number[]]>([
      ['a:0', [0]],
      ['a:-1,a:2', [0, 2]],
      [' a : +1', [1]],
    ])('counts of "%s"', (text, counts) => {
      expect(inFlavor({ [GPU]: text }).map(({ count }) => count)).toEqual(counts);
      expect(() => deviceWishes(wishes({ flavor: flavor({ [GPU]: text }) }), 'strict')).toThrow(GPU);
    });

    it('has no exclusive tags, and passes over an empty policy of the flavor', () => {
      expect(inFlavor({ [POLICY]: '' })).toMatchObject([{ numaPolicy: 'preferred', specs: [{ withoutTags: [] }] }]);
      expect(() => inFlavor({}, '')).toThrow('hw_pci_numa_affinity_policy');
      expect(() => inFlavor({ [POLICY]: 'required' }, 'legacy')).toThrow('make them agree');
      expect(() => inFlavor({ [POLICY]: 'requird' })).toThrow('requird');
    });
  });

  it('asks for the ports last, each for one device', () => {
    const port = { name: 'eth0', vnicType: 'direct', physicalNetwork: 'physnet1', trusted: true } as const;
    const all = wishes({
      flavor: flavor({ [GPU]: 'a:2' }),
      ports: [{ ...port, numaPolicy: null }],
    });
    expect(placementRequest(all, [alias('a', 'legacy')], RULES).devices.slice(1)).toEqual([
      { alias: null, port, count: 1, specs: [portSpec(port)], numaPolicy: 'legacy' },
    ]);
  });

  it('keeps devices with exclusive tags from who does not name the tags', () => {
    const all = wishes({
      devices: [{ alias: 'a', count: 1, numaPolicy: null }],
      ports: [{ name: 'p', vnicType: 'direct', physicalNetwork: null, trusted: null, numaPolicy: null }],
    });
    const [device, port] = placementRequest(
      all,
      [alias('a', 'legacy')],
      new RequestRules('strict', ['physical_network', 'rack']),
    ).devices;
    expect(device?.specs.map((spec) => spec.withoutTags)).toEqual([['physical_network', 'rack']]);
    expect(port?.specs.map((spec) => spec.withoutTags)).toEqual([['rack']]);
  });

  describe('what is asked beside devices', () => {
    const ASKING = flavor({
      [GPU]: 'a:2',
      'pci_passthrough:topology': 'a within PXB',
      'hw:cpu_policy': 'dedicated',
      'berth:priority': '5',
      'berth:preemptible': 'true',
      'trait:CUSTOM_A': 'required',
    });
    const ALIASES = [alias('a', 'legacy')];

    it('is left out where nothing is asked, so that equal wishes are equal requests', () => {
      const plain = placementRequest(wishes({ flavor: flavor({}) }), [], RULES);
      const said = { cpuPolicy: 'shared' as const, priority: 0, preemptible: false };
      expect(Object.keys(plain)).toEqual([
        ...['serverName', 'projectId', 'vcpus', 'memoryMb', 'diskGb', 'devices', 'guestCells'],
      ]);
      expect(placementRequest(wishes({ flavor: flavor({ 'hw:cpu_policy': 'shared' }), ...said }), [], RULES)).toEqual(
        plain,
      );
    });

    it('is what the flavor says, and what the server says before it', () => {
      const constraint = { kind: 'within', level: 'PXB', weight: null, requests: [0] };
      expect(placementRequest(wishes({ flavor: ASKING }), ALIASES, RULES)).toMatchObject({
        cpuPolicy: 'dedicated',
        constraints: [constraint],
        priority: 5,
        preemptible: true,
        host: { requiredTraits: ['CUSTOM_A'] },
      });
      const own = wishes({
        ...{ flavor: ASKING, cpuPolicy: 'shared', priority: 0, preemptible: false },
        ...{ topology: 'a same numa_node prefer 9', host: { availabilityZone: 'room-1' } },
      });
      const request = placementRequest(own, ALIASES, RULES);
      expect(request).toMatchObject({
        constraints: [constraint, { kind: 'same', attribute: 'numa_node', weight: 9 }],
        host: { availabilityZone: 'room-1', requiredTraits: ['CUSTOM_A'] },
      });
      expect(request).not.toHaveProperty('cpuPolicy');
      expect(request).not.toHaveProperty('priority');
      expect(request).not.toHaveProperty('preemptible');
    });

    it('takes ranges, and counts their upper ends', () => {
      const range = (countMax: number) => wishes({ devices: [{ alias: 'a', count: 2, countMax, numaPolicy: null }] });
      expect(placementRequest(range(4), ALIASES, RULES).devices[0]).toMatchObject({ count: 2, countMax: 4 });
      expect(placementRequest(range(2), ALIASES, RULES).devices[0]).not.toHaveProperty('countMax');
      expect(() => placementRequest(range(257), ALIASES, RULES)).toThrow('at most 256');
    });

    it.each<[string, Partial<ServerWishes>, string]>([
      ['a name that nothing has', { topology: 'b within PXB' }, 'topology'],
      ["the flavor's that nothing has", { flavor: flavor({ 'pci_passthrough:topology': 'b within PXB' }) }, 'flavor,'],
      ['too many clauses', { topology: Array(16).fill('a within NODE').join(';'), flavor: ASKING }, 'topology'],
    ])('refuses topology of %s', (_what, differing, field) => {
      const refused = () =>
        placementRequest(
          wishes({ devices: [{ alias: 'a', count: 1, numaPolicy: null }], ...differing }),
          ALIASES,
          RULES,
        );
      expect(refused).toThrow(
        expect.objectContaining({
          code: 'topology.invalid',
          details: { errors: [{ field: expect.stringContaining(field), problem: expect.any(String) }] },
        }),
      );
    });
  });

  it('refuses contradiction, also without devices, and too much', () => {
    const contradicting = wishes({ flavor: flavor({ [POLICY]: 'required' }), imagePolicy: 'legacy' });
    expect(() => placementRequest(contradicting, [], RULES)).toThrow('make them agree');
    const many = Array.from({ length: 33 }, () => ({ alias: 'a', count: 1, numaPolicy: null }));
    expect(() => placementRequest(wishes({ devices: many }), [alias('a', 'legacy')], RULES)).toThrow('at most 32');
    const much = [1, 2].map(() => ({ alias: 'a', count: 129, numaPolicy: null }));
    expect(() => placementRequest(wishes({ devices: much }), [alias('a', 'legacy')], RULES)).toThrow('at most 256');
  });
});
