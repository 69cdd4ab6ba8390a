import { chmodSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { chmod, lstat, mkdir, readdir, readFile, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
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

  static async open(root: string): Promise<SimulatedTree> {
    return new SimulatedTree(root, await driverTable(new SimulatedTree(root, {})));
  }

  path(path: string): string {
    return join(this.root, path);
  }

  async addresses(): Promise<string[]> {
    return (await this.names('bus/pci/devices')).sort();
  }

  /** null when there is no device at this address. */
  async device(address: string): Promise<SimulatedDevice | null> {
    // The text comes from a write: it must be a name, not a way to somewhere.
    if (!/^[0-9a-f:.]+$/.test(address) || address.startsWith('.')) return null;
    const target = await this.target(`bus/pci/devices/${address}`);
    if (target === null) return null;
    const directory = join('bus/pci/devices', target);
    const [vendor, product, classCode, override] = await Promise.all(
      ['vendor', 'device', 'class', 'driver_override'].map((name) => this.text(`${directory}/${name}`)),
    );
    const [driver, group, parent] = await Promise.all(
      ['driver', 'iommu_group', 'physfn'].map((name) => this.target(`${directory}/${name}`)),
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
      vfs: (await this.names(directory)).filter((name) => /^virtfn\d+$/.test(name)).length,
    };
  }

  /** A file's text without its newline; null when there is none. */
  async text(path: string): Promise<string | null> {
    const text = await readFile(this.path(path), 'utf8').catch(() => null);
    return text === null ? null : text.trimEnd();
  }

  /** A link's text; null when there is none. */
  async target(path: string): Promise<string | null> {
    return readlink(this.path(path)).catch(() => null);
  }

  /** What is in a directory; nothing when there is none. */
  async names(path: string): Promise<string[]> {
    return readdir(this.path(path)).catch(() => []);
  }

  async exists(path: string): Promise<boolean> {
    return (await lstat(this.path(path)).catch(() => null)) !== null;
  }

  async write(path: string, content: FileContent, mode?: number): Promise<void> {
    await mkdir(dirname(this.path(path)), { recursive: true });
    await writeFile(this.path(path), content);
    if (mode !== undefined) await chmod(this.path(path), mode);
  }

  /** Makes the link as the kernel would write it, unless it is there. */
  async link(path: string, targetPath: string): Promise<void> {
    if (!(await this.exists(path))) await this.linkText(path, kernelLink(path, targetPath));
  }

  async linkText(path: string, text: string): Promise<void> {
    await mkdir(dirname(this.path(path)), { recursive: true });
    await symlink(text, this.path(path));
  }

  async remove(path: string): Promise<void> {
    await rm(this.path(path), { recursive: true, force: true });
  }

  async move(from: string, to: string): Promise<void> {
    await mkdir(dirname(this.path(to)), { recursive: true });
    await this.remove(to);
    await rename(this.path(from), this.path(to));
  }
}

/** Which driver takes which ids: what the tree brought with it, and what was seen bound at first sight. */
async function driverTable(tree: SimulatedTree): Promise<DriverTable> {
  const file = `${SIMULATION_DIRECTORY}/${DRIVER_TABLE_FILE}`;
  const seenFile = `${SIMULATION_DIRECTORY}/seen-drivers.json`;
  const brought = JSON.parse((await tree.text(file)) ?? '{}') as DriverTable;
  const remembered = await tree.text(seenFile);
  if (remembered !== null) return { ...brought, ...(JSON.parse(remembered) as DriverTable) };
  const seen: Record<string, string> = {};
  for (const address of await tree.addresses()) {
    const device = await tree.device(address);
    if (device?.driver != null && device.driver !== 'vfio-pci') seen[device.ids] ??= device.driver;
  }
  await tree.write(seenFile, `${JSON.stringify(seen)}\n`);
  return { ...brought, ...seen };
}

/** Makes the driver's directory as `modprobe vfio-pci` does; the tree must be there. */
export function loadVfioPci(sysfsRoot: string): void {
  const drivers = join(sysfsRoot, 'bus/pci/drivers');
  const directory = join(drivers, 'vfio-pci');
  if (!existsSync(drivers) || existsSync(directory)) return;
  mkdirSync(directory);
  for (const name of ['bind', 'unbind', 'new_id', 'remove_id', 'uevent']) {
    writeFileSync(join(directory, name), '');
    chmodSync(join(directory, name), 0o200);
  }
  const module = join(sysfsRoot, 'module/vfio_pci/drivers');
  mkdirSync(module, { recursive: true });
  symlinkSync('../../../../module/vfio_pci', join(directory, 'module'));
  if (!existsSync(join(module, 'pci:vfio-pci')))
    symlinkSync('../../../bus/pci/drivers/vfio-pci', join(module, 'pci:vfio-pci'));
}
