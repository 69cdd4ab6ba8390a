import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BerthError } from '../../errors.js';
import { ANY_DEVICE, parseAliases, withExclusiveTags } from './alias.js';
import type { AliasSpec } from './alias.js';

const GPU = { name: 'gpu', vendor_id: '10DE', product_id: '1bb0', device_type: 'type-PCI' };
const SPEC: AliasSpec = {
  ...ANY_DEVICE,
  vendorId: '10de',
  productId: '1bb0',
  deviceType: 'type-PCI',
};
describe('alias definitions', () => {
  it('have every key of Nova, normalised', () => {
    const value = {
      ...GPU,
      name: ' gpu ',
      numa_policy: 'required',
      resource_class: 'gpu-big',
      traits: 'blue, big',
      live_migratable: 'no',
      capability_type: 'pci',
    };
    expect(parseAliases(entries(value))).toEqual([
      {
        name: 'gpu',
        numaPolicy: 'required',
        specs: [
          { ...SPEC, resourceClass: 'CUSTOM_GPU_BIG', traits: ['CUSTOM_BLUE', 'CUSTOM_BIG'], liveMigratable: false },
        ],
      },
    ]);
  });

  it('default to the legacy policy, and take a list of traits', () => {
    const [alias] = parseAliases(entries({ name: 'a', device_type: 'type-VF', traits: ['x'] }));
    expect(alias?.numaPolicy).toBe('legacy');
    expect(alias?.specs[0]).toMatchObject({ vendorId: null, productId: null, traits: ['CUSTOM_X'] });
  });

  it('of one name are alternatives, in their order; an explicit legacy is the default', () => {
    const other = { ...GPU, product_id: '1b06', numa_policy: 'legacy', live_migratable: true };
    const aliases = parseAliases(entries(GPU, { ...GPU, name: 'b' }, other));
    expect(aliases.map(({ name, specs }) => [name, specs.map(({ productId }) => productId)])).toEqual([
      ['gpu', ['1bb0', '1b06']],
      ['b', ['1bb0']],
    ]);
  });

  it('may leave out device_type where the place allows it, also repeatedly', () => {
    const value = { name: 'QuickAssist', vendor_id: '8086', product_id: '0443' };
    const [alias] = parseAliases(entries(value, value), { requireDeviceType: false });
    expect(alias?.specs.map(({ deviceType }) => deviceType)).toEqual([null, null]);
    expect(parseAliases([{ value, where: 'w:1', requireDeviceType: false }])).toHaveLength(1);
  });

  it.each<[string, unknown, string]>([
    ['a list', [GPU], 'w:1: alias: has to be one object, not a list; write one object for each line'],
    ['a text', 'gpu', 'w:1: alias: has to be one object, not a text'],
    ['null', null, 'not null'],
    ['no name', { ...GPU, name: undefined }, 'name: has to be a text in quotes, not null'],
    [
      'no name at all',
      { vendor_id: '10de', device_type: 'type-PF' },
      'w:1: alias: name: is missing; give the alias a name',
    ],
    ['a blank name', { ...GPU, name: '  ' }, 'name: is empty'],
    ['a long name', { ...GPU, name: 'x'.repeat(256) }, 'name: has 256 characters; at most 255'],
    ['a comma in the name', { ...GPU, name: 'a,b' }, 'name: "a,b" has "," or ":" in it and could never be requested'],
    ['a colon in the name', { ...GPU, name: 'a:1' }, 'name: "a:1" has "," or ":" in it'],
    ['a numeric name', { ...GPU, name: 7 }, 'w:1: alias: name: a number; write "7" in quotes'],
    [
      'a mistyped key',
      { ...GPU, numa_polcy: 'legacy' },
      'w:1: alias gpu: numa_polcy: unknown key; did you mean "numa_policy"?',
    ],
    ['an unknown key', { ...GPU, address: '*' }, 'alias gpu: address: unknown key; the keys are name, vendor_id'],
    [
      '__proto__',
      JSON.parse('{"name":"a","vendor_id":"10de","device_type":"type-PF","__proto__":1}'),
      '__proto__: unknown key',
    ],
    [
      'a wildcard',
      { ...GPU, vendor_id: '*' },
      'alias gpu: vendor_id: "*" is not exactly 4 hex digits in quotes, like "10de"',
    ],
    ['three digits', { ...GPU, product_id: '1bb' }, 'product_id: "1bb" is not exactly 4 hex digits'],
    ['a line feed', { ...GPU, product_id: '1bb0\n' }, 'product_id: "1bb0\n" is not exactly'],
    ['0x', { ...GPU, vendor_id: '0x10de' }, 'vendor_id: "0x10de" is not exactly'],
    ['a number', { ...GPU, product_id: 443 }, 'product_id: a number; write "0443" in quotes'],
    ['a null id', { ...GPU, product_id: null }, 'product_id: null is not exactly'],
    [
      'no device type',
      { ...GPU, device_type: undefined, name: 'gpu' },
      'alias gpu: device_type: say type-PCI, type-PF or type-VF',
    ],
    [
      "Zun's spelling",
      { ...GPU, device_type: 'PF' },
      'device_type: say type-PCI, type-PF or type-VF, not "PF"; did you mean "type-PF"?',
    ],
    ['a mistyped device type', { ...GPU, device_type: 'type_pci' }, 'did you mean "type-PCI"?'],
    ['vdpa', { ...GPU, device_type: 'vdpa' }, 'device_type: vdpa devices are for ports only'],
    [
      'a mistyped policy',
      { ...GPU, numa_policy: 'prefered' },
      'numa_policy: say required, preferred, legacy, socket, not "prefered"; did you mean "preferred"?',
    ],
    ['a policy list', { ...GPU, numa_policy: [] }, 'numa_policy: say required, preferred, legacy, socket, not a list'],
    ['maybe migratable', { ...GPU, live_migratable: 'maybe' }, 'live_migratable: "maybe" is neither yes nor no'],
    ['another capability', { ...GPU, capability_type: 'usb' }, 'capability_type: can only be "pci"'],
    ['a trait for and against', { ...GPU, traits: 'a, !A' }, 'traits: CUSTOM_A is wanted and forbidden; remove one'],
    ['only forbidden ones', { ...GPU, traits: '{a|b}, !a, !b' }, 'traits: all of {CUSTOM_A|CUSTOM_B} are forbidden'],
    ['half a choice', { ...GPU, traits: ['{a|b'] }, 'traits: "{a|b" is not like "{A|B}"'],
    ['a choice in a choice', { ...GPU, traits: ['{a|{b}}'] }, 'traits: "{a|{b}}" is not like "{A|B}"'],
    ['an empty choice', { ...GPU, traits: ['{}'] }, 'traits: has an empty name in it'],
    ['an empty trait', { ...GPU, traits: 'a,,b' }, 'traits: has an empty name in it; remove the comma too many'],
    ['a double no', { ...GPU, traits: ['!!a'] }, 'traits: "!a" is not a trait\'s name; write T, !T or {A|B}'],
    ['a choice with commas', { ...GPU, traits: ['{a,b}'] }, 'traits: "a,b" is not a trait\'s name'],
    ['a numeric trait', { ...GPU, traits: [7] }, 'traits: a number; write "7" in quotes'],
    ['too many traits', { ...GPU, traits: Array.from({ length: 65 }, (_, i) => `t${i}`) }, 'names more than 64 traits'],
    ['traits of no kind', { ...GPU, traits: 7 }, 'traits: has to be a list like ["A", "!B", "{C|D}"]'],
    ['a list of tags', { ...GPU, tags: [] }, 'tags: has to be an object like {"rack": "r1"}, not a list'],
    ['a numeric tag', { ...GPU, tags: { rack: 1 } }, 'tags: rack: a number; write "1" in quotes'],
    [
      'remote-managed',
      { ...GPU, tags: { remote_managed: true } },
      'tags: remote_managed: remote-managed devices are for',
    ],
    ['a key as a tag', { ...GPU, tags: { live_migratable: true } }, 'tags: live_migratable: is a key of its own'],
    ['a reserved tag', { ...GPU, tags: { vendor_id: '1' } }, 'tags: vendor_id: is not a tag that an alias can ask for'],
    [
      '__proto__ as a tag',
      { ...GPU, tags: JSON.parse('{"__proto__":"x"}') as unknown },
      'tags: __proto__: is not a tag',
    ],
    ['a tag with a blank', { ...GPU, tags: { 'a b': 'x' } }, 'tags: a b: is not a name of letters'],
    ['an untrue trust', { ...GPU, tags: { trusted: 'maybe' } }, 'tags: trusted: "maybe" is neither yes nor no'],
    [
      'two networks',
      { ...GPU, tags: { physical_network: 'a' }, physical_network: 'b' },
      'physical_network: says another physical_network than tags; leave one of the two out',
    ],
    ['a bad selector', { ...GPU, selector: 'device.x' }, 'w:1: alias gpu: selector: a device has no attribute "x"'],
    ['too much utility', { ...GPU, utility: 1001 }, 'utility: is 1001; at most 1000'],
    ['half a utility', { ...GPU, utility: 0.5 }, 'utility: has to be a whole number from 0 on'],
    ['a mistyped group', { ...GPU, group: 'cards' }, 'group: say slot or card, not "cards"; did you mean "card"?'],
    [
      'a group of VFs',
      { ...GPU, device_type: 'type-VF', group: 'slot' },
      'alias gpu: group: a VF has no slot or card of its own',
    ],
    ['only a forbidden trait', { name: 'a', device_type: 'type-PF', traits: '!a' }, 'alias a: would take any device'],
    [
      'nothing to match',
      { name: 'a', device_type: 'type-PF' },
      'alias a: would take any device; give vendor_id and product_id',
    ],
    [
      'no device type at all',
      { name: 'a', vendor_id: '10de' },
      'alias a: device_type: say type-PCI, type-PF or type-VF',
    ],
  ])('%s is refused', (_, value, expected) => {
    expect(problemsOf(entries(value)).join('\n')).toContain(expected);
  });

  it('tell traits that are wanted, forbidden and alternatives apart', () => {
    const expected = {
      traits: ['CUSTOM_A', 'HW_GPU_API_VULKAN'],
      forbiddenTraits: ['CUSTOM_B'],
      anyTraits: [['CUSTOM_C', 'CUSTOM_D'], ['CUSTOM_E']],
    };
    const list = ['a', ' ! b ', '{c| D }', 'HW_GPU_API_VULKAN', '{e|e}', 'A'];
    for (const traits of [list, list.join(', ')]) {
      expect(parseAliases(entries({ ...GPU, traits }))[0]?.specs[0]).toEqual({ ...SPEC, ...expected });
    }
  });

  it('name tags, with a shorthand for the physical network', () => {
    const specsOf = (more: object): AliasSpec | undefined => parseAliases(entries({ ...GPU, ...more }))[0]?.specs[0];
    expect(specsOf({ tags: { rack: 'r1', spare: true, note: null, trusted: 'yes', physical_network: 'p' } })).toEqual({
      ...SPEC,
      tags: { rack: 'r1', spare: 'true', note: null, trusted: 'true', physical_network: 'p' },
    });
    expect(specsOf({ physical_network: null, tags: { rack: 'r1' } })?.tags).toEqual({
      physical_network: null,
      rack: 'r1',
    });
    expect(specsOf({ physical_network: 'p', tags: { physical_network: 'p' } })?.tags).toEqual({
      physical_network: 'p',
    });
  });

  it('have a selector, a utility and a group', () => {
    const value = { ...GPU, selector: ' device.link_width >= 16 ', utility: 1000, group: 'card' };
    expect(parseAliases(entries(value, { ...GPU, group: 'card' }))[0]?.specs).toEqual([
      { ...SPEC, selector: 'device.link_width >= 16', utility: 1000, group: 'card' },
      { ...SPEC, group: 'card' },
    ]);
  });

  it.each([
    [{ tags: { rack: 'r1' } }],
    [{ physical_network: null }],
    [{ selector: 'device.total_vfs > 0' }],
    [{ traits: '{a|b}' }],
  ])('%j is enough to mean something', (more) => {
    expect(parseAliases(entries({ name: 'a', device_type: 'type-PF', ...more }))).toHaveLength(1);
  });

  it('of one name have to agree, and the message names both places', () => {
    expect(problemsOf(entries({ ...GPU, numa_policy: 'required' }, GPU))).toEqual([
      'w:2: alias gpu: numa_policy: is legacy here and required at w:1; make them agree',
    ]);
    expect(problemsOf(entries(GPU, { ...GPU, device_type: 'type-PF' }))).toEqual([
      'w:2: alias gpu: device_type: is type-PF here and type-PCI at w:1; make them agree',
    ]);
    expect(problemsOf(entries({ ...GPU, group: 'slot' }, GPU))).toEqual([
      'w:2: alias gpu: group: is left out here and slot at w:1; make them agree',
    ]);
    const { device_type: _, ...untyped } = GPU;
    const [mixed] = problemsOf([...entries(GPU), { value: untyped, where: 'n:2', requireDeviceType: false }]);
    expect(mixed).toBe('n:2: alias gpu: device_type: is left out here and type-PCI at w:1; make them agree');
  });

  it('are judged all together', () => {
    const bad = { ...GPU, vendor_id: 1, nam: 'x' };
    expect(
      problemsOf(entries(bad, GPU, [], { ...GPU, numa_policy: 'socket' })).map((text) => text.slice(0, 3)),
    ).toEqual([...['w:1', 'w:1', 'w:3', 'w:4']]);
  });

  it('never throw anything but a BerthError, whatever the JSON', () => {
    const key = fc.constantFrom(
      ...['name', 'vendor_id', 'device_type', 'traits', 'numa_policy', '__proto__', 'toString'],
      ...['tags', 'physical_network', 'selector', 'utility', 'group'],
    );
    const value = fc.oneof(fc.jsonValue(), fc.dictionary(key, fc.jsonValue()));
    fc.assert(
      fc.property(fc.array(value), (values) => {
        try {
          parseAliases(entries(...(JSON.parse(JSON.stringify(values)) as unknown[])));
        } catch (error) {
          expect(error).toBeInstanceOf(BerthError);
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('exclusive tags', () => {
  it('are wanted absent by every spec that does not name them', () => {
    const own: AliasSpec = { ...SPEC, tags: { physical_network: null, rack: 'r1' }, withoutTags: ['spare'] };
    const specs = withExclusiveTags([SPEC, own], ['physical_network', 'gold', 'spare']);
    expect(specs.map(({ withoutTags }) => withoutTags)).toEqual([
      ['gold', 'physical_network', 'spare'],
      ['gold', 'spare'],
    ]);
    expect(withExclusiveTags([SPEC], [])).toEqual([SPEC]);
  });
});

function entries(...values: readonly unknown[]): { value: unknown; where: string }[] {
  return values.map((value, index) => ({ value, where: `w:${index + 1}` }));
}

function problemsOf(given: Parameters<typeof parseAliases>[0]): string[] {
  try {
    parseAliases(given);
  } catch (error) {
    const { code, message, details } = error as BerthError;
    expect(code).toBe('alias.invalid');
    expect(message).toBe((details['problems'] as string[]).join('\n'));
    return details['problems'] as string[];
  }
  return [];
}
