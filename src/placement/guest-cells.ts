import type { GuestCell, PlacementRequest } from './request.js';
import type { NumaCell } from './snapshot.js';

/** A host cell as the search needs it. */
export type HostCell = Pick<NumaCell, 'id' | 'cpus' | 'memoryMb'>;

/**
 * The NUMA cells that a server has to have: its own, or, for CPUs of its own (`dedicated`), one of all that it asks for.
 * null: it may roam over the host. Source: Nova, `numa_get_constraints` of `nova/virt/hardware.py`.
 */
export function guestCellsOf({
  guestCells,
  cpuPolicy,
  vcpus,
  memoryMb,
}: Pick<PlacementRequest, 'guestCells' | 'cpuPolicy' | 'vcpus' | 'memoryMb'>): readonly GuestCell[] | null {
  return guestCells ?? (cpuPolicy === 'dedicated' ? [{ vcpus, memoryMb }] : null);
}

/**
 * Every way to put the guest's cells on distinct host cells that hold them, in the order of the host cells. A branch is
 * entered only if the rest of the guest's cells can still be placed, so the next way is never far, whatever was asked for.
 */
export function* guestCellPlacements(
  hostCells: readonly HostCell[],
  guestCells: readonly GuestCell[],
): Generator<readonly number[]> {
  yield* extend([], hostCells, guestCells);
}

function* extend(
  chosen: readonly HostCell[],
  hostCells: readonly HostCell[],
  guestCells: readonly GuestCell[],
): Generator<readonly number[]> {
  const guest = guestCells[chosen.length];
  if (!guest) return yield chosen.map(({ id }) => id);
  const free = hostCells.filter((cell) => !chosen.includes(cell));
  for (const cell of free) {
    if (!holds(cell, guest)) continue;
    const rest = free.filter((other) => other !== cell);
    if (!canPlace(rest, guestCells.slice(chosen.length + 1))) continue;
    yield* extend([...chosen, cell], hostCells, guestCells);
  }
}

function holds(cell: HostCell, guest: GuestCell): boolean {
  return cell.cpus >= guest.vcpus && cell.memoryMb >= guest.memoryMb;
}

/** Whether each guest cell finds a host cell of its own: a bipartite matching by augmenting paths. */
function canPlace(hostCells: readonly HostCell[], guestCells: readonly GuestCell[]): boolean {
  const guestOn = new Map<HostCell, GuestCell>();
  const settle = (guest: GuestCell, tried: Set<HostCell>): boolean => {
    for (const cell of hostCells) {
      if (tried.has(cell) || !holds(cell, guest)) continue;
      tried.add(cell);
      const before = guestOn.get(cell);
      if (before && !settle(before, tried)) continue;
      guestOn.set(cell, guest);
      return true;
    }
    return false;
  };
  return guestCells.length <= hostCells.length && guestCells.every((guest) => settle(guest, new Set()));
}
