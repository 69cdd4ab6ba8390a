import { describe, expect, it } from 'vitest';
import { ANY_DEVICE, type AliasDefinition } from '../pci/alias/alias.js';
import { aliasStep, type AliasStanding } from './alias-owners.js';

const gpu = (productId: string, more: Partial<AliasDefinition> = {}): AliasDefinition => ({
  name: 'gpu',
  numaPolicy: 'legacy',
  specs: [{ ...ANY_DEVICE, vendorId: '10de', productId }],
  ...more,
});

const [ONE, TWO, THREE] = [gpu('0001'), gpu('0002'), gpu('0003')];

/** @param said origin → what its files said last, the latest first */
const standing = (inForce: AliasDefinition | null, said: Record<string, AliasDefinition>): AliasStanding => ({
  name: 'gpu',
  inForce: inForce && { source: 'file', definition: inForce },
  statements: Object.entries(said).map(([origin, definition]) => ({
    origin,
    saidAt: '2026-01-02 03:04 UTC',
    definition,
  })),
});

describe('what the files of an origin make of an alias', () => {
  it.each([
    ['a new alias is added', standing(null, {}), ONE, 'added'],
    ['the same again changes nothing', standing(ONE, { a: ONE }), ONE, 'kept'],
    ['another origin may say the same', standing(ONE, { b: ONE }), ONE, 'kept'],
    ['the only one that has it may change it', standing(ONE, { a: ONE }), TWO, 'changed'],
    ['one that agreed to it may change it for all', standing(ONE, { a: ONE, b: ONE }), TWO, 'changed'],
    ['one that had agreed to the old may follow', standing(TWO, { b: TWO, a: ONE }), TWO, 'kept'],
    ['one that still says the old undoes nothing', standing(TWO, { b: TWO, a: ONE }), ONE, 'behind'],
    ['one that had agreed to the old may not make a third', standing(TWO, { b: TWO, a: ONE }), THREE, 'refused'],
    ['one that had it never may not make another', standing(ONE, { b: ONE }), TWO, 'refused'],
    ['what nobody says is from before, and goes over', standing(ONE, {}), TWO, 'changed'],
    ['no longer said by anybody, it goes', standing(ONE, { a: ONE }), null, 'removed'],
    ['what nobody says is from before, and goes', standing(ONE, {}), null, 'removed'],
    ['it stays as long as another has it', standing(ONE, { a: ONE, b: ONE }), null, 'kept'],
    ['not there and not said', standing(null, {}), null, 'kept'],
  ] as const)('%s', (_title, before, given, kind) => {
    expect(aliasStep(before, 'a', given).kind).toBe(kind);
  });

  it('goes on as the latest of the others has it when nobody has what is in force any more', () => {
    const step = aliasStep(standing(THREE, { c: TWO, b: ONE, a: THREE }), 'a', null);
    expect(step).toEqual({ kind: 'changed', name: 'gpu', definition: TWO });
  });

  it('does not take the order of keys for a difference', () => {
    const turned = { ...ONE, specs: [Object.fromEntries(Object.entries(ONE.specs[0] ?? {}).toReversed())] };
    expect(aliasStep(standing(ONE, { b: ONE }), 'a', turned as unknown as AliasDefinition).kind).toBe('kept');
  });

  it('names both origins, the difference and the way out', () => {
    const specs = aliasStep(standing(TWO, { b: TWO, c: ONE }), 'a', THREE);
    expect(specs).toMatchObject({
      problem:
        'alias gpu: the files of a give it other specs than those of b (read 2026-01-02 03:04 UTC); make the files ' +
        'agree, or rename one of the two. If the other is gone for good: `berth alias forget-origin b`',
    });
    const policy = aliasStep(standing(TWO, { b: TWO }), 'a', gpu('0002', { numaPolicy: 'required' }));
    expect(policy).toMatchObject({
      problem: expect.stringMatching(/give it numa_policy required, and those of b \(.*\) legacy; make/),
    });
  });

  it('leaves an alias of the REST face alone, and refuses one of its name', () => {
    const rest: AliasStanding = { name: 'gpu', inForce: { source: 'rest', definition: ONE }, statements: [] };
    expect(aliasStep(rest, 'a', null).kind).toBe('kept');
    expect(aliasStep(rest, 'a', ONE)).toMatchObject({
      kind: 'refused',
      problem: expect.stringContaining('take it out of the files, or DELETE /v1/aliases/gpu'),
    });
  });
});
