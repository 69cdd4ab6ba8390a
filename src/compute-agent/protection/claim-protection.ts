import { join } from 'node:path';
import { overriddenAddresses, type DeviceSpec } from '../../pci/device-spec/device-spec.js';
import type { PciDevice } from '../../pci/device.js';
import { protectDevices, protectionText } from '../../pci/protection.js';
import { BindingError } from '../binding-error.js';
import { PCI_DEVICES, readDevice } from '../device-reader.js';
import { listNames, readLinkName } from '../sysfs-read.js';
import { displaysIn, readHostNeeds } from './host-needs.js';
import { namesIn } from './sysfs-links.js';

/** What a second look at protections goes by; asked at each look. */
export interface ProtectionSource {
  readonly procRoot: string;
  readonly kernel: 'live' | 'simulated';
  readonly brokerAddress: () => string | null;
  readonly deviceSpecs: () => readonly DeviceSpec[];
}

/**
 * The look before a device is taken from its host: routes and mounts change between two scans.
 *
 * @param devices that the agent does not hold yet; what a claim has is not taken from it
 * @throws BindingError `device.protected`, step `check`
 */
export function assertUnprotected(sysfsRoot: string, source: ProtectionSource, devices: readonly PciDevice[]): void {
  if (devices.length === 0) return;
  const concerned = withRelatives(sysfsRoot, devices);
  const { procRoot, kernel } = source;
  const needs = readHostNeeds({ sysfsRoot, procRoot, kernel }, displaysIn(concerned), source.brokerAddress());
  const protections = protectDevices(concerned, needs.findings, overriddenAddresses(source.deviceSpecs()));
  for (const { address } of devices) {
    const protection = protections.get(address);
    if (!protection || protection.overridden) continue;
    throw new BindingError('device.protected', `${address} is ${protectionText(protection)}`, {
      address,
      step: 'check',
    });
  }
}

/** With what goes along: the other members of their IOMMU groups, and the VFs of all of them. */
function withRelatives(sysfsRoot: string, devices: readonly PciDevice[]): PciDevice[] {
  const found = new Map(devices.map((device) => [device.address, device]));
  const add = (address: string): void => {
    const device = found.has(address) ? null : readDevice(sysfsRoot, address).device;
    if (device) found.set(address, device);
  };
  for (const group of new Set(devices.map(({ iommuGroup }) => iommuGroup))) {
    if (group !== null) listNames(join(sysfsRoot, `kernel/iommu_groups/${group}/devices`)).forEach(add);
  }
  for (const { address, sriov } of [...found.values()]) {
    if (!sriov) continue;
    const directory = join(sysfsRoot, PCI_DEVICES, address);
    for (const name of namesIn(directory)) {
      const vf = /^virtfn\d+$/.test(name) ? readLinkName(join(directory, name)) : null;
      if (vf?.kind === 'text') add(vf.text);
    }
  }
  return [...found.values()];
}
