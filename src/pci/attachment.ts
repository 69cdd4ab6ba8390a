import { type Address, parseAddress } from './address.js';

/**
 * libvirt's `<hostdev>` for one PCI function.
 *
 * `managed='no'`, because Berth has bound the device to its driver before the server is ACTIVE and gives it back after
 * the server's end, or its administrator does (`managed: no`); libvirt must do neither, whatever the device_spec entry says.
 */
export function libvirtHostdev(address: Address): string {
  const { domain, bus, slot, function: fn } = parseAddress(address);
  const source = `domain="${hex(domain, 4)}" bus="${hex(bus, 2)}" slot="${hex(slot, 2)}" function="${hex(fn, 1)}"`;
  return [
    '<hostdev mode="subsystem" type="pci" managed="no">',
    '<driver name="vfio"/>',
    `<source><address ${source}/></source>`,
    '</hostdev>',
  ].join('');
}

/** How QEMU calls a device that Berth gives to a guest. */
export function qemuDeviceId(address: Address): string {
  return `berth-${address.replaceAll(':', '-')}`;
}

/** QEMU's arguments for one PCI function. */
export function qemuArguments(address: Address): string[] {
  return ['-device', `vfio-pci,host=${address}`];
}

/** The file by which user space drives the IOMMU group; null without a group. */
export function vfioGroupFile(iommuGroup: number | null): string | null {
  return iommuGroup === null ? null : `/dev/vfio/${iommuGroup}`;
}

function hex(value: number, digits: number): string {
  return `0x${value.toString(16).padStart(digits, '0')}`;
}
