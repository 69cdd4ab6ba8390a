import { join } from 'node:path';
import type { WireDeviceClaim } from '../messages/device-claim-bodies.js';
import type { Address } from '../pci/address.js';
import { isVfioDriver } from '../pci/binding-mode.js';
import { isBridge } from '../pci/device.js';
import { BindingError } from './binding-error.js';
import { readDevice } from './device-reader.js';
import { listNames } from './sysfs-read.js';

/**
 * The claim takes just what somebody was shown: a group that has changed since is not taken.
 *
 * @throws BindingError `device.missing` when its device is gone, `device.changed` with what the group has more or less
 */
export function assertWholeGroup(sysfsRoot: string, { address, devices }: WireDeviceClaim): void {
  const { device, problems } = readDevice(sysfsRoot, address);
  if (!device) throw refusal('device.missing', address, `no usable device there (${problems.join('; ')})`);
  if (device.iommuGroup === null) return;
  const names = listNames(join(sysfsRoot, `kernel/iommu_groups/${device.iommuGroup}/devices`));
  const members = names.filter((name) => {
    const { device: member } = readDevice(sysfsRoot, name);
    return member !== null && !isBridge(member);
  });
  const claimed = new Set(devices.map((one) => one.address));
  const more = members.filter((member) => !claimed.has(member));
  const less = [...claimed].filter((one) => !members.includes(one));
  if (more.length === 0 && less.length === 0) return;
  const found = [
    ...(more.length > 0 ? [`also holds ${more.slice(0, 8).join(', ')} now`] : []),
    ...(less.length > 0 ? [`does not hold ${less.slice(0, 8).join(', ')} any more`] : []),
  ].join(' and ');
  const what = `its IOMMU group ${device.iommuGroup} ${found}; delete the claim, and make it again with what the preview shows`;
  throw refusal('device.changed', address, what);
}

/** VFs would go with the PF's driver; a server's claim may do that, a claim ahead of use does not. */
export function assertWithoutVfs(sysfsRoot: string, { devices }: WireDeviceClaim): void {
  for (const { address } of devices) {
    const { device } = readDevice(sysfsRoot, address);
    const count = device?.sriov?.numVfs ?? 0;
    if (count === 0 || isVfioDriver(device?.driver ?? null)) continue;
    const what = `it has ${count} VFs, which would go; set their number to 0 first`;
    throw refusal('binding.refused', address, what);
  }
}

function refusal(code: 'device.missing' | 'device.changed' | 'binding.refused', address: Address, what: string) {
  return new BindingError(code, `${address}: ${what}`, { address, step: 'check' });
}
