import type { TreeBuilder } from './tree-builder.js';

/** A network interface as its driver shows it. */
export interface InterfaceFacts {
  /** The PCI function, or the virtio device on it. */
  readonly parent: string;
  readonly name: string;
  readonly mac: string;
  readonly index: number;
  readonly up: boolean;
}

/** `net/<name>` of a device, and its link in `class/net`. */
export function writeInterface(tree: TreeBuilder, { parent, name, mac, index, up }: InterfaceFacts): void {
  const directory = `${parent}/net/${name}`;
  const readOnly = {
    addr_assign_type: 0,
    addr_len: 6,
    address: mac,
    broadcast: 'ff:ff:ff:ff:ff:ff',
    type: 1,
    link_mode: 0,
    carrier_changes: 1,
    carrier_up_count: up ? 1 : 0,
    carrier_down_count: up ? 0 : 1,
    dev_id: '0x0',
    dev_port: 0,
    ifindex: index,
    iflink: index,
    name_assign_type: 4,
    operstate: up ? 'up' : 'down',
  };
  const writable = {
    flags: up ? '0x1003' : '0x1002',
    mtu: 1500,
    tx_queue_len: 1000,
    netdev_group: 0,
    proto_down: 0,
    gro_flush_timeout: 0,
    napi_defer_hard_irqs: 0,
    threaded: 0,
  };
  for (const [attribute, value] of Object.entries(readOnly)) tree.attribute(`${directory}/${attribute}`, value);
  for (const [attribute, value] of Object.entries(writable)) tree.attribute(`${directory}/${attribute}`, value, 0o644);
  // An interface that is down answers EINVAL here; a recording has an empty file.
  const whenUp = { speed: 10_000, duplex: 'full', dormant: 0, testing: 0 };
  for (const [attribute, value] of Object.entries(whenUp))
    tree.file(`${directory}/${attribute}`, up ? `${value}\n` : '');
  tree.file(`${directory}/carrier`, up ? '1\n' : '', 0o644);
  for (const unsupported of ['phys_port_id', 'phys_port_name', 'phys_switch_id'])
    tree.file(`${directory}/${unsupported}`, '');
  tree.file(`${directory}/ifalias`, '', 0o644);
  tree.file(`${directory}/uevent`, `INTERFACE=${name}\nIFINDEX=${index}\n`, 0o644);
  tree.link(`${directory}/device`, parent);
  tree.link(`${directory}/subsystem`, 'sys/class/net');
  tree.link(`sys/class/net/${name}`, directory);
}

/** `virtioN` of a virtio PCI function: the network interface hangs below it. Returns its directory. */
export function writeVirtioNet(tree: TreeBuilder, pciDirectory: string, index: number): string {
  const directory = `${pciDirectory}/virtio${index}`;
  tree.attribute(`${directory}/device`, '0x0001');
  tree.attribute(`${directory}/vendor`, '0x1af4');
  tree.attribute(`${directory}/status`, '0x0000000f');
  tree.attribute(`${directory}/features`, '0010010000000001111101010000110010000000100000000000000000000000');
  tree.attribute(`${directory}/modalias`, 'virtio:d00000001v00001AF4');
  tree.file(`${directory}/uevent`, 'DRIVER=virtio_net\nMODALIAS=virtio:d00000001v00001AF4\n', 0o644);
  tree.link(`${directory}/driver`, 'sys/bus/virtio/drivers/virtio_net');
  tree.link(`${directory}/subsystem`, 'sys/bus/virtio');
  return directory;
}

/** `nvme/nvmeN` of an NVMe controller, and its link in `class/nvme`. */
export function writeNvme(
  tree: TreeBuilder,
  facts: { parent: string; address: string; index: number; numaNode: number | null },
): void {
  const name = `nvme${facts.index}`;
  const directory = `${facts.parent}/nvme/${name}`;
  const readOnly = {
    address: facts.address,
    cntlid: facts.index,
    cntrltype: 'io',
    dctype: 'none',
    dev: `246:${facts.index}`,
    kato: 0,
    firmware_rev: '1.0     ',
    model: 'NVMe controller'.padEnd(40),
    state: 'live',
    numa_node: facts.numaNode ?? -1,
    queue_count: 3,
    sqsize: 1023,
    transport: 'pcie',
    subsysnqn: `nqn.2014-08.org.nvmexpress:${name}`,
  };
  for (const [attribute, value] of Object.entries(readOnly)) tree.attribute(`${directory}/${attribute}`, value);
  tree.file(`${directory}/rescan_controller`, '', 0o200);
  tree.file(`${directory}/reset_controller`, '', 0o200);
  tree.file(`${directory}/uevent`, `MAJOR=246\nMINOR=${facts.index}\nDEVNAME=${name}\nNVME_TRTYPE=pcie\n`, 0o644);
  tree.link(`${directory}/device`, facts.parent);
  tree.link(`${directory}/subsystem`, 'sys/class/nvme');
  tree.link(`sys/class/nvme/${name}`, directory);
}
