import * as everyFilter from './filter-list.js';
import type { Filter } from './filter.js';
import { pciPassthroughFilter } from './pci-passthrough.filter.js';
import { requestedHostFilter } from './requested-host.filter.js';
import { retryFilter } from './retry.filter.js';
import { traitsFilter } from './traits.filter.js';

/** In the order of the names that they are exported by, which is the same everywhere. */
export const FILTERS: readonly Filter[] = Object.values(everyFilter);

export const FILTER_NAMES: readonly string[] = FILTERS.map((filter) => filter.name);

/**
 * The chain in its order. The retry filter is always there, first: a server is never sent back to a host that just failed
 * it. `RequestedHostFilter` and `TraitsFilter` are always there: in Nova they are other parts' work, which cannot be left out. `PciPassthroughFilter` is always
 * there, last: Berth hands out devices, and cannot do so unchecked.
 *
 * @param names filter names as configured; unknown ones were refused by the settings
 */
export function filterChain(names: readonly string[]): readonly Filter[] {
  const chosen = names.flatMap((name) => FILTERS.find((filter) => filter.name === name) ?? []);
  const missing = (filter: Filter): Filter[] => (chosen.includes(filter) ? [] : [filter]);
  const first = [...missing(retryFilter), ...missing(requestedHostFilter)];
  return [...first, ...chosen, ...missing(traitsFilter), ...missing(pciPassthroughFilter)];
}
