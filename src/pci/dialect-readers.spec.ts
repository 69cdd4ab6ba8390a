import { describe, expect, it } from 'vitest';
import { BerthError } from '../errors.js';
import { ALIAS_ENTRIES_MAX } from './alias/alias.js';
import { parseAliasesAs, parseAliasRequestAs, resolveNumaPolicyAs } from './dialect-readers.js';

const GPU = { name: 'gpu', vendor_id: '10de', product_id: '1bb0', device_type: 'type-PCI' };
const line = (value: unknown, where = 'nova.conf:1') => ({ value, where });

function problems(act: () => unknown): unknown {
  try {
    return act();
  } catch (error) {
    expect(error).toBeInstanceOf(BerthError);
    const { code, details, message } = error as BerthError;
    return { code, problems: details['problems'] ?? message };
  }
}

describe('aliases in a dialect', () => {
  it('are what each dialect makes of them', () => {
    const untyped = { name: 'any', vendor_id: '10DE' };
    expect(parseAliasesAs('nova', [line(untyped)])).toMatchObject([{ name: 'any', specs: [{ vendorId: '10DE' }] }]);
    expect(parseAliasesAs('strict', [line(GPU)])).toMatchObject([{ name: 'gpu', specs: [{ vendorId: '10de' }] }]);
    expect(problems(() => parseAliasesAs('strict', [line(untyped)]))).toMatchObject({ code: 'alias.invalid' });
    expect(parseAliasesAs('strict', [line(untyped)], { requireDeviceType: false })).toHaveLength(1);
  });

  it('have all their problems told, each with its place', () => {
    const entries = [line({ ...GPU, vendor_id: 'x' }), line(GPU, 'nova.conf:2'), line('gpu', 'nova.conf:3')];
    expect(problems(() => parseAliasesAs('nova', entries))).toEqual({
      code: 'alias.invalid',
      problems: [
        'nova.conf:1: alias: vendor_id: "x" is not allowed (PciInvalidAlias)',
        'nova.conf:3: alias: an alias has to be one object, not a text (PciInvalidAlias)',
      ],
    });
  });

  it('have contradictions told only when each line is fine', () => {
    const other = { ...GPU, device_type: 'type-VF' };
    expect(problems(() => parseAliasesAs('nova', [line(GPU), line(other)]))).toEqual({
      code: 'alias.invalid',
      problems: ['alias: alias gpu: each line of a repeated name has to say the same device_type (PciInvalidAlias)'],
    });
    const bad = problems(() => parseAliasesAs('nova', [line(GPU), line(other), line(1)])) as { problems: string[] };
    expect(bad.problems).toHaveLength(1);
  });

  it('are limited in number', () => {
    const many = (count: number) => Array.from({ length: count }, (_, at) => line({ ...GPU, name: `a${at}` }));
    expect(parseAliasesAs('nova', many(ALIAS_ENTRIES_MAX))).toHaveLength(ALIAS_ENTRIES_MAX);
    expect(problems(() => parseAliasesAs('nova', many(ALIAS_ENTRIES_MAX + 1)))).toEqual({
      code: 'alias.invalid',
      problems: ['alias: 10001 entries; at most 10000'],
    });
  });
});

describe('requests in a dialect', () => {
  it.each([
    ['gpu:2,nic:+1', [['gpu', 2], ['nic', 1]]], // prettier-ignore
    ['gpu:0', [['gpu', 0]]],
    ['gpu:-7', [['gpu', 0]]],
    ['gpu:256', [['gpu', 256]]],
  ])('nova reads %j', (text, requests) => {
    expect(parseAliasRequestAs('nova', text).map(({ alias, count }) => [alias, count])).toEqual(requests);
  });

  it('strict reads its own', () => {
    expect(parseAliasRequestAs('strict', 'gpu:2')).toEqual([{ alias: 'gpu', count: 2 }]);
    expect(parseAliasRequestAs('strict', 'gpu:1..4')).toEqual([{ alias: 'gpu', count: 1, countMax: 4 }]);
    expect(problems(() => parseAliasRequestAs('strict', 'gpu:+2'))).toMatchObject({ code: 'request.invalid' });
  });

  it.each([
    ['gpu:257', 'pci_passthrough:alias: "gpu": the count must be 256 or less'],
    [Array.from({ length: 33 }, () => 'gpu:1').join(','), 'pci_passthrough:alias: 33 items; at most 32'],
    [' '.repeat(16_385), 'pci_passthrough:alias: the text has 16385 characters; at most 16384'],
    ['gpu', 'pci_passthrough:alias: "gpu": write name:count, like "gpu:1"'],
    ['gpu:1..4', 'pci_passthrough:alias: "gpu:1..4": the count has to be a whole number'],
  ])('nova has limits: %#', (text, message) => {
    expect(problems(() => parseAliasRequestAs('nova', text))).toEqual({ code: 'request.invalid', problems: message });
  });

  it('as much as is allowed is taken', () => {
    expect(parseAliasRequestAs('nova', Array.from({ length: 32 }, () => 'gpu:1').join(','))).toHaveLength(32);
    expect(parseAliasRequestAs('nova', `${' '.repeat(16_379)}gpu:1`)).toHaveLength(1);
  });
});

describe('policies in a dialect', () => {
  it.each([
    ['strict', null, null, null, 'legacy'],
    ['nova', null, null, null, 'legacy'],
    ['strict', null, null, 'socket', 'socket'],
    ['nova', null, null, 'socket', 'socket'],
    ['strict', 'required', null, 'socket', 'required'],
    ['nova', null, 'preferred', 'socket', 'preferred'],
    ['strict', null, '', 'socket', 'socket'],
  ] as const)('%s: flavor %j, image %j, alias %j make %j', (dialect, flavor, image, alias, policy) => {
    expect(resolveNumaPolicyAs(dialect, { flavor, image, alias })).toBe(policy);
  });

  it('tell another fault first when there are two', () => {
    const two = { flavor: 'near', image: 'legacy', alias: null };
    expect(problems(() => resolveNumaPolicyAs('strict', two))).toMatchObject({ code: 'numa_policy.invalid' });
    expect(problems(() => resolveNumaPolicyAs('nova', two))).toMatchObject({ code: 'numa_policy.conflict' });
  });
});
