import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { anAggregate } from '../../../test/support/filter-cases.js';
import { anyHost, anyPolicy, anyRequest, contextOf } from '../../../test/support/host-arbitraries.js';
import { aHost, aRequest, POLICY } from '../../../test/support/snapshots.js';
import { FILTER_NAMES, filterChain, FILTERS } from './filters.js';

const hosts = fc.tuple(anyHost('h1'), anyHost('h2'));
const excluded = fc.uniqueArray(
  fc.constantFrom({ hostId: 'id-h1', reason: 'EBUSY' }, { hostId: 'id-h3', reason: 'EBUSY' }),
  { maxLength: 1 },
);

describe('every filter', () => {
  it.each(FILTERS)('$name explains a no, and only a no', (filter) => {
    fc.assert(
      fc.property(hosts, anyRequest, anyPolicy, excluded, (fleet, request, policy, tried) => {
        const context = { ...contextOf(fleet, request, policy), excluded: tried };
        for (const host of fleet) {
          const reasons = filter.explain(host, context);
          expect(reasons.length > 0).toBe(!filter.passes(host, context));
          for (const { code, message } of reasons) {
            expect(code).toMatch(/^[a-z_]+\.[a-z_]+$/);
            expect(message).not.toMatch(/vm-s\d|h1|h2|undefined|null|NaN/);
          }
        }
      }),
      { numRuns: 150 },
    );
  });

  it('says yes and no on what is generated, but for the one that never says no', () => {
    const answers = new Map(FILTER_NAMES.map((name) => [name, new Set<boolean>()]));
    fc.assert(
      fc.property(hosts, anyRequest, anyPolicy, excluded, (fleet, request, policy, tried) => {
        const context = { ...contextOf(fleet, request, policy), excluded: tried };
        for (const filter of FILTERS) answers.get(filter.name)?.add(filter.passes(fleet[0], context));
      }),
      { numRuns: 1000, seed: 1 },
    );
    expect([...answers].filter(([, said]) => said.size < 2).map(([name]) => name)).toEqual(['AllHostsFilter']);
  });

  it('is one of those that Nova has, or was, or one of ours', () => {
    expect(new Set(FILTER_NAMES).size).toBe(FILTER_NAMES.length);
    expect(FILTER_NAMES.filter((name) => !NOVAS.includes(name))).toEqual(['RequestedHostFilter', 'TraitsFilter']);
  });
});

/** All that come with Nova up to 26.2 or came with it earlier, and judge what Berth has. */
const NOVAS = [
  ...[
    'RetryFilter',
    'ComputeFilter',
    'AvailabilityZoneFilter',
    'CoreFilter',
    'RamFilter',
    'DiskFilter',
    'AllHostsFilter',
  ],
  ...['ComputeCapabilitiesFilter', 'ImagePropertiesFilter', 'DifferentHostFilter', 'SameHostFilter'],
  ...['ServerGroupAntiAffinityFilter', 'ServerGroupAffinityFilter', 'NUMATopologyFilter', 'PciPassthroughFilter'],
  ...['AggregateInstanceExtraSpecsFilter', 'AggregateMultiTenancyIsolation', 'AggregateImagePropertiesIsolation'],
  ...['AggregateCoreFilter', 'AggregateRamFilter', 'AggregateDiskFilter', 'AggregateNumInstancesFilter'],
  ...['AggregateIoOpsFilter', 'NumInstancesFilter', 'IoOpsFilter'],
];

describe('the chain', () => {
  it.each([
    [[], ['RetryFilter', 'RequestedHostFilter', 'TraitsFilter', 'PciPassthroughFilter']],
    [
      ['RamFilter', 'CoreFilter'],
      ['RetryFilter', 'RequestedHostFilter', 'RamFilter', 'CoreFilter', 'TraitsFilter', 'PciPassthroughFilter'],
    ],
    [
      ['PciPassthroughFilter', 'TraitsFilter', 'RetryFilter'],
      ['RequestedHostFilter', 'PciPassthroughFilter', 'TraitsFilter', 'RetryFilter'],
    ],
    [
      ['AllHostsFilter'],
      ['RetryFilter', 'RequestedHostFilter', 'AllHostsFilter', 'TraitsFilter', 'PciPassthroughFilter'],
    ],
  ])('of %j is %j', (names, chain) => {
    expect(filterChain(names).map(({ name }) => name)).toEqual(chain);
  });

  it('lets the same hosts pass in every order', () => {
    const orders = fc.shuffledSubarray([...FILTER_NAMES], { minLength: FILTER_NAMES.length });
    fc.assert(
      fc.property(hosts, anyRequest, anyPolicy, orders, (fleet, request, policy, names) => {
        const context = contextOf(fleet, request, policy);
        const passing = (order: readonly string[]): string[] =>
          fleet
            .filter((host) => filterChain(order).every((filter) => filter.passes(host, context)))
            .map(({ id }) => id);
        expect(passing(names)).toEqual(passing(FILTER_NAMES));
      }),
      { numRuns: 150 },
    );
  });
});

describe('what only administrators read', () => {
  it.each([
    ['ComputeFilter', { enabled: false, disabledReason: 'fan of rack 7' }, {}, 'the host is disabled: fan of rack 7'],
    [
      'AggregateInstanceExtraSpecsFilter',
      { aggregates: [anAggregate({ ssd: 'rack-7' })] },
      { extraSpecs: { ssd: 'x' } },
      'extra spec ssd: "x" wanted, the aggregates of the host say "rack-7"',
    ],
    [
      'AggregateImagePropertiesIsolation',
      { aggregates: [anAggregate({ os: 'a,b,c,d,e,f,g' })] },
      { imageProperties: { os: 'x' } },
      'image property os is "x", the aggregates of the host take "a", "b", "c", "d", "e" and 2 more',
    ],
  ])('%s', (name, more, wish, message) => {
    const host = aHost('h', [], more);
    const context = contextOf([host], aRequest([], { host: wish }), POLICY);
    const reasons = FILTERS.find((one) => one.name === name)?.explain(host, context) ?? [];
    expect(reasons.flatMap(({ names = [] }) => names)).toMatchObject([{ host: 'h', message }]);
    expect(reasons.map((reason) => reason.message)).not.toContainEqual(expect.stringMatching(/rack|"a"/));
  });
});
