import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { isVfioDriver } from '../pci/binding-mode.js';
import { DRIVER_TABLE_FILE, SIMULATION_DIRECTORY, type DriverTable } from '../recorded-hosts/driver-table.js';
import { kernelLink } from '../recorded-hosts/tree-builder.js';
import type { FileContent } from '../recorded-hosts/tree.js';

/** A function of the simulated tree, read anew for each write: the tree is the state. */
export interface SimulatedDevice {
  readonly address: string;
  /** From the sysfs root: `devices/pci0000:80/0000:80:02.0/0000:83:00.0`. */
  readonly directory: string;
  /** `10de:1bb0` */
  readonly ids: string;
  readonly classCode: string;
  readonly driver: string | null;
  /** null when none is set. */
  readonly driverOverride: string | null;
  readonly iommuGroup: number | null;
  readonly isVirtual: boolean;
  /** VFs that exist now. */
  readonly vfs: number;
}

/** A tree's files, and what the simulated kernel remembers of it. Paths are from the sysfs root. */
export class SimulatedTree {
  private constructor(
    readonly root: string,
    readonly drivers: DriverTable,
  ) {}

  static open(root: string): SimulatedTree {
    return new SimulatedTree(root, driverTable(new SimulatedTree(root, {})));
  }

  path(path: string): string {
    return join(this.root, path);
  }

  addresses(): readonly string[] {
    return this.names('bus/pci/devices').toSorted();
  }

  /** null when there is no device at this address. */
  device(address: string): SimulatedDevice | null {
    // The text comes from a write: it must be a name, not a way to somewhere.
    if (!/^[0-9a-f:.]+$/.test(address) || address.startsWith('.')) return null;
    const target = this.target(`bus/pci/devices/${address}`);
    if (target === null) return null;
    const directory = join('bus/pci/devices', target);
    if (!directory.startsWith('devices/')) return null; // a broken tree must not lead out of itself
    const [vendor, product, classCode, override] = ['vendor', 'device', 'class', 'driver_override'].map((name) =>
      this.text(`${directory}/${name}`),
    );
    const [driver, group, parent] = ['driver', 'iommu_group', 'physfn'].map((name) =>
      this.target(`${directory}/${name}`),
    );
    return {
      address,
      directory,
      ids: `${vendor?.slice(2)}:${product?.slice(2)}`,
      classCode: classCode?.slice(2) ?? '',
      driver: driver == null ? null : basename(driver),
      driverOverride: override == null || override === '(null)' ? null : override,
      iommuGroup: group == null ? null : Number(basename(group)),
      isVirtual: parent !== null,
      vfs: this.names(directory).filter((name) => /^virtfn\d+$/.test(name)).length,
    };
  }

  /** A file's text without its newline; null when there is none. */
  text(path: string): string | null {
    return orNull(() => readFileSync(this.path(path), 'utf8').trimEnd());
  }

  /** A link's text; null when there is none. */
  target(path: string): string | null {
    return orNull(() => readlinkSync(this.path(path)));
  }

  /** What is in a directory; nothing when there is none. */
  names(path: string): readonly string[] {
    return orNull(() => readdirSync(this.path(path))) ?? [];
  }

  exists(path: string): boolean {
    return lstatSync(this.path(path), { throwIfNoEntry: false }) !== undefined;
  }

  write(path: string, content: FileContent, mode?: number): void {
    mkdirSync(dirname(this.path(path)), { recursive: true });
    writeFileSync(this.path(path), content);
    if (mode !== undefined) chmodSync(this.path(path), mode);
  }

  /** Makes the link as the kernel would write it, unless it is there. */
  link(path: string, targetPath: string): void {
    if (!this.exists(path)) this.linkText(path, kernelLink(path, targetPath));
  }

  linkText(path: string, text: string): void {
    mkdirSync(dirname(this.path(path)), { recursive: true });
    symlinkSync(text, this.path(path));
  }

  remove(path: string): void {
    rmSync(this.path(path), { recursive: true, force: true });
  }

  move(from: string, to: string): void {
    mkdirSync(dirname(this.path(to)), { recursive: true });
    this.remove(to);
    renameSync(this.path(from), this.path(to));
  }
}

function orNull<T>(read: () => T): T | null {
  try {
    return read();
  } catch {
    return null;
  }
}

/** Which driver takes which ids: what the tree brought with it, and what was seen bound at first sight. */
function driverTable(tree: SimulatedTree): DriverTable {
  const file = `${SIMULATION_DIRECTORY}/${DRIVER_TABLE_FILE}`;
  const seenFile = `${SIMULATION_DIRECTORY}/seen-drivers.json`;
  const brought = JSON.parse(tree.text(file) ?? '{}') as DriverTable;
  const remembered = tree.text(seenFile);
  if (remembered !== null) return { ...brought, ...(JSON.parse(remembered) as DriverTable) };
  const seen: Record<string, string> = {};
  for (const address of tree.addresses()) {
    const device = tree.device(address);
    if (device?.driver != null && !isVfioDriver(device.driver)) seen[device.ids] ??= device.driver;
  }
  tree.write(seenFile, `${JSON.stringify(seen)}\n`);
  return { ...brought, ...seen };
}

/** Makes the driver's directory as `modprobe` does, e.g. for `vfio-pci`; the tree must be there. */
export function loadDriver(sysfsRoot: string, driver: string): void {
  const drivers = join(sysfsRoot, 'bus/pci/drivers');
  const directory = join(drivers, driver);
  if (!existsSync(drivers) || existsSync(directory)) return;
  mkdirSync(directory);
  for (const name of ['bind', 'unbind', 'new_id', 'remove_id', 'uevent']) {
    writeFileSync(join(directory, name), '');
    chmodSync(join(directory, name), 0o200);
  }
  const moduleName = driver.replaceAll('-', '_');
  const module = join(sysfsRoot, 'module', moduleName, 'drivers');
  mkdirSync(module, { recursive: true });
  symlinkSync(`../../../../module/${moduleName}`, join(directory, 'module'));
  if (!existsSync(join(module, `pci:${driver}`)))
    symlinkSync(`../../../bus/pci/drivers/${driver}`, join(module, `pci:${driver}`));
}
