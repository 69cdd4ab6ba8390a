import { join } from 'node:path';
import { isVfioDriver } from '../pci/binding-mode.js';
import { SIMULATION_DIRECTORY } from '../recorded-hosts/driver-table.js';
import type { SimulatedDevice, SimulatedTree } from './simulated-kernel-tree.js';

/**
 * The driver that matches the device (`pci_match_device`): with an override only that one, else the one that has its
 * ids; vfio-pci and its variants have none. (A real variant has ids, and takes devices by an override only.)
 */
export function driverThatTakes(tree: SimulatedTree, device: SimulatedDevice): string | null {
  if (device.driverOverride === null) return tree.drivers[device.ids] ?? null;
  const known = isVfioDriver(device.driverOverride) || tree.drivers[device.ids] === device.driverOverride;
  return known ? device.driverOverride : null;
}

export interface Refusal {
  readonly code: string;
  readonly why: string;
}

/** What the driver says to a device that it matches; null when it takes it. */
export function probe(tree: SimulatedTree, device: SimulatedDevice, driver: string): Refusal | null {
  if (!tree.exists(`bus/pci/drivers/${driver}`)) return { code: 'ENODEV', why: `${driver} is not loaded` };
  if (isVfioDriver(driver)) {
    if (device.classCode.startsWith('06')) return { code: 'EINVAL', why: 'vfio-pci takes no bridges' };
    if (device.iommuGroup === null) return { code: 'EINVAL', why: 'vfio-pci needs an IOMMU' };
    if (device.vfs > 0) return { code: 'EBUSY', why: 'vfio-pci takes no PF that has VFs' };
    return null;
  }
  // "Device not ready": an NVMe VF has no queues until the PF's administrator gives it some.
  return driver === 'nvme' && device.isVirtual ? { code: 'ENODEV', why: 'the VF is not ready' } : null;
}

/** Binds. The device's `driver` link comes first: it is the truth from which a killed process is repaired. */
export function attach(tree: SimulatedTree, device: SimulatedDevice, driver: string): void {
  tree.link(`${device.directory}/driver`, `bus/pci/drivers/${driver}`);
  settleDevice(tree, { ...device, driver });
}

/** Unbinds. */
export function detach(tree: SimulatedTree, device: SimulatedDevice): void {
  tree.remove(`${device.directory}/driver`);
  settleDevice(tree, { ...device, driver: null }, device.driver);
}

/**
 * Makes everything agree with the device's driver: the drivers' own links, `uevent`, what the native driver presents
 * (interfaces, controllers), and vfio's devices. Doing it again changes nothing.
 *
 * @param former  the driver that it had before, where that is known
 */
export function settleDevice(tree: SimulatedTree, device: SimulatedDevice, former: string | null = null): void {
  settleDriverLinks(tree, device);
  settleUevent(tree, device);
  settlePresented(tree, device, former);
  settleVfio(tree, device);
}

function settleDriverLinks(tree: SimulatedTree, { address, directory, driver }: SimulatedDevice): void {
  for (const other of tree.names('bus/pci/drivers')) {
    if (other !== driver) tree.remove(`bus/pci/drivers/${other}/${address}`);
  }
  if (driver !== null) tree.link(`bus/pci/drivers/${driver}/${address}`, directory);
}

function settleUevent(tree: SimulatedTree, { directory, driver }: SimulatedDevice): void {
  const before = tree.text(`${directory}/uevent`) ?? '';
  const lines = before.split('\n').filter((line) => !line.startsWith('DRIVER='));
  const after = [...(driver === null ? [] : [`DRIVER=${driver}`]), ...lines].join('\n');
  if (after !== before) tree.write(`${directory}/uevent`, `${after}\n`);
}

/** Directories (and one file) that a native driver makes in its device's directory. */
const PRESENTED =
  /^(net|nvme|ptp|virtio\d+|infiniband(_.*)?|drm|sound|graphics|hwmon|msi_irqs|pools|mdev_supported_types)$/;

/** While another driver has the device, or none, what the native one presented is kept aside. */
function settlePresented(tree: SimulatedTree, device: SimulatedDevice, former: string | null): void {
  const shelf = `${SIMULATION_DIRECTORY}/aside/${device.address}`;
  const native = tree.drivers[device.ids];
  if (device.driver !== null && !isVfioDriver(device.driver)) return restore(tree, device, `${shelf}/${device.driver}`);
  const owner = former !== null && !isVfioDriver(former) ? former : native;
  if (owner !== undefined) putAside(tree, device, `${shelf}/${owner}`);
}

function putAside(tree: SimulatedTree, { directory }: SimulatedDevice, shelf: string): void {
  const presented = tree.names(directory).filter((name) => PRESENTED.test(name));
  if (presented.length === 0) return;
  for (const { path, kept } of classLinksInto(
    tree,
    presented.map((name) => `${directory}/${name}`),
  )) {
    tree.move(path, `${shelf}/links/${kept}`);
  }
  for (const name of presented) tree.move(`${directory}/${name}`, `${shelf}/files/${name}`);
}

/** Links such as `class/net/eth1` that lead into one of the directories; `kept` is `net/eth1`. */
function classLinksInto(
  tree: SimulatedTree,
  directories: readonly string[],
): { readonly path: string; readonly kept: string }[] {
  const found: { path: string; kept: string }[] = [];
  for (const className of tree.names('class')) {
    for (const name of tree.names(`class/${className}`)) {
      const path = `class/${className}/${name}`;
      const target = tree.target(path);
      const leadsTo = target === null ? '' : join('class', className, target);
      if (directories.some((directory) => leadsTo.startsWith(`${directory}/`)))
        found.push({ path, kept: `${className}/${name}` });
    }
  }
  return found;
}

function restore(tree: SimulatedTree, { directory }: SimulatedDevice, shelf: string): void {
  for (const name of tree.names(`${shelf}/files`)) tree.move(`${shelf}/files/${name}`, `${directory}/${name}`);
  for (const className of tree.names(`${shelf}/links`)) {
    for (const name of tree.names(`${shelf}/links/${className}`)) {
      tree.move(`${shelf}/links/${className}/${name}`, `class/${className}/${name}`);
    }
  }
}

function settleVfio(tree: SimulatedTree, device: SimulatedDevice): void {
  const own = `${device.directory}/vfio-dev`;
  const [name] = tree.names(own);
  if (isVfioDriver(device.driver)) {
    const vfio = name ?? freeName('vfio', tree.names('class/vfio-dev'));
    tree.link(`${own}/${vfio}/device`, device.directory);
    tree.link(`${own}/${vfio}/subsystem`, 'class/vfio-dev');
    tree.link(`class/vfio-dev/${vfio}`, `${own}/${vfio}`);
  } else if (tree.exists(own)) {
    if (name !== undefined) tree.remove(`class/vfio-dev/${name}`);
    tree.remove(own);
  }
  if (device.iommuGroup !== null) settleVfioGroup(tree, device.iommuGroup);
}

/** `/dev/vfio/<group>` is there while vfio-pci has a member of the group. */
export function settleVfioGroup(tree: SimulatedTree, group: number): void {
  const directory = `devices/virtual/vfio/${group}`;
  const members = tree.names(`kernel/iommu_groups/${group}/devices`);
  // A mediated device has a group of its own, and its name is a UUID; none of our business.
  if (members.length > 0 && !members.every((name) => /^[0-9a-f]{4,8}:/.test(name))) return;
  const devices = members.map((address) => tree.device(address));
  if (!devices.some((member) => isVfioDriver(member?.driver ?? null))) {
    tree.remove(`class/vfio/${group}`);
    tree.remove(directory);
  } else if (!tree.exists(directory)) {
    const minor = freeName('', usedMinors(tree));
    tree.write(`${directory}/dev`, `244:${minor}\n`);
    tree.write(`${directory}/uevent`, `MAJOR=244\nMINOR=${minor}\nDEVNAME=vfio/${group}\n`);
    tree.link(`${directory}/subsystem`, 'class/vfio');
  }
  if (tree.exists(directory)) tree.link(`class/vfio/${group}`, directory);
}

function usedMinors(tree: SimulatedTree): string[] {
  const groups = tree.names('devices/virtual/vfio');
  const numbers = groups.map((group) => tree.text(`devices/virtual/vfio/${group}/dev`));
  return numbers.map((number) => number?.split(':')[1] ?? '');
}

function freeName(prefix: string, taken: readonly string[]): string {
  let number = 0;
  while (taken.includes(`${prefix}${number}`)) number += 1;
  return `${prefix}${number}`;
}
