import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BerthError } from '../errors.js';
import {
  aliasMatches,
  ANY_DEVICE,
  deviceSatisfies,
  parseAliases,
  parseAliasRequest,
  resolveNumaPolicy,
} from './alias.js';
import type { AliasCandidate, AliasSpec } from './alias.js';

const GPU = { name: 'gpu', vendor_id: '10DE', product_id: '1bb0', device_type: 'type-PCI' };
const SPEC: AliasSpec = {
  ...ANY_DEVICE,
  vendorId: '10de',
  productId: '1bb0',
  deviceType: 'type-PCI',
};
const DEVICE: AliasCandidate = {
  vendorId: '10de',
  productId: '1bb0',
  deviceType: 'type-PCI',
  tags: {},
  resourceClass: null,
  traits: ['CUSTOM_BIG', 'CUSTOM_BLUE'],
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

  it('of one name have to agree, and the message names both places', () => {
    expect(problemsOf(entries({ ...GPU, numa_policy: 'required' }, GPU))).toEqual([
      'w:2: alias gpu: numa_policy: is legacy here and required at w:1; make them agree',
    ]);
    expect(problemsOf(entries(GPU, { ...GPU, device_type: 'type-PF' }))).toEqual([
      'w:2: alias gpu: device_type: is type-PF here and type-PCI at w:1; make them agree',
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
    const key = fc.constantFrom('name', 'vendor_id', 'device_type', 'traits', 'numa_policy', '__proto__', 'toString');
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

describe('alias requests', () => {
  it.each([
    ['a:1', [['a', 1]]],
    [
      ' a : 2 , b b: 1',
      [
        ['a', 2],
        ['b b', 1],
      ],
    ],
    ['a:01', [['a', 1]]],
    [
      'a:1,a:2',
      [
        ['a', 1],
        ['a', 2],
      ],
    ],
    ['a:256', [['a', 256]]],
  ])('%j', (text, expected) => {
    expect(parseAliasRequest(text).map(({ alias, count }) => [alias, count])).toEqual(expected);
  });

  it.each([
    ['', 'the text is empty; write name:count'],
    [' ', 'the text is empty'],
    ['a', '"a": write name:count, like "gpu:1"'],
    ['a:', '"a:": the count has to be a whole number'],
    ['a:x', '"a:x": the count has to be a whole number'],
    ['a:1.5', '"a:1.5": the count has to be a whole number'],
    ['a:1:2', '"a:1:2": write name:count'],
    ['a:1,', 'item 2, there is nothing; remove the comma too many'],
    ['a:1,,b:1', 'item 2, there is nothing'],
    ['gpu:0', '"gpu:0": the count must be 1 or more'],
    ['b:1,gpu:-1', 'item 2, "gpu:-1": the count must be 1 or more'],
    ['a:257', '"a:257": the count must be 256 or less'],
    ['a:99999999999999999999', 'the count must be 256 or less'],
    [':1', '":1": the alias name before ":" is missing'],
    ['a:+1', '"a:+1": the count has to be a whole number'],
    ['a:0x1', 'the count has to be a whole number'],
    [Array.from({ length: 33 }, () => 'a:1').join(','), '33 items; at most 32'],
    [`${'a'.repeat(256)}:1`, 'the name is longer than 255 characters'],
    ['a'.repeat(20_000), 'the text has 20000 characters'],
  ])('%j is refused', (text, expected) => {
    expect(() => parseAliasRequest(text)).toThrow(expected);
    expect(() => parseAliasRequest(text)).toThrow(expect.objectContaining({ code: 'request.invalid' }) as Error);
  });

  it('read back what they write', () => {
    const item = fc.tuple(fc.stringMatching(/^[a-z0-9 _-]{0,20}[a-z0-9]$/), fc.integer({ min: 1, max: 256 }));
    fc.assert(
      fc.property(fc.array(item, { minLength: 1, maxLength: 32 }), (items) => {
        const read = parseAliasRequest(items.map(([name, count]) => `${name}:${count}`).join(','));
        expect(read).toEqual(items.map(([name, count]) => ({ alias: name.trim(), count })));
      }),
    );
  });
});

describe('which devices satisfy an alias', () => {
  it.each<[string, Partial<AliasSpec>, Partial<AliasCandidate>, boolean]>([
    ['the same ids and type', {}, {}, true],
    ['another vendor', {}, { vendorId: '1002' }, false],
    ['another product', {}, { productId: '1b06' }, false],
    ['no ids asked', { vendorId: null, productId: null }, { vendorId: '1002' }, true],
    ['a VF for type-PCI', {}, { deviceType: 'type-VF' }, false],
    ['a PF for type-PCI', {}, { deviceType: 'type-PF' }, false],
    ['a PF for type-PF', { deviceType: 'type-PF' }, { deviceType: 'type-PF' }, true],
    ['a plain device without type', { deviceType: null }, {}, true],
    ['a VF without type', { deviceType: null }, { deviceType: 'type-VF' }, true],
    ['a PF without type', { deviceType: null }, { deviceType: 'type-PF' }, false],
    ['vdpa without type', { deviceType: null }, { deviceType: 'vdpa' }, false],
    ['vdpa asked for', { deviceType: 'vdpa' }, { deviceType: 'vdpa' }, true],
    [
      'a remote-managed VF',
      { deviceType: 'type-VF' },
      { deviceType: 'type-VF', tags: { remote_managed: 'true' } },
      false,
    ],
    [
      'a VF that is not remote-managed',
      { deviceType: 'type-VF' },
      { deviceType: 'type-VF', tags: { remote_managed: 'false' } },
      true,
    ],
    ['tags that nobody asked about', {}, { tags: { physical_network: 'p', trusted: 'true' } }, true],
    ['a trait', { traits: ['CUSTOM_BIG'] }, {}, true],
    ['a trait too many', { traits: ['CUSTOM_BIG', 'CUSTOM_RED'] }, {}, false],
    ['a class', { resourceClass: 'CUSTOM_A' }, { resourceClass: 'CUSTOM_A' }, true],
    ['another class', { resourceClass: 'CUSTOM_A' }, { resourceClass: 'CUSTOM_B' }, false],
    ['the class of devices without one', { resourceClass: 'CUSTOM_PCI_10DE_1BB0' }, {}, true],
    ['migratable, tagged so', { liveMigratable: true }, { tags: { live_migratable: 'true' } }, true],
    ['migratable, not tagged', { liveMigratable: true }, {}, false],
    ['not migratable, not tagged', { liveMigratable: false }, {}, false],
    ['not migratable, tagged so', { liveMigratable: false }, { tags: { live_migratable: 'false' } }, true],
  ])('%s', (_, spec, device, expected) => {
    expect(deviceSatisfies({ ...SPEC, ...spec }, { ...DEVICE, ...device })).toBe(expected);
  });

  it('any spec will do', () => {
    expect(aliasMatches([{ ...SPEC, productId: '0000' }, SPEC], DEVICE)).toBe(true);
    expect(aliasMatches([{ ...SPEC, productId: '0000' }], DEVICE)).toBe(false);
    expect(aliasMatches([], DEVICE)).toBe(false);
  });
});

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
