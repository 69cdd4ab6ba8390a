import type { Tags } from './device.js';

/** What the kernel and modprobe call drivers and modules. */
export const DRIVER_NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/;

/** The driver that hands devices to guests where no entry names another. */
export const VFIO_DRIVER = 'vfio-pci';

const NO_WORDS: readonly string[] = ['0', 'f', 'false', 'off', 'n', 'no'];

/** How a device comes to a driver that guests can use, by the tags of its whitelist entry. */
export interface BindingMode {
  /** false: `managed: no`. Somebody else has bound it before, and it is neither bound nor given back. */
  readonly managed: boolean;
  /** `vfio_driver`: a variant of vfio-pci such as `mlx5_vfio_pci`. The nova dialect keeps any text: whoever uses it looks. */
  readonly driver: string;
}

export function bindingMode(tags: Tags): BindingMode {
  return {
    managed: !NO_WORDS.includes((tags['managed'] ?? '').trim().toLowerCase()),
    driver: tags['vfio_driver'] ?? VFIO_DRIVER,
  };
}

const VFIO_DRIVERS = /^(?:[\w-]+[_-])?vfio[_-]pci$/;

/** vfio-pci, or a variant by its name: mlx5_vfio_pci, hisi_acc_vfio_pci, nvgrace-gpu-vfio-pci. */
export function isVfioDriver(driver: string | null): boolean {
  return driver !== null && VFIO_DRIVERS.test(driver);
}
