import type { Tags } from './device.js';

/** What the kernel and modprobe call drivers and modules. */
export const DRIVER_NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/;

/** The driver that hands devices to guests where no entry names another. */
export const VFIO_DRIVER = 'vfio-pci';

/** Key of a whitelist entry: how its devices come to a server. */
export const HANDOVER_KEY = 'handover';
export const HANDOVERS = ['vfio', 'netdev'] as const;

const NO_WORDS: readonly string[] = ['0', 'f', 'false', 'off', 'n', 'no'];

/** How a device comes to a driver that guests can use, by the tags of its whitelist entry. */
export interface BindingMode {
  /** false: `managed: no`. Somebody else has bound it before, and it is neither bound nor given back. */
  readonly managed: boolean;
  /** `vfio_driver`: a variant of vfio-pci such as `mlx5_vfio_pci`. The nova dialect keeps any text: whoever uses it looks. */
  readonly driver: string;
  /** `handover: netdev`: it stays with its own driver, and its network interface goes into a container. Absent: by vfio. */
  readonly handover?: 'netdev';
}

export function bindingMode(tags: Tags): BindingMode {
  if (isHandedOverAsNetdev(tags)) return { managed: true, driver: VFIO_DRIVER, handover: 'netdev' };
  return {
    managed: !NO_WORDS.includes((tags['managed'] ?? '').trim().toLowerCase()),
    driver: tags['vfio_driver'] ?? VFIO_DRIVER,
  };
}

/** Whether no program drives it from user space, so that its IOMMU group is of no importance. */
export function isHandedOverAsNetdev(tags: Tags): boolean {
  return (tags[HANDOVER_KEY] ?? '').trim().toLowerCase() === 'netdev';
}

const VFIO_DRIVERS = /^(?:[\w-]+[_-])?vfio[_-]pci$/;

/** vfio-pci, or a variant by its name: mlx5_vfio_pci, hisi_acc_vfio_pci, nvgrace-gpu-vfio-pci. */
export function isVfioDriver(driver: string | null): boolean {
  return driver !== null && VFIO_DRIVERS.test(driver);
}
