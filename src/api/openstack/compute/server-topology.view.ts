import type { GuestCell } from '../../../placement/request.js';

/**
 * The NUMA nodes of a guest. vCPUs are not bound to single CPUs of the host.
 *
 * @param hostCells on which node of the host each is; null: not placed
 * @param isAdmin others learn nothing of the host
 */
export function topologyView(
  cells: readonly GuestCell[] | null,
  hostCells: readonly number[] | null,
  isAdmin: boolean,
): object {
  let next = 0;
  const nodes = (cells ?? []).map(({ vcpus, memoryMb }, at) => {
    const vcpuSet = Array.from({ length: vcpus }, () => next++);
    return {
      ...{ memory_mb: memoryMb, vcpu_set: vcpuSet, siblings: [] },
      ...(isAdmin ? { host_node: hostCells?.[at] ?? null, cpu_pinning: {} } : {}),
    };
  });
  return { nodes, pagesize_kb: null };
}
