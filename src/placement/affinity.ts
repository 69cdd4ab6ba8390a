import type { NumaPolicy } from '../pci/alias/numa-policy.js';
import type { NumaCell } from './snapshot.js';

/**
 * How well a device's NUMA node fits the guest's host cells under a policy: 0 is local, more is farther, null is not
 * allowed. Source of the four policies: Nova, `nova/pci/stats.py`; mended in that devices are judged one by one (Nova
 * falls back for the whole request) and that an unknown node ranks between local and remote.
 *
 * @param cells host cells of the guest; null when nothing asks for affinity: then every device is as good
 */
export function affinityRank(
  node: number | null,
  policy: NumaPolicy,
  cells: readonly number[] | null,
  hostCells: readonly NumaCell[],
): number | null {
  if (cells === null) return 0;
  if (node !== null && cells.includes(node)) return 0;
  switch (policy) {
    case 'required':
      return null;
    case 'socket':
      return node !== null && sharesSocket(node, cells, hostCells) ? 1 : null;
    case 'legacy':
      return node === null ? 1 : null;
    case 'preferred':
      return node === null ? 1 : 2;
  }
}

/** Unknown sockets on any cell of the host make `socket` mean `required`, as in Nova. */
function sharesSocket(node: number, cells: readonly number[], hostCells: readonly NumaCell[]): boolean {
  if (hostCells.some((cell) => cell.socket === null)) return false;
  const sockets = new Set(hostCells.filter((cell) => cells.includes(cell.id)).map((cell) => cell.socket));
  const own = hostCells.find((cell) => cell.id === node);
  return own !== undefined && sockets.has(own.socket);
}
