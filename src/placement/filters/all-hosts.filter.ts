import type { Filter } from './filter.js';

/** Every host. */
export const allHostsFilter: Filter = { name: 'AllHostsFilter', passes: () => true, explain: () => [] };
