import { compareAddresses } from '../address.js';
import { addressVariable, addressesVariable, deviceFiles, type ContainerDevice } from './container-device.js';

/** Vendor and class of the Container Device Interface: what stands before the `=` of a device's name. */
export const CDI_KIND = 'berth.dev/pci';

/**
 * The lowest version that has all that is used here: names that begin with a digit, and `hostPath`. A runtime refuses the whole file of a version that it does not
 * know, and podman 4.3 knows none above 0.5.0.
 */
const CDI_VERSION = '0.5.0';

/** A device of a CDI file may be read and written; new files are not made. */
const PERMISSIONS = 'rw';

export interface CdiDevice {
  readonly name: string;
  readonly containerEdits: {
    /** At least one: a device that changes nothing is refused. */
    readonly env: readonly string[];
    readonly deviceNodes?: readonly {
      readonly path: string;
      readonly hostPath: string;
      readonly permissions: string;
    }[];
  };
}

/** A file of the Container Device Interface, in its own words. */
export interface CdiSpec {
  readonly cdiVersion: string;
  readonly kind: string;
  readonly devices: readonly CdiDevice[];
}

/**
 * What a container runtime is to do for whoever asks for a server's devices: all of them by the server's id, or each by its address.
 *
 * @param serverId letters, digits and `-`, at least one
 * @param devices at least one; in any order
 */
export function cdiSpec(serverId: string, devices: readonly ContainerDevice[]): CdiSpec {
  const sorted = devices.toSorted((a, b) => compareAddresses(a.address, b.address));
  return {
    cdiVersion: CDI_VERSION,
    kind: CDI_KIND,
    devices: [
      cdiDevice(serverId, addressesVariable(sorted), sorted),
      ...sorted.map((device) => cdiDevice(device.address, addressVariable(device), [device])),
    ],
  };
}

/** What `docker run --device` and `podman run --device` take; the name is a server's id, or the address of one of its devices. */
export function cdiDeviceName(name: string): string {
  return `${CDI_KIND}=${name}`;
}

function cdiDevice(name: string, variable: string, devices: readonly ContainerDevice[]): CdiDevice {
  const nodes = deviceFiles(devices).map((path) => ({ path, hostPath: path, permissions: PERMISSIONS }));
  return { name, containerEdits: { env: [variable], ...(nodes.length > 0 && { deviceNodes: nodes }) } };
}
