import { join } from 'node:path';
import type { Address } from '../../pci/address.js';
import { readText } from '../sysfs-read.js';
import { readProcLines } from './proc-lines.js';
import { functionAbove, isPlainName, linkTarget, namesIn } from './sysfs-links.js';

/** A bridge may have a thousand guests as its ports. */
const INTERFACES_MAX = 4096;
const NET = 'class/net';
/** The data path of Open vSwitch in the kernel: all its ports but the internal ones have it as their master. */
const OVS = 'ovs-system';
/** Kinds whose `iflink` is the index of the interface below them, in the same network. */
const ON_TOP = new Set(['vlan', 'macvlan', 'ipvlan', 'vxlan', 'hsr']);

export interface Roots {
  readonly sysfsRoot: string;
  readonly procRoot: string;
}

/** A card that an interface ends on, and the interfaces from there on down: `['bond0', 'eth0']`. */
export interface Nic {
  readonly address: Address;
  readonly chain: readonly string[];
}

/**
 * The PCI functions that carry an interface, through bonds, teams, bridges, VLANs, macvlan and Open vSwitch. Which port of an
 * Open vSwitch carries one of its internal interfaces is not told by the kernel: then it is all of them.
 *
 * Each interface is looked at once, so that loops end; at most {@link INTERFACES_MAX} of them.
 */
export function nicsBelow(roots: Roots, name: string): Nic[] {
  const network: Network = { ...roots, byIndex: once(() => indexes(roots)), ovsPorts: once(() => ovsPorts(roots)) };
  const nics: Nic[] = [];
  const seen = new Set([name]);
  const waiting: (readonly string[])[] = [[name]];
  for (let chain = waiting.shift(); chain !== undefined; chain = waiting.shift()) {
    const last = chain.at(-1) as string;
    const directory = linkTarget(roots.sysfsRoot, join(roots.sysfsRoot, NET, last));
    const address = directory && functionAbove(roots.sysfsRoot, directory);
    if (address) {
      nics.push({ address, chain });
      continue;
    }
    for (const lower of lowersOf(network, last)) {
      if (seen.has(lower) || seen.size >= INTERFACES_MAX) continue;
      seen.add(lower);
      waiting.push([...chain, lower]);
    }
  }
  return nics;
}

/** What takes a look at all interfaces is looked at once, and only when it is asked for. */
interface Network extends Roots {
  readonly byIndex: () => ReadonlyMap<string, string>;
  readonly ovsPorts: () => readonly string[];
}

function once<T>(look: () => T): () => T {
  let seen: { readonly value: T } | null = null;
  return () => (seen ??= { value: look() }).value;
}

function lowersOf(network: Network, name: string): string[] {
  const told = [...linkedLowers(network, name), ...ownLists(network, name), ...vlanDevice(network, name)];
  const lowers = told.length > 0 ? told : [...indexedLower(network, name), ...switchPorts(network, name)];
  return [...new Set(lowers)].filter(isPlainName).sort();
}

/** Whoever stands on others has a link `lower_<name>` to each, whatever its kind (Linux 3.12 and later). */
function linkedLowers({ sysfsRoot }: Roots, name: string): string[] {
  return namesIn(sysfsRoot, NET, name).flatMap((entry) => (entry.startsWith('lower_') ? [entry.slice(6)] : []));
}

function ownLists(roots: Roots, name: string): string[] {
  const slaves = textOf(roots, name, 'bonding/slaves').split(/\s+/);
  return [...namesIn(roots.sysfsRoot, NET, name, 'brif'), ...slaves.filter((slave) => slave !== '')];
}

/** `Device: eth0`, the last but few lines of `/proc/net/vlan/<name>`. */
function vlanDevice({ procRoot }: Roots, name: string): string[] {
  for (const net of ['1/net', 'net']) {
    const lines = readProcLines(join(procRoot, net, 'vlan', name))?.lines ?? [];
    const device = lines.flatMap((line) => /^Device:\s*(\S+)/.exec(line)?.[1] ?? [])[0];
    if (device !== undefined) return [device];
  }
  return [];
}

function indexedLower(network: Network, name: string): readonly string[] {
  const kind = /^DEVTYPE=(\S+)$/m.exec(textOf(network, name, 'uevent'))?.[1] ?? '';
  if (!ON_TOP.has(kind)) return [];
  const lower = textOf(network, name, 'iflink');
  if (lower === textOf(network, name, 'ifindex')) return [];
  return [network.byIndex().get(lower) ?? []].flat();
}

function indexes(roots: Roots): ReadonlyMap<string, string> {
  const names = namesIn(roots.sysfsRoot, NET).filter(isPlainName);
  return new Map(names.map((name) => [textOf(roots, name, 'ifindex'), name]));
}

/** What stands on nothing and is no tunnel may be an internal interface of Open vSwitch, if there is one. */
function switchPorts(network: Network, name: string): readonly string[] {
  const own = namesIn(network.sysfsRoot, NET, name);
  return name === OVS || own.length === 0 || own.includes('tun_flags') ? [] : network.ovsPorts();
}

function ovsPorts(roots: Roots): readonly string[] {
  const linked = linkedLowers(roots, OVS);
  if (linked.length > 0) return linked;
  return namesIn(roots.sysfsRoot, NET).filter((name) =>
    linkTarget(roots.sysfsRoot, join(roots.sysfsRoot, NET, name, 'master'))?.endsWith(`/${OVS}`),
  );
}

function textOf({ sysfsRoot }: Roots, name: string, file: string): string {
  const reading = readText(join(sysfsRoot, NET, name, file), 64 * 1024);
  return reading.kind === 'text' ? reading.text : '';
}
