import type { Machine } from './machine.js';

/** A PCI function as the guest's kernel has it. */
export interface KernelDevice {
  readonly address: string;
  /** Class, subclass and interface, e.g. `020000`. */
  readonly classCode: string;
  readonly ids: string;
  readonly driver: string | null;
  /** What `driver_override` says; null: nothing. */
  readonly override: string | null;
  readonly iommuGroup: number | null;
  readonly numaNode: number | null;
  /** MAC addresses of its netdevs: their names are given anew. */
  readonly macs: readonly string[];
  readonly vfs: number;
}

const SCRIPT = `
name() { [ -e "$1" ] && basename "$(readlink "$1")"; }
for device in /sys/bus/pci/devices/*; do
  [ -e "$device" ] || continue
  read -r class <"$device/class"; read -r vendor <"$device/vendor"; read -r product <"$device/device"
  read -r override <"$device/driver_override"; read -r node <"$device/numa_node"
  vfs=0; [ -e "$device/sriov_numvfs" ] && read -r vfs <"$device/sriov_numvfs"
  macs=; for nic in "$device"/net/* "$device"/virtio*/net/*; do [ -e "$nic" ] && macs="$macs $(cat "$nic/address")"; done
  echo "\${device##*/}|$class|$vendor|$product|$(name "$device/driver")|$override|$(name "$device/iommu_group")|$node|$vfs|$macs"
done`;

/** All PCI functions of the machine, read from its kernel's files. */
export async function kernelDevices(machine: Machine): Promise<ReadonlyMap<string, KernelDevice>> {
  const lines = (await machine.exec(SCRIPT)).split('\n').filter((line) => line !== '');
  return new Map(lines.map((line) => deviceOf(line)).map((device) => [device.address, device]));
}

function deviceOf(line: string): KernelDevice {
  const [address = '', classCode = '', vendor = '', product = '', driver, override, group, node, vfs, macs] =
    line.split('|');
  return {
    address,
    classCode: classCode.slice(2),
    ids: `${vendor.slice(2)}:${product.slice(2)}`,
    driver: driver || null,
    override: override === '(null)' || !override ? null : override,
    iommuGroup: group ? Number(group) : null,
    numaNode: Number(node) < 0 ? null : Number(node),
    vfs: Number(vfs),
    macs: (macs ?? '').trim().split(' ').filter(Boolean),
  };
}
