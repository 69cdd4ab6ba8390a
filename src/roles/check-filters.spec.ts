import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { filterChain } from '../placement/filters/filters.js';
import { WEIGHERS } from '../placement/weighers/weighers.js';
import { loadSettings } from '../settings/load-settings.js';
import type { Settings } from '../settings/settings.js';
import { checkFilters } from './check-filters.js';

const FOLDER = mkdtempSync(join(tmpdir(), 'berth-filters-'));
afterAll(() => rmSync(FOLDER, { recursive: true }));

function load(name: string, text: string, env: NodeJS.ProcessEnv = {}): Settings {
  const file = join(FOLDER, name);
  writeFileSync(file, text);
  return loadSettings({ files: [file], env }).settings;
}

/** The option `scheduler-default-filters` of the OpenStack charms guide's PCI passthrough page. */
const CHARMS_LINE =
  'RetryFilter,AvailabilityZoneFilter,CoreFilter,RamFilter,DiskFilter,ComputeFilter,ComputeCapabilitiesFilter,' +
  'ImagePropertiesFilter,ServerGroupAntiAffinityFilter,ServerGroupAffinityFilter,DifferentHostFilter,SameHostFilter,' +
  'AggregateInstanceExtraSpecsFilter,PciPassthroughFilter,NUMATopologyFilter,AggregateMultiTenancyIsolation';

describe("the charm's line of filters", () => {
  it.each<[string, string, string, NodeJS.ProcessEnv]>([
    ['as the charm renders it', 'nova.conf', `[filter_scheduler]\nenabled_filters = ${CHARMS_LINE}\n`, {}],
    ['as older charms rendered it', 'old.conf', `[DEFAULT]\nscheduler_default_filters = ${CHARMS_LINE}\n`, {}],
    ['as a list in YAML', 'berth.yaml', `scheduler:\n  filters: [${CHARMS_LINE}]\n`, {}],
    ['in the environment', 'empty.yaml', '', { BERTH_SCHEDULER_FILTERS: CHARMS_LINE }],
  ])('works %s', (_what, name, text, env) => {
    const settings = load(name, text, env);
    expect(checkFilters(settings)).toEqual([]);
    const chain = filterChain(settings.scheduler.filters).map((filter) => filter.name);
    expect(chain).toEqual(['RequestedHostFilter', ...CHARMS_LINE.split(','), 'TraitsFilter']);
  });
});

describe('names of filters and weighers', () => {
  it('of the default settings are known', () => {
    const { settings } = loadSettings({ files: [], env: {} });
    expect(checkFilters(settings)).toEqual([]);
    expect(filterChain(settings.scheduler.filters)).toHaveLength(settings.scheduler.filters.length + 3);
  });

  it('that are wrong are named, with what was meant', () => {
    const settings = load('wrong.yaml', 'scheduler:\n  filters: [ComputeFilters, RamFilter, Warp]\n');
    expect(() => checkFilters(settings)).toThrow(
      'scheduler.filters: "ComputeFilters" is not a filter; did you mean ComputeFilter?\nscheduler.filters: "Warp" is not a filter',
    );
  });

  it('of a weigher that is not there are told', () => {
    const settings = load('weighers.yaml', 'scheduler:\n  weigher_multipliers: { MetricsWeigher: 2, RAMWeigher: 2 }\n');
    expect(checkFilters(settings)).toEqual([
      'scheduler.weigher_multipliers: MetricsWeigher has no effect: there is no such weigher',
    ]);
  });
});

describe("Nova's options", () => {
  it('of every weigher of Nova reach it', () => {
    const keys = WEIGHERS.flatMap(({ metadataKey }) => metadataKey ?? []).filter((key) => !OURS.includes(key));
    const settings = load(
      'm.conf',
      `[filter_scheduler]\n${keys.map((key, at) => `${key} = ${at + 2}.5`).join('\n')}\n`,
    );
    const expected = keys.map((key, at) => [WEIGHERS.find((one) => one.metadataKey === key)?.name, at + 2.5]);
    expect(settings.scheduler.weigherMultipliers).toEqual(Object.fromEntries(expected));
    expect(keys).toHaveLength(8);
  });

  it('of hosts that are equally good is taken over', () => {
    const withShuffle = (value: string): string => `[filter_scheduler]\nshuffle_best_same_weighed_hosts = ${value}\n`;
    expect(load('a.conf', withShuffle('False')).scheduler.tieBreak).toBe('name');
    expect(load('b.conf', withShuffle('true')).scheduler.tieBreak).toBe('process');
    expect(() => load('bad.conf', withShuffle('sometimes'))).toThrow(
      'has to be auto or process or name, not "sometimes"',
    );
  });

  it('of the load of a host are taken over', () => {
    const conf = '[filter_scheduler]\nmax_instances_per_host = 20\nmax_io_ops_per_host = 3\n';
    for (const text of [conf, conf.replace('filter_scheduler', 'DEFAULT')]) {
      expect(load('load.conf', text).scheduler).toMatchObject({ maxInstancesPerHost: 20, maxIoOpsPerHost: 3 });
    }
    expect(() => load('bad.conf', '[filter_scheduler]\nmax_io_ops_per_host = few\n')).toThrow(
      ':2: [filter_scheduler] max_io_ops_per_host: scheduler.max_io_ops_per_host: has to be a whole number',
    );
  });
});

/** Keys of weighers that Nova does not have. */
const OURS = WEIGHERS.filter(
  ({ name }) => !/^(?:RAM|CPU|Disk|PCI|IoOps|BuildFailure|ServerGroupSoft.*)Weigher$/.test(name),
).flatMap(({ metadataKey }) => metadataKey ?? []);
