import type { Address } from '../../pci/address.js';
import type { WantedId } from './wanted-devices.js';

/** All that the files follow from. Every text in it is checked, or a remark. */
export interface Preparation {
  readonly cpu: 'intel' | 'amd';
  readonly ids: readonly WantedId[];
  readonly addresses: readonly Address[];
  /** Modules that are to come after vfio-pci. */
  readonly drivers: readonly string[];
  /** Modules that are never to be loaded by themselves. */
  readonly blacklist: readonly string[];
  readonly tag: string;
  readonly notes: readonly string[];
}

export interface PreparedFile {
  /** In the folder; what is below `etc/` goes to the same place below `/etc`. */
  readonly path: string;
  readonly mode: number;
  readonly text: string;
}
