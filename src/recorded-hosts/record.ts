import { readTree, type HostTree, type Selection } from './tree.js';

/**
 * Records what a kernel says of a host's PCI devices: what the agent reads and what `lspci` needs, nothing else.
 *
 * @param root  directory with `sys/` and `proc/`: `/`, or an extracted capture
 */
export function recordHost(root: string, name: string): Promise<HostTree> {
  return readTree(root, name, selectsHostFacts);
}

const PROC = /^proc(\/(cmdline|cpuinfo|meminfo|modules|version|net(\/(route|dev))?))?$/;
const CLASSES = /^sys\/class(\/(net|iommu|pci_bus|nvme|ptp|infiniband|vfio|vfio-dev|mdev_bus)(\/.*)?)?$/;
const CPUS = /^sys\/devices\/system\/cpu(\/(online|possible|present|cpu\d+(\/topology(\/[^/]+)?)?))?$/;
const NODES = /^sys\/devices\/system\/node(\/.*)?$/;
const VIRTUAL = /^sys\/devices\/virtual(\/(iommu|vfio|net)(\/.*)?)?$/;
const MODULES = /^sys\/module(\/[^/]+(\/drivers(\/pci:[^/]+)?)?|\/vfio[^/]*(\/.*)?)?$/;
const PCI = /^sys\/(devices\/pci[^/]*|bus\/pci|kernel\/iommu_groups)(\/.*)?$/;
const ABOVE = /^(sys|sys\/(bus|devices|kernel|devices\/system))$/;

/**
 * Many, changing, and of no use to a scheduler; `firmware_node` leads out of what is recorded; serial numbers and disks
 * are nobody's business.
 */
const LEFT_OUT = new Set(
  [
    'power statistics queues wakeup hugepages cache cpufreq cpuidle msi_irqs firmware_node sound drm graphics',
    'block serial wwid uuid nguid eui hostnqn hostid',
  ].flatMap((names) => names.split(' ')),
);
const LEFT_OUT_BELOW_DEVICES = /^(aer_.*|.*:pcie\d+|ata\d+|usb\d+|i2c-\d+|ieee80211)$/;

const selectsHostFacts: Selection = (path) => {
  const name = path.slice(path.lastIndexOf('/') + 1);
  if (LEFT_OUT.has(name) || LEFT_OUT_BELOW_DEVICES.test(name)) return false;
  return [ABOVE, PROC, PCI, CLASSES, CPUS, NODES, VIRTUAL, MODULES].some((part) => part.test(path));
};
