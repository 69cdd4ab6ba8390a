import { ratiosOf } from './allocation-ratios.js';
import { guestCellsOf, type HostCell } from './guest-cells.js';
import type { GuestCell, PlacementRequest } from './request.js';
import type { HostedServer, HostSnapshot, NumaCell, PlacementPolicy } from './snapshot.js';

/** What servers with NUMA cells have of one host cell. */
interface Usage {
  pinned: number;
  shared: number;
  memoryMb: number;
}

/**
 * What each NUMA cell of a host has for one cell of a guest: how many CPUs and how much memory one guest cell there can have.
 *
 * - CPUs that are a server's own are nobody else's, and as many are left as the shared vCPUs need by `cpu_allocation_ratio`.
 * - Shared vCPUs: what the ratio leaves, but of one guest cell not more than there are CPUs to share.
 * - Memory: what the ratio leaves, of one guest cell not more than the host cell has; a server with CPUs of its own has no part
 *   in overcommitment.
 *
 * Servers without NUMA cells roam over all of them, and count on none. Source: Nova, `nova/virt/hardware.py`; mended in that a
 * pinned CPU is not shared as well.
 */
export function freeCells(
  host: HostSnapshot,
  request: Pick<PlacementRequest, 'cpuPolicy'>,
  policy: PlacementPolicy,
): readonly HostCell[] {
  const usage = usageOf(host);
  const ratios = ratiosOf(host, policy);
  return host.numaCells.map((cell) => {
    const used = usage.get(cell.id) ?? NOTHING;
    return request.cpuPolicy === 'dedicated'
      ? { id: cell.id, cpus: ownCpus(cell, used, ratios.cpu), memoryMb: cell.memoryMb - used.memoryMb }
      : { id: cell.id, cpus: sharedCpus(cell, used, ratios.cpu), memoryMb: sharedMemory(cell, used, ratios.ram) };
  });
}

const NOTHING: Usage = { pinned: 0, shared: 0, memoryMb: 0 };

function ownCpus({ cpus }: NumaCell, { pinned, shared }: Usage, ratio: number): number {
  return cpus - pinned - Math.ceil(shared / ratio);
}

function sharedCpus({ cpus }: NumaCell, { pinned, shared }: Usage, ratio: number): number {
  const unpinned = cpus - pinned;
  return Math.min(unpinned, Math.floor(unpinned * ratio) - shared);
}

function sharedMemory({ memoryMb: total }: NumaCell, { memoryMb: used }: Usage, ratio: number): number {
  return Math.min(total, Math.floor(total * ratio) - used);
}

const usages = new WeakMap<HostSnapshot, ReadonlyMap<number, Readonly<Usage>>>();

/** By cell; computed once for each snapshot. */
function usageOf(host: HostSnapshot): ReadonlyMap<number, Readonly<Usage>> {
  const known = usages.get(host);
  if (known) return known;
  const usage = new Map(host.numaCells.map(({ id }) => [id, { ...NOTHING }]));
  for (const server of host.servers) {
    guestCellsOf(server)?.forEach((cell, index) => addCell(usage, server, index, cell));
  }
  usages.set(host, usage);
  return usage;
}

/** A cell of which nobody knows where it is counts everywhere: rather a server too few than two on one CPU. */
function addCell(
  usage: ReadonlyMap<number, Usage>,
  { numaCells, cpuPolicy }: HostedServer,
  index: number,
  { vcpus, memoryMb }: GuestCell,
): void {
  const where = numaCells?.[index];
  for (const [id, used] of usage) {
    if (where !== undefined && where !== id) continue;
    used[cpuPolicy === 'dedicated' ? 'pinned' : 'shared'] += vcpus;
    used.memoryMb += memoryMb;
  }
}
