import { guestCellPlacements, type HostCell } from '../guest-cells.js';
import type { GuestCell } from '../request.js';
import type { NovaPool } from './pools.js';

/**
 * Ordered choices of distinct host cells that hold the guest's cells, in the order in which Nova 26.2 tries them
 * (`numa_fit_instance_to_host`). When the host has more cells than the guest: those with most free devices
 * first if any are wanted, with fewest if not; of equal ones those with most memory.
 *
 * @param pools  of the host; null when it reports none
 */
export function* novaCellChoices(
  hostCells: readonly HostCell[],
  guestCells: readonly GuestCell[],
  pools: readonly Pick<NovaPool, 'key' | 'count'>[] | null,
  wantsDevices: boolean,
): Generator<readonly number[]> {
  const ordered = hostCells.length > guestCells.length ? sorted(hostCells, pools, wantsDevices) : hostCells;
  yield* guestCellPlacements(ordered, guestCells);
}

function sorted(
  cells: readonly HostCell[],
  pools: Parameters<typeof novaCellChoices>[2],
  wantsDevices: boolean,
): HostCell[] {
  const free = (cell: HostCell): number =>
    (pools ?? []).reduce((sum, { key, count }) => sum + (key['numa_node'] === cell.id ? count : 0), 0);
  const direction = wantsDevices ? -1 : 1;
  return [...cells].sort((a, b) => direction * (free(a) - free(b)) || b.memoryMb - a.memoryMb);
}
