import { join } from 'node:path';
import { SIMULATION_DIRECTORY } from '../recorded-hosts/driver-table.js';
import type { SimulatedDevice, SimulatedTree } from './simulated-kernel-tree.js';

export const VFIO_PCI = 'vfio-pci';

/**
 * The driver that matches the device (`pci_match_device`): with an override only that one, else the one that has its
 * ids; vfio-pci has none.
 */
export function driverThatTakes(tree: SimulatedTree, device: SimulatedDevice): string | null {
  if (device.driverOverride === null) return tree.drivers[device.ids] ?? null;
  const known = device.driverOverride === VFIO_PCI || tree.drivers[device.ids] === device.driverOverride;
  return known ? device.driverOverride : null;
}

export interface Refusal {
  readonly code: string;
  readonly why: string;
}

/** What the driver says to a device that it matches; null when it takes it. */
export async function probe(tree: SimulatedTree, device: SimulatedDevice, driver: string): Promise<Refusal | null> {
  if (!(await tree.exists(`bus/pci/drivers/${driver}`))) return { code: 'ENODEV', why: `${driver} is not loaded` };
  if (driver === VFIO_PCI) {
    if (device.classCode.startsWith('06')) return { code: 'EINVAL', why: 'vfio-pci takes no bridges' };
    if (device.iommuGroup === null) return { code: 'EINVAL', why: 'vfio-pci needs an IOMMU' };
    if (device.vfs > 0) return { code: 'EBUSY', why: 'vfio-pci takes no PF that has VFs' };
    return null;
  }
  // "Device not ready": an NVMe VF has no queues until the PF's administrator gives it some.
  return driver === 'nvme' && device.isVirtual ? { code: 'ENODEV', why: 'the VF is not ready' } : null;
}

/** Binds. The device's `driver` link comes first: it is the truth from which a killed process is repaired. */
export async function attach(tree: SimulatedTree, device: SimulatedDevice, driver: string): Promise<void> {
  await tree.link(`${device.directory}/driver`, `bus/pci/drivers/${driver}`);
  await settleDevice(tree, { ...device, driver });
}

/** Unbinds. */
export async function detach(tree: SimulatedTree, device: SimulatedDevice): Promise<void> {
  await tree.remove(`${device.directory}/driver`);
  await settleDevice(tree, { ...device, driver: null }, device.driver);
}

/**
 * Makes everything agree with the device's driver: the drivers' own links, `uevent`, what the native driver presents
 * (interfaces, controllers), and vfio's devices. Doing it again changes nothing.
 *
 * @param former  the driver that it had before, where that is known
 */
export async function settleDevice(
  tree: SimulatedTree,
  device: SimulatedDevice,
  former: string | null = null,
): Promise<void> {
  await settleDriverLinks(tree, device);
  await settleUevent(tree, device);
  await settlePresented(tree, device, former);
  await settleVfio(tree, device);
}

async function settleDriverLinks(tree: SimulatedTree, { address, directory, driver }: SimulatedDevice): Promise<void> {
  for (const other of await tree.names('bus/pci/drivers')) {
    if (other !== driver) await tree.remove(`bus/pci/drivers/${other}/${address}`);
  }
  if (driver !== null) await tree.link(`bus/pci/drivers/${driver}/${address}`, directory);
}

async function settleUevent(tree: SimulatedTree, { directory, driver }: SimulatedDevice): Promise<void> {
  const before = (await tree.text(`${directory}/uevent`)) ?? '';
  const lines = before.split('\n').filter((line) => !line.startsWith('DRIVER='));
  const after = [...(driver === null ? [] : [`DRIVER=${driver}`]), ...lines].join('\n');
  if (after !== before) await tree.write(`${directory}/uevent`, `${after}\n`);
}

/** Directories (and one file) that a native driver makes in its device's directory. */
const PRESENTED =
  /^(net|nvme|ptp|virtio\d+|infiniband(_.*)?|drm|sound|graphics|hwmon|msi_irqs|pools|mdev_supported_types)$/;

/** While another driver has the device, or none, what the native one presented is kept aside. */
async function settlePresented(tree: SimulatedTree, device: SimulatedDevice, former: string | null): Promise<void> {
  const shelf = `${SIMULATION_DIRECTORY}/aside/${device.address}`;
  const native = tree.drivers[device.ids];
  if (device.driver !== null && device.driver !== VFIO_PCI) return restore(tree, device, `${shelf}/${device.driver}`);
  const owner = former !== null && former !== VFIO_PCI ? former : native;
  if (owner !== undefined) await putAside(tree, device, `${shelf}/${owner}`);
}

async function putAside(tree: SimulatedTree, { directory }: SimulatedDevice, shelf: string): Promise<void> {
  const presented = (await tree.names(directory)).filter((name) => PRESENTED.test(name));
  if (presented.length === 0) return;
  for (const { path, kept } of await classLinksInto(
    tree,
    presented.map((name) => `${directory}/${name}`),
  )) {
    await tree.move(path, `${shelf}/links/${kept}`);
  }
  for (const name of presented) await tree.move(`${directory}/${name}`, `${shelf}/files/${name}`);
}

/** Links such as `class/net/eth1` that lead into one of the directories; `kept` is `net/eth1`. */
async function classLinksInto(
  tree: SimulatedTree,
  directories: readonly string[],
): Promise<{ readonly path: string; readonly kept: string }[]> {
  const found: { path: string; kept: string }[] = [];
  for (const className of await tree.names('class')) {
    for (const name of await tree.names(`class/${className}`)) {
      const path = `class/${className}/${name}`;
      const target = await tree.target(path);
      const leadsTo = target === null ? '' : join('class', className, target);
      if (directories.some((directory) => leadsTo.startsWith(`${directory}/`)))
        found.push({ path, kept: `${className}/${name}` });
    }
  }
  return found;
}

async function restore(tree: SimulatedTree, { directory }: SimulatedDevice, shelf: string): Promise<void> {
  for (const name of await tree.names(`${shelf}/files`))
    await tree.move(`${shelf}/files/${name}`, `${directory}/${name}`);
  for (const className of await tree.names(`${shelf}/links`)) {
    for (const name of await tree.names(`${shelf}/links/${className}`)) {
      await tree.move(`${shelf}/links/${className}/${name}`, `class/${className}/${name}`);
    }
  }
}

async function settleVfio(tree: SimulatedTree, device: SimulatedDevice): Promise<void> {
  const own = `${device.directory}/vfio-dev`;
  const [name] = await tree.names(own);
  if (device.driver === VFIO_PCI) {
    const vfio = name ?? freeName('vfio', await tree.names('class/vfio-dev'));
    await tree.link(`${own}/${vfio}/device`, device.directory);
    await tree.link(`${own}/${vfio}/subsystem`, 'class/vfio-dev');
    await tree.link(`class/vfio-dev/${vfio}`, `${own}/${vfio}`);
  } else if (await tree.exists(own)) {
    if (name !== undefined) await tree.remove(`class/vfio-dev/${name}`);
    await tree.remove(own);
  }
  if (device.iommuGroup !== null) await settleVfioGroup(tree, device.iommuGroup);
}

/** `/dev/vfio/<group>` is there while vfio-pci has a member of the group. */
export async function settleVfioGroup(tree: SimulatedTree, group: number): Promise<void> {
  const directory = `devices/virtual/vfio/${group}`;
  const members = await tree.names(`kernel/iommu_groups/${group}/devices`);
  // A mediated device has a group of its own, and its name is a UUID; none of our business.
  if (members.length > 0 && !members.every((name) => /^[0-9a-f]{4,8}:/.test(name))) return;
  const devices = await Promise.all(members.map((address) => tree.device(address)));
  if (!devices.some((member) => member?.driver === VFIO_PCI)) {
    await tree.remove(`class/vfio/${group}`);
    await tree.remove(directory);
  } else if (!(await tree.exists(directory))) {
    const minor = freeName('', await usedMinors(tree));
    await tree.write(`${directory}/dev`, `244:${minor}\n`);
    await tree.write(`${directory}/uevent`, `MAJOR=244\nMINOR=${minor}\nDEVNAME=vfio/${group}\n`);
    await tree.link(`${directory}/subsystem`, 'class/vfio');
  }
  if (await tree.exists(directory)) await tree.link(`class/vfio/${group}`, directory);
}

async function usedMinors(tree: SimulatedTree): Promise<string[]> {
  const groups = await tree.names('devices/virtual/vfio');
  const numbers = await Promise.all(groups.map((group) => tree.text(`devices/virtual/vfio/${group}/dev`)));
  return numbers.map((number) => number?.split(':')[1] ?? '');
}

function freeName(prefix: string, taken: readonly string[]): string {
  let number = 0;
  while (taken.includes(`${prefix}${number}`)) number += 1;
  return `${prefix}${number}`;
}
