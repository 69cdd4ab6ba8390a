import { join } from 'node:path';
import type { Address } from '../pci/address.js';
import type { PciDevice } from '../pci/device.js';
import { BindingError } from './binding-error.js';
import { PCI_DEVICES, readDevice } from './device-reader.js';
import { listNames, readLinkName, readText } from './sysfs-read.js';

const NETWORK_CLASS = '02';
/** linux/if.h */
const IFF_UP = 0x1;

/**
 * A VF that the host itself uses must not vanish under it.
 *
 * @param pf the device that is to lose the VF; the error is about it
 * @throws BindingError `binding.refused` at `check`, with what uses the VF and how to end that
 */
export function assertUnusedByHost(sysfsRoot: string, vf: Address, pf: Address): void {
  const { device } = readDevice(sysfsRoot, vf);
  const use = device && hostUseOf(sysfsRoot, device);
  if (!use) return;
  throw new BindingError('binding.refused', `${pf}: its VF ${vf} is in use by the host: ${use}`, {
    address: pf,
    step: 'check',
  });
}

/** A PF's VFs by their numbers, as its `virtfnN` links have them. */
export function vfAddresses(sysfsRoot: string, pf: Address): ReadonlyMap<number, Address> {
  const directory = join(sysfsRoot, PCI_DEVICES, pf);
  const found = listNames(directory).flatMap((name): [number, Address][] => {
    const digits = /^virtfn(\d{1,5})$/.exec(name)?.[1];
    const target = digits === undefined ? null : readLinkName(join(directory, name));
    return target?.kind === 'text' ? [[Number(digits), target.text]] : [];
  });
  return new Map(found.sort(([a], [b]) => a - b));
}

/** What the host does with a VF; null when nothing is seen. */
function hostUseOf(sysfsRoot: string, vf: PciDevice): string | null {
  for (const name of vf.netdevs) {
    const use = interfaceUse(join(sysfsRoot, 'class/net', name), name);
    if (use !== null) return use;
  }
  const isTaken = vf.driver !== null && !/vfio/.test(vf.driver);
  if (!isTaken || !vf.classCode.startsWith(NETWORK_CLASS) || vf.netdevs.length > 0) return null;
  // sysfs shows only the interfaces of the agent's own network namespace.
  const end = 'if nobody uses it, unbind it from that driver';
  return `${vf.driver} has it and no interface of it can be seen: a container may have that, or a program of its own; ${end}`;
}

function interfaceUse(directory: string, name: string): string | null {
  const flags = readText(join(directory, 'flags'));
  if (flags.kind === 'absent') return null;
  if (flags.kind === 'unusable') return `the state of its interface ${name} is not known (${flags.problem})`;
  if ((Number(flags.text) & IFF_UP) !== 0)
    return `its interface ${name} is up; take it down (ip link set ${name} down)`;
  const master = readLinkName(join(directory, 'master'));
  if (master.kind === 'text') return `its interface ${name} belongs to ${master.text}; take it out there`;
  const upper = listNames(directory).find((entry) => entry.startsWith('upper_'));
  if (upper === undefined) return null;
  return `${upper.slice('upper_'.length)} is on its interface ${name}; remove that first`;
}
