import { describe, expect, it } from 'vitest';
import { BerthError } from '../../errors.js';
import { ANY_DEVICE } from '../alias/alias.js';
import { novaNumaPolicy, novaSpecOf, parseNovaAliases, parseNovaAliasRequest, saysMoreThanNova } from './nova-alias.js';

const GPU = { name: 'gpu', vendor_id: '10DE', product_id: '1bb0', device_type: 'type-PCI' };

/** Nova's name of what is thrown; null: it breaks off; undefined: nothing is thrown. */
function exceptionOf(act: () => unknown): unknown {
  try {
    act();
    return undefined;
  } catch (error) {
    expect(error).toBeInstanceOf(BerthError);
    return (error as BerthError).details['exception'];
  }
}

describe('aliases as Nova reads them', () => {
  it('keep their ids as they are written', () => {
    const [alias] = parseNovaAliases([{ ...GPU, name: ' gpu ', numa_policy: 'socket', capability_type: 'pci' }]);
    expect(alias).toEqual({
      name: 'gpu',
      numaPolicy: 'socket',
      specs: [
        {
          ...ANY_DEVICE,
          vendorId: '10DE',
          productId: '1bb0',
          deviceType: 'type-PCI',
          tags: { capability_type: 'pci' },
        },
      ],
    });
    expect(novaSpecOf(alias?.specs[0] ?? ANY_DEVICE)).toEqual({
      ...{ vendor_id: '10DE', product_id: '1bb0', dev_type: 'type-PCI', capability_type: 'pci' },
    });
  });

  it.each<[string, unknown]>([
    ['a name alone', { name: 'any' }],
    ['an id with a line feed', { ...GPU, vendor_id: '10de\n' }],
    ['a name of 256 characters, whatever they take', { ...GPU, name: '𝄞'.repeat(256) }],
    ['a name with a colon, which nobody can ask for', { ...GPU, name: 'a:b' }],
    ['a name of blanks, which becomes none', { ...GPU, name: ' ' }],
  ])('take %s', (_, alias) => {
    expect(exceptionOf(() => parseNovaAliases([alias]))).toBeUndefined();
  });

  it.each<[string, unknown]>([
    ['no object', 'gpu'],
    ['a list', [GPU]],
    ['null', null],
    ['no name', { vendor_id: '10de' }],
    ['an empty name', { ...GPU, name: '' }],
    ['a name that is too long', { ...GPU, name: 'x'.repeat(257) }],
    ['a number for a name', { ...GPU, name: 1 }],
    ['an id of three digits', { ...GPU, vendor_id: '10d' }],
    ['an id of five digits', { ...GPU, vendor_id: '10de1' }],
    ['an id with 0x', { ...GPU, product_id: '0x1b' }],
    ['an id with two line feeds', { ...GPU, product_id: '1bb0\n\n' }],
    ['a number for an id', { ...GPU, vendor_id: 8086 }],
    ['a wildcard', { ...GPU, vendor_id: '*' }],
    ['vdpa', { ...GPU, device_type: 'vdpa' }],
    ["Zun's word for a type", { ...GPU, device_type: 'PCI' }],
    ['another policy', { ...GPU, numa_policy: 'strict' }],
    ['null for a policy', { ...GPU, numa_policy: null }],
    ['another capability', { ...GPU, capability_type: 'usb' }],
    ['a key of later releases', { ...GPU, traits: 'A' }],
    ['a key that every object has', JSON.parse('{"name": "a", "__proto__": {}}')],
    ['a key like a method', { ...GPU, toString: 'x' }],
  ])('refuse %s', (_, alias) => {
    expect(exceptionOf(() => parseNovaAliases([alias]))).toBe('PciInvalidAlias');
  });

  it('of one name are alternatives, in order, if they agree', () => {
    const other = { ...GPU, product_id: '1db6' };
    expect(parseNovaAliases([GPU, { name: 'nic' }, other]).map(({ name, specs }) => [name, specs.length])).toEqual([
      ['gpu', 2],
      ['nic', 1],
    ]);
    expect(parseNovaAliases([GPU, { ...other, numa_policy: 'legacy' }])[0]?.specs).toHaveLength(2);
  });

  it.each<[string, object, object]>([
    ['policies', GPU, { ...GPU, numa_policy: 'required' }],
    ['device types', GPU, { ...GPU, device_type: 'type-VF' }],
    ['a type and none', GPU, { name: 'gpu' }],
    ['none and a type', { name: 'gpu' }, GPU],
    ['no types at all', { name: 'gpu' }, { name: 'gpu' }],
  ])('of one name do not go with different %s', (_, first, second) => {
    expect(exceptionOf(() => parseNovaAliases([first, second]))).toBe('PciInvalidAlias');
  });
});

describe('requests as Nova reads them', () => {
  const known = (name: string): boolean => ['gpu', 'nic', ''].includes(name);
  const read = (text: string): unknown => parseNovaAliasRequest(text, known).map(({ alias, count }) => [alias, count]);

  it.each<[string, unknown]>([
    ['gpu:1', [['gpu', 1]]],
    [' gpu : 2 ,nic:+1', [['gpu', 2], ['nic', 1]]], // prettier-ignore
    ['gpu:01', [['gpu', 1]]],
    ['gpu:1_0', [['gpu', 10]]],
    ['gpu:0', [['gpu', 0]]],
    ['gpu:-3', [['gpu', -3]]],
    [':1', [['', 1]]],
  ])('%j', (text, requests) => {
    expect(read(text)).toEqual(requests);
  });

  it.each<[string, unknown]>([
    ['', null],
    ['gpu', null],
    ['gpu:', null],
    ['gpu:x', null],
    ['gpu:1.5', null],
    ['gpu:0x2', null],
    ['gpu:1:2', null],
    ['gpu:1,', null],
    ['gpu:1;nic:1', null],
    ['GPU:1', 'PciRequestAliasNotDefined'],
    ['nope:x', 'PciRequestAliasNotDefined'],
    ['gpu,nope:1', null],
    ['nope:1,gpu', 'PciRequestAliasNotDefined'],
  ])('refuses %j', (text, exception) => {
    expect(exceptionOf(() => read(text))).toBe(exception);
  });
});

describe('policies as Nova resolves them', () => {
  it.each<[string | null, string | null, unknown]>([
    [null, null, null],
    ['', null, null],
    [null, 'socket', 'socket'],
    ['', 'socket', 'socket'],
    ['required', null, 'required'],
    ['required', 'required', 'required'],
  ])('flavor %j and image %j make %j', (flavor, image, policy) => {
    expect(novaNumaPolicy(flavor, image)).toBe(policy);
  });

  it.each<[string | null, string | null, string]>([
    [null, 'near', 'InvalidRequest'],
    [null, '', 'InvalidRequest'],
    ['near', 'far', 'InvalidRequest'],
    ['required', 'legacy', 'ImagePCINUMAPolicyForbidden'],
    ['near', 'legacy', 'ImagePCINUMAPolicyForbidden'],
    ['near', null, 'InvalidPCINUMAAffinity'],
  ])('flavor %j and image %j are refused: %s', (flavor, image, exception) => {
    expect(exceptionOf(() => novaNumaPolicy(flavor, image))).toBe(exception);
  });
});

describe('what Nova has no word for', () => {
  it.each([
    { resourceClass: 'CUSTOM_A' },
    { liveMigratable: false },
    { selector: 'true' },
    { group: 'slot' as const },
    { utility: 1 },
    { traits: ['A'] },
    { forbiddenTraits: ['A'] },
    { anyTraits: [['A']] },
    { withoutTags: ['a'] },
  ])('%j', (more) => {
    expect(saysMoreThanNova({ ...ANY_DEVICE, ...more })).toBe(true);
  });

  it('is nothing in ids, a type and tags', () => {
    const plain = { vendorId: '10de', productId: '1bb0', deviceType: 'type-PF' as const, tags: { rack: 'a' } };
    expect(saysMoreThanNova({ ...ANY_DEVICE, ...plain })).toBe(false);
  });
});
