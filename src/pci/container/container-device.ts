import type { Address } from '../address.js';
import { vfioGroupFile } from '../attachment.js';

/** A device of a server, as a container takes it. */
export interface ContainerDevice {
  readonly address: Address;
  /** The IOMMU group whose file the container opens; null: there is none to open, as the device stays with its own driver. */
  readonly vfioGroup: number | null;
  /** The network interface that goes into the container instead; left out: none does. */
  readonly netdev?: string;
}

/** Beside a group's file: by it a program drives the IOMMU. */
const VFIO_CONTAINER = '/dev/vfio/vfio';

/** The files that a container needs for these devices, each once; none when no device is driven from user space. */
export function deviceFiles(devices: readonly ContainerDevice[]): string[] {
  const groups = devices.flatMap(({ vfioGroup }) => vfioGroupFile(vfioGroup) ?? []);
  return groups.length === 0 ? [] : [VFIO_CONTAINER, ...new Set(groups)];
}

const VARIABLE = 'PCIDEVICE_BERTH_DEV_PCI';

/**
 * By which a program in the container finds its devices: the form of the SR-IOV network device plugin, `PCIDEVICE_` with the resource's name in
 * capitals and the addresses behind commas, which DPDK programs look for.
 */
export function addressesVariable(devices: readonly ContainerDevice[]): string {
  return `${VARIABLE}=${devices.map(({ address }) => address).join(',')}`;
}

/** Of a device that is asked for by itself: of a name of its own, as of two equal names the container would see only one. */
export function addressVariable({ address }: ContainerDevice): string {
  return `${VARIABLE}_${address.replaceAll(/[^0-9a-f]/g, '_').toUpperCase()}=${address}`;
}
