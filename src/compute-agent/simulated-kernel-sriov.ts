import { basename, dirname } from 'node:path';
import { isVfioDriver } from '../pci/binding-mode.js';
import { card } from '../recorded-hosts/cards.js';
import type { Card, CardLink } from '../recorded-hosts/description.js';
import { SIMULATION_DIRECTORY } from '../recorded-hosts/driver-table.js';
import { writeFunction } from '../recorded-hosts/function-files.js';
import { hex, virtualFunctionAddress } from '../recorded-hosts/layout.js';
import { writeInterface } from '../recorded-hosts/presented-files.js';
import { TreeBuilder } from '../recorded-hosts/tree-builder.js';
import type { TreeEntry } from '../recorded-hosts/tree.js';
import { errnoError } from './kernel.js';
import { attach, detach, driverThatTakes, probe, settleDevice, settleVfioGroup } from './simulated-kernel-drivers.js';
import type { SimulatedDevice, SimulatedTree } from './simulated-kernel-tree.js';

/**
 * A write to `sriov_numvfs` (`sriov_numvfs_store`), in the kernel's order of checks.
 *
 * @throws an errno error: EINVAL not a number, ERANGE above the total, ENOENT no driver that can, EBUSY from n to m
 */
export function setVirtualFunctions(
  tree: SimulatedTree,
  parent: SimulatedDevice,
  { text, path }: { readonly text: string; readonly path: string },
): void {
  const wanted = parseCount(text);
  const fail = (code: string, why: string): never => {
    throw errnoError(code, `simulated kernel: ${why}`, path);
  };
  if (wanted === null) return fail('EINVAL', 'the value is not a number from 0 to 65535');
  const total = Number(tree.text(`${parent.directory}/sriov_totalvfs`));
  if (wanted > total) return fail('ERANGE', `the device has at most ${total} VFs`);
  const present = Number(tree.text(`${parent.directory}/sriov_numvfs`));
  if (wanted === present) return;
  if (parent.driver === null || isVfioDriver(parent.driver))
    return fail('ENOENT', 'no driver that makes VFs has the device');
  if (wanted > 0 && present > 0) return fail('EBUSY', `${present} VFs exist; write 0 first`);
  tree.write(`${parent.directory}/sriov_numvfs`, `${wanted}\n`);
  settleVirtualFunctions(tree, parent);
}

/** The kernel's kstrtou16 with base 0. */
function parseCount(text: string): number | null {
  const match = /^\+?(?:0x([0-9a-f]+)|(0[0-7]*)|([1-9]\d*))$/i.exec(text);
  if (match === null) return null;
  const [, hex, octal, decimal] = match;
  const count = hex ? Number.parseInt(hex, 16) : octal ? Number.parseInt(octal, 8) : Number(decimal);
  return count <= 0xffff ? count : null;
}

/** Makes and removes VFs until there are as many as `sriov_numvfs` says. Doing it again changes nothing. */
export function settleVirtualFunctions(tree: SimulatedTree, parent: SimulatedDevice): void {
  const wanted = Number(tree.text(`${parent.directory}/sriov_numvfs`));
  const numbers = ['sriov_offset', 'sriov_stride'].map((name) => tree.text(`${parent.directory}/${name}`));
  const [offset = 1, stride = 1] = numbers.map(Number);
  // Numbers that a sound tree has; a broken one must not make the loop long.
  const highest = Math.min(Math.max(wanted, parent.vfs) + 1, 0x1_0000);
  const at = (index: number): VirtualFunction => {
    return { index, address: virtualFunctionAddress(parent.address, offset + index * stride) };
  };
  // From the last to the first: whenever this ends, those that are left are the first ones.
  for (let index = highest - 1; index >= wanted; index--) removeVirtualFunction(tree, parent, at(index));
  for (let index = 0; index < Math.min(wanted, highest); index++) {
    const whole = tree.exists(`${parent.directory}/virtfn${index}`);
    if (!whole) makeVirtualFunction(tree, parent, at(index));
  }
}

interface VirtualFunction {
  readonly address: string;
  readonly index: number;
}

/** The PF's `virtfnN` link comes last: with it the VF is whole. */
function makeVirtualFunction(tree: SimulatedTree, parent: SimulatedDevice, vf: VirtualFunction): void {
  const directory = `${dirname(parent.directory)}/${vf.address}`;
  tree.link(`${directory}/physfn`, parent.directory); // first: from now on it is known whose it is
  removeVirtualFunction(tree, parent, vf); // what a killed process left
  const builder = new TreeBuilder();
  writeFunction(builder, {
    address: vf.address,
    directory: `sys/${directory}`,
    card: virtualCard(tree, parent),
    driver: null,
    serialNumber: null,
    numaNode: numaNodeOf(tree, parent),
    iommuGroup: groupForVirtualFunction(tree, parent),
    multifunction: false,
    behind: null,
    onRootBus: false,
    physicalFunction: `sys/${parent.directory}`,
    virtualFunctions: [],
    localCpus: {
      mask: tree.text(`${parent.directory}/local_cpus`) ?? '',
      list: tree.text(`${parent.directory}/local_cpulist`) ?? '',
    },
    barStarts: new Map(), // a simulated VF has no memory
  });
  placeEntries(tree, builder.done());
  makeInterface(tree, parent, vf);
  tree.link(`${parent.directory}/virtfn${vf.index}`, directory);
  probeVirtualFunction(tree, parent, vf.address);
}

function virtualCard(tree: SimulatedTree, parent: SimulatedDevice): Card {
  const read = (name: string): string => tree.text(`${parent.directory}/${name}`) ?? '';
  const hexOf = (name: string): string => read(name).replace(/^0x/, '');
  const productId = read('sriov_vf_device').padStart(4, '0');
  const vendorId = hexOf('vendor');
  const speed = Number.parseFloat(read('max_link_speed'));
  return card({
    name: `VF of ${parent.address}`,
    vendorId,
    productId,
    classCode: parent.classCode,
    subsystemVendorId: hexOf('subsystem_vendor'),
    subsystemProductId: hexOf('subsystem_device'),
    revision: hexOf('revision'),
    driver: tree.drivers[`${vendorId}:${productId}`] ?? null,
    link: { speed: isSpeed(speed) ? speed : 2.5, width: Number(read('max_link_width')) || 1 },
    resetMethods: ['flr', 'bus'],
  });
}

function isSpeed(speed: number): speed is CardLink['speed'] {
  return [2.5, 5, 8, 16, 32].includes(speed);
}

function numaNodeOf(tree: SimulatedTree, parent: SimulatedDevice): number | null {
  const node = Number(tree.text(`${parent.directory}/numa_node`));
  return node < 0 ? null : node;
}

/** A VF has a group of its own, unless the port above cannot keep it apart: then its PF is in the port's group too. */
function groupForVirtualFunction(tree: SimulatedTree, parent: SimulatedDevice): number | null {
  if (parent.iommuGroup === null) return null;
  const above = tree.device(basename(dirname(parent.directory)));
  if (above?.iommuGroup === parent.iommuGroup) return parent.iommuGroup;
  const taken = new Set(tree.names('kernel/iommu_groups'));
  let number = 0;
  while (taken.has(String(number))) number += 1;
  return number;
}

function placeEntries(tree: SimulatedTree, entries: readonly TreeEntry[]): void {
  for (const entry of entries) {
    const path = entry.path.slice('sys/'.length);
    if (entry.kind === 'dir') continue;
    tree.remove(path);
    if (entry.kind === 'link') tree.linkText(path, entry.target);
    else tree.write(path, entry.content, entry.mode);
  }
}

/** A network VF's interface is made with it; it is seen while the native driver has the VF. */
function makeInterface(tree: SimulatedTree, parent: SimulatedDevice, vf: VirtualFunction): void {
  const [name] = tree.names(`${parent.directory}/net`);
  if (name === undefined) return;
  const octets = (tree.text(`${parent.directory}/net/${name}/address`) ?? '').split(':');
  const builder = new TreeBuilder();
  writeInterface(builder, {
    parent: `sys/${dirname(parent.directory)}/${vf.address}`,
    name: `${name}v${vf.index}`,
    mac: ['06', ...octets.slice(2, 5), hex(vf.index >> 8, 2), hex(vf.index & 0xff, 2)].join(':'),
    index: 1000 + Number.parseInt(parent.address.slice(5, 7), 16) * 256 + vf.index,
    up: false,
  });
  placeEntries(tree, builder.done());
}

/** The native driver tries a new VF, unless that was switched off. */
function probeVirtualFunction(tree: SimulatedTree, parent: SimulatedDevice, address: string): void {
  const device = tree.device(address);
  if (device === null) return;
  settleDevice(tree, device);
  const switches = [`${parent.directory}/sriov_drivers_autoprobe`, 'bus/pci/drivers_autoprobe'];
  if (switches.map((file) => tree.text(file)).includes('0')) return;
  const driver = driverThatTakes(tree, device);
  if (driver !== null && probe(tree, device, driver) === null) attach(tree, device, driver);
}

function removeVirtualFunction(tree: SimulatedTree, parent: SimulatedDevice, vf: VirtualFunction): void {
  const directory = `${dirname(parent.directory)}/${vf.address}`;
  // Only what is this PF's: at the address after the last VF there may be another card.
  if (tree.target(`${directory}/physfn`) === `../${parent.address}`) {
    const device = tree.device(vf.address);
    if (device?.driver != null) detach(tree, device);
    tree.remove(`bus/pci/devices/${vf.address}`);
    tree.remove(`devices/virtual/iommu/dmar0/devices/${vf.address}`);
    if (device?.iommuGroup != null) leaveGroup(tree, device.iommuGroup, vf.address);
    tree.remove(`${SIMULATION_DIRECTORY}/aside/${vf.address}`);
    tree.remove(directory);
  }
  tree.remove(`${parent.directory}/virtfn${vf.index}`);
}

/** A group without members is gone, and its number is free for the next comer. */
function leaveGroup(tree: SimulatedTree, group: number, address: string): void {
  const directory = `kernel/iommu_groups/${group}`;
  tree.remove(`${directory}/devices/${address}`);
  settleVfioGroup(tree, group);
  if (tree.names(`${directory}/devices`).length === 0) tree.remove(directory);
}
