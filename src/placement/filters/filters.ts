import { computeFilter } from './compute.filter.js';
import type { Filter } from './filter.js';
import { numaTopologyFilter } from './numa-topology.filter.js';
import { pciPassthroughFilter } from './pci-passthrough.filter.js';
import { coreFilter, diskFilter, ramFilter } from './resources.filters.js';
import { retryFilter } from './retry.filter.js';

/** Every filter there is; adding one is a file and a line here. */
const FILTERS: readonly Filter[] = [
  retryFilter,
  computeFilter,
  coreFilter,
  ramFilter,
  diskFilter,
  numaTopologyFilter,
  pciPassthroughFilter,
  { name: 'AllHostsFilter', passes: () => true, explain: () => [] },
];

export const FILTER_NAMES: readonly string[] = FILTERS.map((filter) => filter.name);

/**
 * Nova's filters for things that Berth does not have yet (zones, aggregates, images, groups, hints): accepted, so that a
 * configuration can be taken over as it is; they let every host pass.
 */
export const IDLE_FILTERS: readonly string[] = [
  'AvailabilityZoneFilter',
  'ComputeCapabilitiesFilter',
  'ImagePropertiesFilter',
  'ServerGroupAntiAffinityFilter',
  'ServerGroupAffinityFilter',
  'DifferentHostFilter',
  'SameHostFilter',
  'AggregateInstanceExtraSpecsFilter',
  'AggregateMultiTenancyIsolation',
];

/**
 * The chain in its order. The retry filter is always there, first: a server is never sent back to a host that just failed
 * it; `PciPassthroughFilter` is always there, last: Berth hands out devices, and cannot do so unchecked.
 *
 * @param names filter names as configured; unknown ones were refused by the settings
 */
export function filterChain(names: readonly string[]): readonly Filter[] {
  const chosen = names.flatMap((name) => FILTERS.find((filter) => filter.name === name) ?? []);
  const first = chosen.includes(retryFilter) ? [] : [retryFilter];
  const last = chosen.includes(pciPassthroughFilter) ? [] : [pciPassthroughFilter];
  return [...first, ...chosen, ...last];
}
