import type { HostFinding } from './finding.js';
import { textAt, type HostRoots } from './host-roots.js';

const MEMINFO_BYTES_MAX = 64 * 1024;

/** All memory of a guest with a device is pinned: these limits are met then, not before. Warnings only. */
export function memoryFindings(roots: HostRoots): HostFinding[] {
  return [...hugePages(roots), ...lockedMemory(roots)];
}

function hugePages({ procRoot }: HostRoots): HostFinding[] {
  const meminfo = textAt(procRoot, 'meminfo', MEMINFO_BYTES_MAX) ?? '';
  // Hugetlb counts pages of all sizes; older kernels tell only those of the default size.
  const amount = /^Hugetlb:\s+(\d{1,15})/m.exec(meminfo) ?? /^HugePages_Total:\s+(\d{1,15})/m.exec(meminfo);
  if (!amount) return [];
  const none = Number(amount[1]) === 0;
  return [
    {
      level: none ? 'warning' : 'ok',
      code: none ? 'memory.no_hugepages' : 'memory.hugepages',
      subject: null,
      read: `${procRoot}/meminfo: ${amount[0].replace(/\s+/, ' ')}`,
      why: 'guests with devices start faster and need fewer IOMMU entries when their memory is in huge pages',
      remedy: none
        ? 'kernel arguments hugepagesz=1G hugepages=N, or vm.nr_hugepages in /etc/sysctl.d; leave room for the host'
        : null,
    },
  ];
}

function lockedMemory({ procRoot }: HostRoots): HostFinding[] {
  const soft = /^Max locked memory\s+(\S+)/m.exec(textAt(procRoot, 'self/limits') ?? '')?.[1];
  if (soft === undefined) return [];
  const enough = soft === 'unlimited';
  return [
    {
      level: enough ? 'ok' : 'warning',
      code: enough ? 'memory.lockable' : 'memory.lock_limit',
      subject: null,
      read: `${procRoot}/self/limits: Max locked memory ${soft}`,
      why: "a program that starts guests with devices has to lock all of their memory; this is the limit of this command's own session",
      remedy: enough
        ? null
        : 'LimitMEMLOCK=infinity in the unit of what starts the guests (libvirt sees to it by itself)',
    },
  ];
}
