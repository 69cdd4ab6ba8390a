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

/**
 * The runtime tells a hook of the container by its state, as JSON; there is no other word `"pid"` in it with a number behind it, as quotes within texts have
 * a backslash before them.
 */
const INTO_CONTAINER = [
  String.raw`pid=$(sed -n 's/.*"pid" *: *\([0-9][0-9]*\).*/\1/p')`,
  'exec ip link set dev "$1" netns "/proc/${pid:?}/ns/net"',
].join('; ');
const HOOK_TIMEOUT_S = 10;

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
    readonly hooks?: readonly {
      readonly hookName: string;
      readonly path: string;
      readonly args: readonly string[];
      readonly env: readonly string[];
      /** Seconds. */
      readonly timeout: number;
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
  const hooks = devices.flatMap(({ netdev }) => (netdev === undefined ? [] : [netdevHook(netdev)]));
  return {
    name,
    containerEdits: {
      env: [variable],
      ...(nodes.length > 0 && { deviceNodes: nodes }),
      ...(hooks.length > 0 && { hooks }),
    },
  };
}

/** Takes the host's interface into the container's network namespace, before the container's own program starts. */
function netdevHook(netdev: string) {
  return {
    hookName: 'createRuntime',
    path: '/bin/sh',
    args: ['sh', '-c', INTO_CONTAINER, 'berth', netdev],
    // Runtimes give a hook no environment.
    env: ['PATH=/usr/sbin:/usr/bin:/sbin:/bin'],
    timeout: HOOK_TIMEOUT_S,
  };
}
