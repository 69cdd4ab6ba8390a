import type { TreeBuilder } from './tree-builder.js';

/** `bus/pci` itself. */
export function writePciBus(tree: TreeBuilder): void {
  const directory = 'sys/bus/pci';
  tree.dir(`${directory}/devices`);
  tree.dir(`${directory}/drivers`);
  tree.dir(`${directory}/slots`);
  tree.attribute(`${directory}/drivers_autoprobe`, 1, 0o644);
  tree.file(`${directory}/drivers_probe`, '', 0o200);
  tree.file(`${directory}/rescan`, '', 0o200);
  tree.file(`${directory}/resource_alignment`, '', 0o644);
  tree.file(`${directory}/uevent`, '', 0o200);
}

/** A driver's directory; one that is a module has its module too. */
export function writeDriver(tree: TreeBuilder, name: string): void {
  const directory = `sys/bus/pci/drivers/${name}`;
  for (const attribute of ['bind', 'unbind', 'new_id', 'remove_id', 'uevent']) {
    tree.file(`${directory}/${attribute}`, '', 0o200);
  }
  if (BUILT_IN.has(name)) return;
  const module = moduleOf(name);
  tree.link(`${directory}/module`, `sys/module/${module}`);
  writeModule(tree, module);
  tree.link(`sys/module/${module}/drivers/pci:${name}`, directory);
}

/** In the kernel itself, without a module directory. */
const BUILT_IN = new Set(['pcieport']);

/** Drivers whose module has another name than `-` turned into `_` makes. */
const MODULES = new Map([
  ['dh895xcc', 'qat_dh895xcc'],
  ['dh895xccvf', 'qat_dh895xccvf'],
]);

export function moduleOf(driver: string): string {
  return MODULES.get(driver) ?? driver.replaceAll('-', '_');
}

export function writeModule(tree: TreeBuilder, module: string): void {
  const directory = `sys/module/${module}`;
  const values = { coresize: '65536\n', initsize: '0\n', initstate: 'live\n', refcnt: '0\n', taint: '\n' };
  for (const [attribute, text] of Object.entries(values)) tree.file(`${directory}/${attribute}`, text);
  tree.file(`${directory}/uevent`, '', 0o200);
  tree.dir(`${directory}/parameters`);
}

/** The IOMMU as a device (`class/iommu/dmar0`): what says that there is one. */
export function writeIommu(tree: TreeBuilder, directory: string): void {
  tree.dir(`${directory}/devices`);
  const values = {
    address: 'fed90000',
    cap: 'd2008c22260286',
    ecap: 'f00f4a',
    version: '1:0',
    domains_supported: 65536,
    domains_used: 3,
  };
  for (const [attribute, value] of Object.entries(values))
    tree.attribute(`${directory}/intel-iommu/${attribute}`, value);
  tree.file(`${directory}/uevent`, '', 0o644);
  tree.link(`${directory}/subsystem`, 'sys/class/iommu');
  tree.link('sys/class/iommu/dmar0', directory);
}
