import { guestCellsFit } from '../fit-host.js';
import type { Filter } from './filter.js';

/**
 * The guest's NUMA cells fit distinct NUMA nodes of the host. Whether its devices are near enough as well is decided
 * together with the choice of devices (`fitHost`) and reported under this name.
 */
export const numaTopologyFilter: Filter = {
  name: 'NUMATopologyFilter',
  passes: (host, { request }) => request.guestCells === null || guestCellsFit(host, request.guestCells),
  explain: (host, { request }) => [
    {
      code: 'numa.no_cell_fits',
      message: `the guest has ${request.guestCells?.length ?? 0} NUMA node(s); no choice of the host's ${host.numaCells.length} is large enough`,
      details: { guest_cells: request.guestCells, numa_cells: host.numaCells },
    },
  ],
};
