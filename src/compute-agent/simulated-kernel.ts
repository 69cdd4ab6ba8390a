import { lstatSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import { isVfioDriver, VFIO_DRIVER } from '../pci/binding-mode.js';
import {
  assertModuleName,
  errnoError,
  resolveAttribute,
  SYSFS_VALUE_MAX,
  type Attribute,
  type Kernel,
  type SysfsWrite,
} from './kernel.js';
import { attach, detach, driverThatTakes, probe } from './simulated-kernel-drivers.js';
import { repair } from './simulated-kernel-repair.js';
import { setVirtualFunctions } from './simulated-kernel-sriov.js';
import { loadDriver, SimulatedTree } from './simulated-kernel-tree.js';
import { readText } from './sysfs-read.js';

/**
 * A **simulated** kernel: answers writes to a recorded or generated tree as Linux 6.1 does, errno by errno, and changes
 * the tree's files as sysfs would change. Nothing is bound in reality.
 *
 * What it knows is in the tree (and in `.simulated-kernel` below its root), so it goes on where it was after a restart
 * of the process, also when that was killed in the middle of a write. One process at a time may write to a tree.
 *
 * Not simulated: waiting for a device's user, group viability, `new_id`, `remove`, `rescan`, mediated devices.
 */
export function simulatedKernel(sysfsRoot: string): SysfsWrite {
  loadDriver(sysfsRoot, VFIO_DRIVER); // as if by modprobe at boot; a driver's directory is there from then on
  let tree: SimulatedTree | null = null;
  // Each write is one synchronous step, so that no two of them mix: a kernel has locks for that.
  return async (path, value) => {
    const attribute = resolveAttribute(sysfsRoot, path);
    tree ??= openTree(attribute.root);
    answer(tree, attribute, path, value);
  };
}

/** The simulated kernel with all that binding needs: `write` is {@link simulatedKernel}'s. */
export function simulatedHostKernel(sysfsRoot: string): Kernel {
  return {
    write: simulatedKernel(sysfsRoot),
    read: async (path) => {
      const reading = readText(join(sysfsRoot, path));
      return reading.kind === 'text' ? reading.text : null;
    },
    loadModule: async (name) => loadModule(sysfsRoot, name),
  };
}

/** The driver of a module finds its devices by itself. vfio's drivers are modules of any host, others those that the tree knows. */
function loadModule(sysfsRoot: string, name: string): void {
  assertModuleName(name);
  const tree = SimulatedTree.open(sysfsRoot);
  const driver =
    [VFIO_DRIVER, ...Object.values(tree.drivers)].find((known) => moduleOf(known) === moduleOf(name)) ?? name;
  if (!isVfioDriver(driver) && !Object.values(tree.drivers).includes(driver)) {
    throw new Error(`modprobe ${name}: FATAL: Module ${name} not found (simulated kernel)`);
  }
  loadDriver(sysfsRoot, driver);
  for (const address of tree.addresses()) {
    const device = tree.device(address);
    if (device?.driver !== null || driverThatTakes(tree, device) !== driver) continue;
    if (probe(tree, device, driver) === null) attach(tree, device, driver);
  }
}

function moduleOf(driver: string): string {
  return driver.replaceAll('-', '_');
}

function openTree(root: string): SimulatedTree {
  const tree = SimulatedTree.open(root);
  repair(tree);
  return tree;
}

const DRIVER_FILE = /^bus\/pci\/drivers\/([^/]+)$/;
const DEVICE_DIRECTORY = /(?:^|\/)([0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7])$/;

function answer(tree: SimulatedTree, attribute: Attribute, path: string, value: string): void {
  checkFile(attribute, path);
  if (value === '') return; // no write(2) happens: nothing changes, and nothing fails
  if (value.length > SYSFS_VALUE_MAX) throw errnoError('EINVAL', 'simulated kernel: the value is too long', path);
  const directory = relative(attribute.root, attribute.directory);
  const driver = DRIVER_FILE.exec(directory)?.[1];
  const device = DEVICE_DIRECTORY.exec(directory)?.[1];
  const text = value.replace(/\n$/, ''); // sysfs forgives one newline at the end
  if (directory === 'bus/pci') return writeToBus(tree, attribute, text, path);
  if (driver !== undefined) return writeToDriver(tree, { driver, name: attribute.name, text, path });
  if (device !== undefined) return writeToDevice(tree, attribute, { device, text, path });
  throw errnoError('ENOTSUP', 'simulated kernel: writes to this attribute are not simulated', path);
}

function checkFile({ directory, name }: Attribute, path: string): void {
  const stat = lstatSync(join(directory, name), { throwIfNoEntry: false });
  // As a shell's open with O_CREAT: sysfs lets nobody create files. (Without O_CREAT it would be ENOENT.)
  if (stat === undefined) throw errnoError('EACCES', 'simulated kernel: there is no such attribute', path);
  if (stat.isDirectory()) throw errnoError('EISDIR', 'simulated kernel: this is a directory', path);
  if (stat.isSymbolicLink()) throw errnoError('ELOOP', 'simulated kernel: this is a link', path);
  if ((stat.mode & 0o222) === 0) throw errnoError('EACCES', 'simulated kernel: the attribute is read-only', path);
}

function writeToBus(tree: SimulatedTree, { directory, name }: Attribute, text: string, path: string): void {
  if (name === 'drivers_autoprobe') return writeFileSync(join(directory, name), `${flag(text, path)}\n`);
  if (name !== 'drivers_probe') {
    throw errnoError('ENOTSUP', 'simulated kernel: writes to this attribute are not simulated', path);
  }
  const device = tree.device(text);
  if (device === null) throw errnoError('ENODEV', 'simulated kernel: there is no such device', path);
  if (device.driver !== null) return;
  const driver = driverThatTakes(tree, device);
  // The kernel does not tell whether the driver wanted the device: one reads the `driver` link afterwards.
  if (driver !== null && probe(tree, device, driver) === null) attach(tree, device, driver);
}

interface DriverWrite {
  readonly driver: string;
  readonly name: string;
  readonly text: string;
  readonly path: string;
}

function writeToDriver(tree: SimulatedTree, { driver, name, text, path }: DriverWrite): void {
  const device = tree.device(text);
  if (name === 'unbind') {
    if (device?.driver !== driver) throw errnoError('ENODEV', `simulated kernel: ${driver} has no such device`, path);
    return detach(tree, device);
  }
  if (name !== 'bind') throw errnoError('ENOTSUP', `simulated kernel: ${name} is not simulated`, path);
  if (device === null || driverThatTakes(tree, device) !== driver) {
    throw errnoError('ENODEV', `simulated kernel: ${driver} does not match such a device`, path);
  }
  if (device.driver !== null) throw errnoError('EBUSY', `simulated kernel: ${device.driver} has the device`, path);
  const refusal = probe(tree, device, driver);
  if (refusal !== null) throw errnoError(refusal.code, `simulated kernel: ${refusal.why}`, path);
  attach(tree, device, driver);
}

function writeToDevice(
  tree: SimulatedTree,
  attribute: Attribute,
  { device: address, text, path }: { readonly device: string; readonly text: string; readonly path: string },
): void {
  const file = join(attribute.directory, attribute.name);
  switch (attribute.name) {
    case 'driver_override':
      return writeFileSync(file, text === '' ? '(null)\n' : `${text}\n`);
    case 'sriov_drivers_autoprobe':
    case 'd3cold_allowed':
    case 'msi_bus':
    case 'broken_parity_status':
      return writeFileSync(file, `${flag(text, path)}\n`);
    case 'sriov_numvfs': {
      const device = tree.device(address);
      if (device === null) throw errnoError('ENODEV', 'simulated kernel: there is no such device', path);
      return setVirtualFunctions(tree, device, { text, path });
    }
    case 'reset_method':
      return setResetMethod(file, text, path);
    case 'reset':
      if (flag(text, path) === 0) throw errnoError('EINVAL', 'simulated kernel: only 1 resets', path);
      return;
    default:
      throw errnoError('ENOTSUP', `simulated kernel: ${basename(file)} is not simulated`, path);
  }
}

function setResetMethod(file: string, text: string, path: string): void {
  const known = new Set(readFileSync(file, 'utf8').split(/\s+/));
  const wanted = text.split(/\s+/).filter((method) => method !== '');
  if (!wanted.every((method) => known.has(method))) {
    throw errnoError('EINVAL', 'simulated kernel: the device has no such reset method', path);
  }
  writeFileSync(file, `${wanted.join(' ')}\n`);
}

/** The kernel's kstrtobool. */
function flag(text: string, path: string): 0 | 1 {
  if (/^([1yt]|on)/i.test(text)) return 1;
  if (/^([0nf]|off)/i.test(text)) return 0;
  throw errnoError('EINVAL', 'simulated kernel: the value is 0 or 1', path);
}
