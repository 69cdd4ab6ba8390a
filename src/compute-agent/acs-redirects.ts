import { closeSync, constants, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Address } from '../pci/address.js';
import type { PciDevice } from '../pci/device.js';
import { PCI_DEVICES } from './device-reader.js';
import { readPort, type PortReading } from './port-config.js';

/** Ports read in one go: each is some dozens of waits for the hardware. */
const PORTS_PER_TURN = 16;
const OPEN_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/**
 * The devices with whether ACS redirects what they say to their neighbours. It is read anew at each scan: `setpci` and the
 * kernel change it while a host runs.
 */
export async function fillInRedirects(sysfsRoot: string, devices: readonly PciDevice[]): Promise<PciDevice[]> {
  const present = new Set(devices.map(({ address }) => address));
  const above = new Set(devices.flatMap((device) => portsAbove(device)));
  const ports = new Map<Address, PortReading | null>();
  for (const port of above) {
    if (ports.size > 0 && ports.size % PORTS_PER_TURN === 0) await nextTurn();
    // one that is not in the list of devices was not found fit to be read
    ports.set(port, present.has(port) ? portAt(join(sysfsRoot, PCI_DEVICES, port, 'config')) : null);
  }
  return devices.map((device) => {
    return { ...device, acsRedirect: redirectOf(portsAbove(device).map((port) => ports.get(port) ?? null)) };
  });
}

/** Without host bridges: the path begins with one, and Intel's VMD is a further one on the way. */
function portsAbove({ pciePath }: PciDevice): readonly Address[] {
  return pciePath.filter((hop) => !hop.startsWith('pci'));
}

/**
 * A switch turns what is for a neighbour around in itself, unless the port where it comes in redirects it. So the root port says
 * nothing about functions below a switch; without one it is the only port there is.
 */
function redirectOf(ports: readonly (PortReading | null)[]): boolean | null {
  const redirecting = (kind: PortReading['kind']): boolean[] =>
    ports.flatMap((port) => (port?.kind === kind ? [port.redirects] : []));
  const downstream = redirecting('downstream');
  if (downstream.includes(true)) return true;
  if (ports.includes(null)) return null;
  return downstream.length > 0 ? false : (redirecting('root')[0] ?? null);
}

function portAt(path: string): PortReading | null {
  let file: number;
  try {
    file = openSync(path, OPEN_FLAGS);
  } catch {
    return null;
  }
  try {
    return readPort((offset, length) => {
      const bytes = new Uint8Array(length);
      return bytes.subarray(0, readSync(file, bytes, 0, length, offset));
    });
  } catch {
    return null;
  } finally {
    closeSync(file);
  }
}
