/** What a machine of the kernel tests is made of, as arguments of QEMU. */
export interface Topology {
  readonly name: string;
  /** Of the PCI devices, in the order in which they are made. */
  readonly arguments: readonly string[];
  /** Modules that are loaded before the machine is ready, with commas between. */
  readonly modules: string;
  /** Left out: 1024. */
  readonly memoryMib?: number;
  /** Its disk has QEMU on it, and what a guest within it starts from: below {@link GUEST_FILES}. */
  readonly startsGuests?: boolean;
  /** Appended to the kernel's command line. */
  readonly kernelArguments?: string;
}

/** In a machine that starts guests: `vmlinux` and `initramfs`. */
export const GUEST_FILES = '/guest';

/** Of the NIC that carries the agent's connection to the broker. */
export const SERVICE_MAC = '52:54:00:00:00:01';

export interface Slot {
  /** The id of a bus: `pcie.0`, a root, a port or a bridge. */
  readonly bus: string;
  /** Slot, and function after a dot; by default the first. */
  readonly addr?: string;
}

/** QEMU's words for the parts that topologies are put together from. */
export const parts = {
  iommu: (): string[] => device('intel-iommu', { intremap: 'on', 'caching-mode': 'on' }),

  /** A root complex that belongs to a NUMA node. */
  root: (id: string, node: number, busNumber: number, addr: string): string[] =>
    device('pxb-pcie', { id, bus: 'pcie.0', addr, bus_nr: busNumber, numa_node: node }),

  /** A root port. `chassis` is its number, another one for each. */
  port: (id: string, chassis: number, slot: Slot, more: Readonly<Record<string, string>> = {}): string[] =>
    device('pcie-root-port', { id, chassis, slot: chassis, ...slot, ...more }),

  /** A switch below a port; its downstream ports are `<id>.0` and so on. */
  pcieSwitch: (id: string, bus: string, ports: number, chassis: number): string[] => [
    ...device('x3130-upstream', { id, bus }),
    ...Array.from({ length: ports }, (_, index) =>
      device('xio3130-downstream', { id: `${id}.${index}`, bus: id, chassis: chassis + index, slot: index }),
    ).flat(),
  ],

  /** A NIC with nothing at the other end of its cable. */
  nic: (model: 'e1000' | 'e1000e', mac: string, slot: Slot, more: Readonly<Record<string, string>> = {}): string[] =>
    device(model, { mac, romfile: '', ...slot, ...more }),

  /** The NIC with the guest's only address: 10.0.2.2 is this machine's 127.0.0.1. */
  serviceNic: (slot: Slot): string[] => [
    ...['-netdev', 'user,id=service'],
    ...device('virtio-net-pci', { id: 'service', netdev: 'service', mac: SERVICE_MAC, romfile: '', ...slot }),
  ],

  /** The disk that the system runs from. */
  rootDisk: (slot: Slot): string[] => device('nvme', { id: 'root-disk', serial: 'root-disk', drive: 'root', ...slot }),

  /** An NVMe controller without a disk. The sums are what QEMU asks for. */
  nvme: (id: string, slot: Slot, vfs = 0): string[] => [
    ...(vfs === 0 ? [] : device('nvme-subsys', { id: `${id}-subsys`, nqn: id })),
    ...device('nvme', { id, serial: id, ...slot, ...(vfs === 0 ? {} : vfQueues(id, vfs)) }),
  ],

  device: (model: string, properties: Readonly<Record<string, string>>): string[] => device(model, properties),
};

function vfQueues(id: string, vfs: number): Record<string, string | number> {
  return {
    subsys: `${id}-subsys`,
    sriov_max_vfs: vfs,
    sriov_vq_flexible: 2 * vfs,
    sriov_vi_flexible: vfs,
    max_ioqpairs: 2 * vfs + 2,
    msix_qsize: 2 * vfs + 1,
  };
}

function device(model: string, properties: Readonly<Record<string, string | number>>): string[] {
  return ['-device', [model, ...Object.entries(properties).map(([key, value]) => `${key}=${value}`)].join(',')];
}
