import type { Reason } from '../decision.js';
import { guestCellPlacements, guestCellsOf, type HostCell } from '../guest-cells.js';
import { freeCells } from '../host-cells.js';
import type { GuestCell } from '../request.js';
import type { HostSnapshot } from '../snapshot.js';
import type { Filter, FilterContext } from './filter.js';

/**
 * The guest's NUMA cells fit distinct NUMA nodes of the host, as far as other servers leave them free. Whether its devices are
 * near enough as well is decided together with the choice of devices (`fitHost`) and reported under this name.
 */
export const numaTopologyFilter: Filter = {
  name: 'NUMATopologyFilter',
  passes: (host, context) => {
    const guest = guestCellsOf(context.request);
    return guest === null || fits(freeOn(host, context), guest);
  },
  explain: (host, context) => {
    const guest = guestCellsOf(context.request);
    const free = freeOn(host, context);
    return guest === null || fits(free, guest) ? [] : [noCellFits(host, free, guest)];
  },
};

function freeOn(host: HostSnapshot, { request, policy }: FilterContext): readonly HostCell[] {
  return freeCells(host, request, policy);
}

function fits(free: readonly HostCell[], guest: readonly GuestCell[]): boolean {
  return guestCellPlacements(free, guest).next().done !== true;
}

function noCellFits({ numaCells }: HostSnapshot, free: readonly HostCell[], guest: readonly GuestCell[]): Reason {
  const wanted = listed(guest.map(({ vcpus, memoryMb }) => `${vcpus} CPUs and ${memoryMb} MiB`));
  const found = listed(
    free.map(
      ({ id, cpus, memoryMb }) => `node ${id} has ${Math.max(0, cpus)} CPUs and ${Math.max(0, memoryMb)} MiB left`,
    ),
  );
  const told =
    free.length === 0 ? 'the host reports none' : `no choice of the host's ${free.length} is large enough: ${found}`;
  return {
    code: 'numa.no_cell_fits',
    message: `the guest has ${guest.length} NUMA node(s) of ${wanted}; ${told}`,
    details: { guest_cells: guest, numa_cells: numaCells, free_cells: free },
  };
}

const LISTED_MAX = 4;

function listed(items: readonly string[]): string {
  const more = items.length - LISTED_MAX;
  const shown = items.slice(0, LISTED_MAX).join(', ');
  return more > 0 ? `${shown} and ${more} more` : shown;
}
