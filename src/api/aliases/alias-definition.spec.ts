import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AliasSpec } from '../../pci/alias/alias.js';
import { aliasDefinition } from './alias-definition.js';
import { type AliasReplaceBody, aliasView } from './aliases.dto.js';

/** Names that begin with different letters, so that none is wanted and forbidden. */
const names = (letter: string) =>
  fc.uniqueArray(
    fc.nat({ max: 9 }).map((digit) => `CUSTOM_${letter}${digit}`),
    { maxLength: 3 },
  );
const orNull = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: null });
const text = fc.string({ minLength: 1, maxLength: 20 }).filter((value) => value.trim() !== '');

const aSpec: fc.Arbitrary<AliasSpec> = fc.record({
  vendorId: fc.constantFrom('10de', '8086'),
  productId: fc.constantFrom('0001', '1bb0'),
  deviceType: fc.constant('type-PCI' as const),
  resourceClass: orNull(fc.constantFrom('CUSTOM_GOLD', 'VGPU')),
  traits: names('W'),
  forbiddenTraits: names('F'),
  anyTraits: fc.array(
    names('A').filter((some) => some.length > 0),
    { maxLength: 3 },
  ),
  liveMigratable: orNull(fc.boolean()),
  tags: fc.dictionary(fc.constantFrom('rack', 'row', 'physical_network'), orNull(text), { noNullPrototype: true }),
  withoutTags: fc.constant([]),
  selector: orNull(fc.constantFrom('device.numa_node == 1')),
  utility: fc.integer({ min: 0, max: 1000 }),
  group: fc.constant(null),
});

/** All of one alias take the same along. */
const someSpecs: fc.Arbitrary<AliasSpec[]> = fc
  .tuple(
    fc.array(aSpec, { minLength: 1, maxLength: 3 }),
    orNull(fc.constantFrom<NonNullable<AliasSpec['group']>[]>('slot', 'card')),
  )
  .map(([specs, group]) => specs.map((spec) => ({ ...spec, group })));

describe('an alias that is shown', () => {
  it('can be written back, as a list of specs or as the only one, and means the same', () => {
    fc.assert(
      fc.property(someSpecs, fc.constantFrom('legacy' as const, 'required' as const), (specs, numaPolicy) => {
        const [at, owners] = [new Date(0), []];
        const row = { id: '', name: 'gpu', numa_policy: numaPolicy, specs, source: 'rest' as const, version: 1 };
        const view = aliasView({ ...row, created_at: at, updated_at: at, owners });
        const shown = JSON.parse(JSON.stringify(view)) as typeof view;
        const body = { numa_policy: shown.numa_policy, specs: shown.specs } as unknown as AliasReplaceBody;
        expect(aliasDefinition('gpu', body, 'strict')).toEqual({ name: 'gpu', numaPolicy, specs });
        const only = { numa_policy: shown.numa_policy, ...shown.specs[0] } as AliasReplaceBody;
        expect(aliasDefinition('gpu', only, 'strict')).toEqual({ name: 'gpu', numaPolicy, specs: specs.slice(0, 1) });
      }),
    );
  });

  it('says in the nova dialect no more than Nova knows', () => {
    const plain = { vendor_id: '10de', product_id: '1bb0', device_type: 'type-PCI' };
    expect(aliasDefinition('gpu', plain, 'nova').specs).toHaveLength(1);
    expect(() => aliasDefinition('gpu', { ...plain, traits: ['A'] }, 'nova')).toThrow('Nova 26.2 knows ids');
    expect(() => aliasDefinition('gpu', { ...plain, selector: 'true' }, 'nova')).toThrow('set compat to strict');
  });
});
