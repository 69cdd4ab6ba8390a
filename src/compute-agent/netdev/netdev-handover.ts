import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '../../errors.js';
import { isVfioDriver, type BindingMode } from '../../pci/binding-mode.js';
import type { Address } from '../../pci/address.js';
import type { PciDevice } from '../../pci/device.js';
import { BindingError } from '../binding-error.js';
import { driverOf } from '../vfio-binder-writes.js';
import { isLinkOf, type NetdevLink, type NetdevProgram } from './netdev-program.js';
import { isNetdevName, type NetdevRecord } from './netdev-record.js';

export interface NetdevHost {
  readonly sysfsRoot: string;
  /** Left out: a recorded host, whose interfaces are not this machine's. */
  readonly netdevs?: NetdevProgram;
}

/** A network namespace that ends gives its interfaces back within moments, though not at once. */
const PATIENCE_MS = 5_000;
const LOOK_MS = 200;

/**
 * What has to be known of a device's interface to have it back as it is now. From here on whoever starts the server's container may take it
 * into any network namespace: by the hook of the CDI file, or with `ip link set … netns …`.
 *
 * @throws BindingError `binding.refused` at `netdev` when the device has not exactly one interface that is free
 */
export async function describeNetdev(host: NetdevHost, device: PciDevice): Promise<NetdevRecord> {
  const { address, driver, netdevs } = device;
  const [name, ...others] = netdevs;
  if (driver === null || isVfioDriver(driver)) {
    const found = driver === null ? 'it has no driver' : `it is bound to ${driver}`;
    throw refusal(address, `${found}; bind it to its own driver, or take handover: netdev from its whitelist entry`);
  }
  if (name === undefined || others.length > 0 || !isNetdevName(name)) {
    const found = name === undefined ? 'none can be seen' : `it has ${netdevs.length}: ${netdevs.join(', ')}`;
    throw refusal(address, `one network interface is wanted, and ${found}; hand it over by vfio instead`);
  }
  if (!host.netdevs) return { name, mac: null, mtu: null, isUp: false, parent: null };
  const link = (await linksOf(host.netdevs, address, null)).find((one) => one.name === name);
  if (!link) throw refusal(address, `ip does not show its interface ${name}; see ip link`);
  if (link.master !== null) {
    throw refusal(
      address,
      `its interface ${name} belongs to ${link.master}; take it out there (ip link set ${name} nomaster)`,
    );
  }
  const { mac, mtu, isUp, parent } = link;
  return { name, mac, mtu, isUp, parent };
}

/**
 * Brings a device's interface back from wherever it is, as it was. Whatever it is called there, it is known by its device. One that never
 * went away is left as it is; one whose namespace ended is with the host again by the kernel's doing, and gets its name back.
 *
 * @throws BindingError at `netdev` when it is nowhere to be seen, or the kernel refuses; a repetition goes on
 */
export async function takeNetdevBack(
  { sysfsRoot, netdevs }: NetdevHost,
  address: Address,
  record: NetdevRecord,
  patienceMs = PATIENCE_MS,
): Promise<void> {
  // Who has no driver has no interface; its driver makes a new one when it is bound again.
  if (!netdevs || driverOf(sysfsRoot, address) === null) return;
  const until = Date.now() + patienceMs;
  for (;;) {
    const here = await find(netdevs, address, null, record);
    if (here) return restore(netdevs, address, record, here);
    if (Date.now() > until) break;
    if (!(await bringHere(netdevs, address, record))) await delay(LOOK_MS, undefined, { ref: false });
  }
  const what = `its interface ${record.name} is in no network namespace that can be seen; end what has it, the container of its server`;
  throw new BindingError('binding.failed', `${address}: ${what}`, { address, step: 'netdev' });
}

/** @returns false: no namespace has it now */
async function bringHere(netdevs: NetdevProgram, address: Address, record: NetdevRecord): Promise<boolean> {
  for (const namespace of await netdevs.namespaces()) {
    // One that ends while it is looked at gives the interface back by itself.
    const there = await find(netdevs, address, namespace, record).catch(() => null);
    if (!there) continue;
    await set(netdevs, address, namespace, there.name, ['netns', netdevs.own, 'name', record.name]);
    return true;
  }
  return false;
}

async function restore(
  netdevs: NetdevProgram,
  address: Address,
  { name, mac, mtu, isUp }: NetdevRecord,
  found: NetdevLink,
): Promise<void> {
  const change = (words: readonly string[], of = name): Promise<void> => set(netdevs, address, null, of, words);
  if (found.name !== name) {
    // The kernel renames only what is down.
    if (found.isUp) await change(['down'], found.name);
    await change(['name', name], found.name);
  }
  if (mac !== null && found.mac !== mac) await change(['address', mac]);
  if (mtu !== null && found.mtu !== mtu) await change(['mtu', String(mtu)]);
  if (isUp && (!found.isUp || found.name !== name)) await change(['up']);
}

async function find(
  netdevs: NetdevProgram,
  address: Address,
  namespace: string | null,
  record: NetdevRecord,
): Promise<NetdevLink | null> {
  return (await linksOf(netdevs, address, namespace)).find((link) => isLinkOf(link, record)) ?? null;
}

async function linksOf(netdevs: NetdevProgram, address: Address, namespace: string | null) {
  try {
    return await netdevs.links(namespace);
  } catch (cause) {
    throw failure(address, `interfaces cannot be read: ${messageOf(cause)}`, cause);
  }
}

async function set(
  netdevs: NetdevProgram,
  address: Address,
  namespace: string | null,
  netdev: string,
  words: readonly string[],
): Promise<void> {
  try {
    await netdevs.set(namespace, netdev, words);
  } catch (cause) {
    const where = namespace === null ? '' : ` in ${namespace}`;
    throw failure(address, `ip link set ${netdev} ${words.join(' ')}${where}: ${messageOf(cause)}`, cause);
  }
}

/** Of an agent that starts virtual machines, which take devices by vfio only. */
export function withoutNetdevs(modeOf: (address: Address) => Promise<BindingMode>) {
  return async (address: Address): Promise<BindingMode> => {
    const mode = await modeOf(address);
    if (mode.handover !== 'netdev') return mode;
    throw refusal(
      address,
      'agent.compute_driver starts virtual machines here; set cdi or attach-only, or take it away',
    );
  };
}

function failure(address: Address, what: string, cause: unknown): BindingError {
  return new BindingError('binding.failed', `${address}: ${what}`, { address, step: 'netdev', cause });
}

function refusal(address: Address, what: string): BindingError {
  const message = `${address}: its whitelist entry says handover: netdev, but ${what}`;
  return new BindingError('binding.refused', message, { address, step: 'netdev' });
}
