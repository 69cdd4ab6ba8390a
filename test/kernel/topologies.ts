import { parts, type Topology } from './topology.js';

const MODULES = 'virtio_pci,virtio_net,e1000,e1000e,nvme,vfio-pci,vfio_iommu_type1';

/**
 * A server of today: two NUMA nodes with a root complex each, ports that isolate, a slot with two functions, NVMe with VFs,
 * a switch, and an empty port to plug into.
 */
export const server: Topology = {
  name: 'server',
  modules: MODULES,
  arguments: [
    ...parts.iommu(),
    ...parts.serviceNic({ bus: 'pcie.0', addr: '0x2' }),
    ...parts.rootDisk({ bus: 'pcie.0', addr: '0x3' }),
    ...parts.port('empty', 1, { bus: 'pcie.0', addr: '0x5' }),
    ...parts.root('node0', 0, 0x20, '0x10'),
    ...parts.root('node1', 1, 0x60, '0x11'),
    ...parts.port('port0', 2, { bus: 'node0', addr: '0x0' }),
    ...parts.nic('e1000e', '52:54:00:00:10:01', { bus: 'port0' }),
    ...parts.port('port1', 3, { bus: 'node0', addr: '0x1' }),
    ...parts.nvme('nvme0', { bus: 'port1' }, 4),
    ...parts.port('port2', 4, { bus: 'node0', addr: '0x2' }),
    ...parts.nic('e1000e', '52:54:00:00:10:02', { bus: 'port2', addr: '0x0.0' }, { multifunction: 'on' }),
    ...parts.nic('e1000e', '52:54:00:00:10:03', { bus: 'port2', addr: '0x0.1' }, { multifunction: 'on' }),
    ...parts.port('port3', 5, { bus: 'node1', addr: '0x0' }),
    ...parts.nvme('nvme1', { bus: 'port3' }, 2),
    ...parts.port('port4', 6, { bus: 'node1', addr: '0x1' }),
    ...parts.pcieSwitch('switch', 'port4', 2, 20),
    ...parts.nic('e1000e', '52:54:00:00:20:01', { bus: 'switch.0' }),
    ...parts.nic('e1000e', '52:54:00:00:20:02', { bus: 'switch.1' }),
  ],
};

/** A host that starts guests itself: a NIC and an NVMe for them. */
export const hypervisor: Topology = {
  name: 'hypervisor',
  modules: MODULES,
  memoryMib: 1536,
  startsGuests: true,
  arguments: [
    ...parts.iommu(),
    ...parts.serviceNic({ bus: 'pcie.0', addr: '0x2' }),
    ...parts.rootDisk({ bus: 'pcie.0', addr: '0x3' }),
    ...parts.port('port0', 1, { bus: 'pcie.0', addr: '0x4' }),
    ...parts.nic('e1000e', '52:54:00:00:10:01', { bus: 'port0' }),
    ...parts.port('port1', 2, { bus: 'pcie.0', addr: '0x5' }),
    ...parts.nvme('nvme0', { bus: 'port1' }),
    ...parts.port('port2', 3, { bus: 'pcie.0', addr: '0x6' }),
    ...parts.nic('e1000e', '52:54:00:00:10:02', { bus: 'port2' }),
  ],
};

/** Old hardware: ports that do not isolate, so that the service's NIC shares a group, and conventional bridges. */
export const legacy: Topology = {
  name: 'legacy',
  modules: MODULES,
  arguments: [
    ...parts.iommu(),
    ...parts.port('port0', 1, { bus: 'pcie.0', addr: '0x4.0' }, { 'disable-acs': 'on', multifunction: 'on' }),
    ...parts.port('port1', 2, { bus: 'pcie.0', addr: '0x4.1' }, { 'disable-acs': 'on' }),
    ...parts.port('port2', 3, { bus: 'pcie.0', addr: '0x4.2' }, { 'disable-acs': 'on' }),
    ...parts.serviceNic({ bus: 'port0' }),
    ...parts.nic('e1000e', '52:54:00:00:10:01', { bus: 'port1' }),
    ...parts.nvme('nvme0', { bus: 'port2' }),
    ...parts.device('i82801b11-bridge', { id: 'outer', bus: 'pcie.0', addr: '0x1e' }),
    ...parts.device('pci-bridge', { id: 'inner', bus: 'outer', chassis_nr: '30', addr: '1', shpc: 'off' }),
    ...parts.nic('e1000', '52:54:00:00:30:01', { bus: 'outer', addr: '2' }),
    ...parts.nic('e1000', '52:54:00:00:30:02', { bus: 'inner', addr: '1' }),
    ...parts.port('port3', 4, { bus: 'pcie.0', addr: '0x7' }),
    ...parts.nic('e1000e', '52:54:00:00:10:02', { bus: 'port3' }),
    ...parts.port('port4', 5, { bus: 'pcie.0', addr: '0x8' }),
    ...parts.rootDisk({ bus: 'port4' }),
  ],
};
