import { describe, expect, it } from 'vitest';
import { PLAIN_ATTRIBUTES } from '../../../test/support/snapshots.js';
import { aliasMatches, deviceSatisfies, misfitOf, type AliasCandidate, type Misfit } from './alias-match.js';
import { ANY_DEVICE, type AliasSpec } from './alias.js';

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
  numaNode: null,
  tags: {},
  resourceClass: null,
  traits: ['CUSTOM_BIG', 'CUSTOM_BLUE'],
  attributes: PLAIN_ATTRIBUTES,
};

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
    ['a forbidden trait', { forbiddenTraits: ['CUSTOM_BIG'] }, {}, false],
    ['a forbidden trait that is not there', { forbiddenTraits: ['CUSTOM_RED'] }, {}, true],
    ['one of several traits', { anyTraits: [['CUSTOM_RED', 'CUSTOM_BIG'], ['CUSTOM_BLUE']] }, {}, true],
    ['none of several traits', { anyTraits: [['CUSTOM_BIG'], ['CUSTOM_RED', 'CUSTOM_GREEN']] }, {}, false],
    ['a tag', { tags: { rack: 'r1' } }, { tags: { rack: 'r1', row: '7' } }, true],
    ['a tag with another value', { tags: { rack: 'r1' } }, { tags: { rack: 'r2' } }, false],
    ['a tag that is not there', { tags: { rack: 'r1' } }, {}, false],
    ['a tag with null', { tags: { physical_network: null } }, { tags: { physical_network: null } }, true],
    ['null for a tag that is not there', { tags: { physical_network: null } }, {}, false],
    ['an exclusive tag', { withoutTags: ['physical_network'] }, { tags: { physical_network: null } }, false],
    ['no exclusive tag', { withoutTags: ['physical_network'] }, { tags: { rack: 'r1' } }, true],
    ['a selector', { selector: 'device.total_vfs == 0' }, {}, true],
    ['a selector that says no', { selector: 'device.total_vfs > 0' }, {}, false],
    ['a selector that cannot be judged', { selector: 'device.link_width > 0' }, {}, false],
    ['not migratable, tagged so', { liveMigratable: false }, { tags: { live_migratable: 'false' } }, true],
  ])('%s', (_, spec, device, expected) => {
    expect(deviceSatisfies({ ...SPEC, ...spec }, { ...DEVICE, ...device })).toBe(expected);
  });

  it('any spec will do', () => {
    expect(aliasMatches([{ ...SPEC, productId: '0000' }, SPEC], DEVICE)).toBe(true);
    expect(aliasMatches([{ ...SPEC, productId: '0000' }], DEVICE)).toBe(false);
    expect(aliasMatches([], DEVICE)).toBe(false);
  });

  it.each<[Partial<AliasSpec>, Partial<AliasCandidate>, Misfit | null]>([
    [{}, {}, null],
    [{ withoutTags: ['rack'] }, { tags: { rack: 'r1' } }, null],
    [{ tags: { rack: 'r1' } }, { tags: { rack: 'r2' } }, misfit('tag rack = r1', 'tag rack is r2')],
    [{ tags: { rack: null } }, {}, misfit('tag rack = null', 'tag rack is not there')],
    [{ liveMigratable: true }, {}, misfit('live_migratable = true', 'it says nothing')],
    [{ traits: ['CUSTOM_BIG', 'CUSTOM_RED'] }, {}, misfit('trait CUSTOM_RED', 'it has CUSTOM_BIG CUSTOM_BLUE')],
    [{ traits: ['CUSTOM_RED'] }, { traits: [] }, misfit('trait CUSTOM_RED', 'it has none')],
    [{ forbiddenTraits: ['CUSTOM_BLUE'] }, {}, misfit('trait !CUSTOM_BLUE', 'it has CUSTOM_BIG CUSTOM_BLUE')],
    [{ anyTraits: [['A', 'B']] }, { traits: ['C'] }, misfit('trait {A|B}', 'it has C')],
    [
      {},
      { tags: { remote_managed: 'true' } },
      misfit('remote_managed', 'it is for ports that ask for remote-managed devices'),
    ],
    [
      { selector: 'true && device.total_vfs > 0' },
      {},
      { condition: 'selector: device.total_vfs > 0', verdict: 'is false for', because: 'total_vfs is 0' },
    ],
    [
      { selector: 'device.link_width > 0' },
      {},
      {
        condition: 'selector: device.link_width > 0',
        verdict: 'cannot be judged for',
        because: 'link_width is not known',
      },
    ],
  ])('the condition that %j does not meet: %#', (spec, device, expected) => {
    expect(misfitOf({ ...SPEC, ...spec }, { ...DEVICE, ...device })).toEqual(expected);
  });
});

function misfit(condition: string, because: string): Misfit {
  return { condition, verdict: 'is not met by', because };
}
