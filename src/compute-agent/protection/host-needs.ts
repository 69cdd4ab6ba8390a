import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import type { Address } from '../../pci/address.js';
import type { ProtectionFinding } from '../../pci/protection.js';
import { PCI_DEVICES } from '../device-reader.js';
import { readText } from '../sysfs-read.js';
import { blockOfNumber, blocksOfSource, disksBelow, holdersOf, wholeDisks } from './block-chain.js';
import { readDefaultRoutes } from './default-routes.js';
import { readDiskUsers, type DiskUser } from './mounts.js';
import { nicsBelow, type Roots } from './network-chain.js';
import { functionAbove, isPlainName, linkTarget, namesIn } from './sysfs-links.js';

/** Of a chain in a sentence; what is longer than this is no help at night. */
const HOPS_SHOWN_MAX = 6;
const PATH_SHOWN_MAX = 60;
const CONSOLES_MAX = 16;

export interface HostNeeds {
  readonly findings: readonly ProtectionFinding[];
  /** What could not be found out, each a sentence. */
  readonly problems: readonly string[];
}

export interface NeedsSettings extends Roots {
  readonly kernel: 'live' | 'simulated';
}

/**
 * What the host itself needs of its PCI devices: the NICs of its default routes and of the agent's way to the message broker,
 * the disks of its file systems and swap space, its display and its console. Whatever is wrong with the trees, it ends, soon.
 *
 * @param displays functions that may be the boot display
 * @param brokerAddress the local end of the connection to the broker; null: there is none, or it is not known
 */
export function readHostNeeds(
  settings: NeedsSettings,
  displays: readonly Address[],
  brokerAddress: string | null,
): HostNeeds {
  const routes = readDefaultRoutes(settings.procRoot);
  const broker = settings.kernel === 'live' && brokerAddress !== null ? interfacesWith(brokerAddress) : [];
  const parts = [
    { findings: [], problems: routes.problems },
    ...routes.interfaces.map((name) => carriers(settings, name, 'default_route', 'carries the default route')),
    ...broker.map((name) =>
      carriers(settings, name, 'broker_connection', "carries the agent's connection to the message broker"),
    ),
    disks(settings),
    { findings: bootDisplays(settings.sysfsRoot, displays), problems: [] },
    { findings: consoles(settings.sysfsRoot), problems: [] },
  ];
  return {
    findings: parts.flatMap(({ findings }) => findings),
    problems: [...new Set(parts.flatMap(({ problems }) => problems))],
  };
}

/** Of these a host has one that its firmware began with. */
export function displaysIn(devices: readonly { readonly address: Address; readonly classCode: string }[]): Address[] {
  return devices.flatMap(({ address, classCode }) => (classCode.startsWith('03') ? [address] : []));
}

function carriers(
  settings: NeedsSettings,
  name: string,
  code: 'default_route' | 'broker_connection',
  what: string,
): HostNeeds {
  const nics = nicsBelow(settings, name);
  const findings = nics.map(({ address, chain }) => ({ address, code, text: `${what} (${way([...chain, address])})` }));
  const problem = `${name} ${what}, and leads to no PCI device: its NIC cannot be protected; exclude it in device_spec`;
  // a recorded host has nobody who could be cut off
  const isTold = nics.length === 0 && settings.kernel === 'live';
  return { findings, problems: isTold ? [problem] : [] };
}

/** The machine's own interfaces with this address; none for loopback. */
function interfacesWith(address: string): string[] {
  const plain = (text: string): string =>
    text
      .replace(/%.*$/, '')
      .replace(/^::ffff:(?=\d+\.)/i, '')
      .toLowerCase();
  return Object.entries(networkInterfaces()).flatMap(([name, addresses]) => {
    const has = addresses?.some((own) => !own.internal && plain(own.address) === plain(address));
    const base = name.replace(/:.*$/, ''); // `eth0:1` is an alias
    return has && isPlainName(base) ? [base] : [];
  });
}

function disks({ sysfsRoot, procRoot, kernel }: NeedsSettings): HostNeeds {
  const { users, problems, known } = readDiskUsers(procRoot);
  const found = new Map<Address, ProtectionFinding>();
  const told = new Set<string>();
  for (const user of users) {
    const key = user.number ?? `${user.kind} ${user.source}`;
    if (told.has(key)) continue; // weightier uses of the same came before
    told.add(key);
    for (const finding of findingsOf(sysfsRoot, user)) {
      const same = found.get(finding.address);
      if (!same) found.set(finding.address, finding);
    }
  }
  for (const disk of wholeDisks(sysfsRoot)) {
    const holders = found.has(disk.address) ? [] : holdersOf(disk);
    if (holders.length === 0) continue;
    const text = `has a disk in use (${way([...holders.slice(0, 1), disk.name, disk.address])})`;
    found.set(disk.address, { address: disk.address, code: 'disk_in_use', text });
  }
  const blind =
    known || kernel === 'simulated' ? [] : ['the mounts of the host cannot be read: its disks cannot be protected'];
  return { findings: [...found.values()], problems: [...problems, ...blind] };
}

function findingsOf(sysfsRoot: string, user: DiskUser): ProtectionFinding[] {
  const { use: code, kind, number, source } = user;
  const what = user.what.length > PATH_SHOWN_MAX ? `${user.what.slice(0, PATH_SHOWN_MAX)}…` : user.what;
  if (kind === 'zfs') {
    // which disks a pool is made of is not told in sysfs: it may be any
    return wholeDisks(sysfsRoot).map(({ name, address }) => {
      return { address, code, text: `may hold ${what}, which is on ZFS (${way([name, address])})` };
    });
  }
  const byNumber = number === null ? null : blockOfNumber(sysfsRoot, number);
  const blocks = byNumber === null ? blocksOfSource(sysfsRoot, source, kind) : [byNumber];
  return blocks
    .flatMap((block) => disksBelow(sysfsRoot, block))
    .map(({ address, chain }) => ({ address, code, text: `holds ${what} (${way([...chain, address])})` }));
}

function bootDisplays(sysfsRoot: string, displays: readonly Address[]): ProtectionFinding[] {
  return displays.flatMap((address) => {
    const reading = readText(join(sysfsRoot, PCI_DEVICES, address, 'boot_vga'));
    if (reading.kind !== 'text' || reading.text !== '1') return [];
    return [{ address, code: 'boot_vga', text: "is the firmware's display (boot_vga)" } as const];
  });
}

/** The card of the first frame buffer while the console is on one, and cards with a serial port that is a console. */
function consoles(sysfsRoot: string): ProtectionFinding[] {
  const active = readText(join(sysfsRoot, 'class/tty/console/active'));
  const ttys = active.kind === 'text' ? active.text.split(/\s+/).filter(isPlainName).slice(0, CONSOLES_MAX) : [];
  const places = [
    ...ttys.map((tty) => ({ name: tty, path: join('class/tty', tty) })),
    ...(isFramebufferConsole(sysfsRoot) ? [{ name: 'fb0', path: 'class/graphics/fb0' }] : []),
  ];
  return places.flatMap(({ name, path }) => {
    const directory = linkTarget(sysfsRoot, join(sysfsRoot, path));
    const address = directory && functionAbove(sysfsRoot, directory);
    return address ? [{ address, code: 'console', text: `has the console (${way([name, address])})` } as const] : [];
  });
}

function isFramebufferConsole(sysfsRoot: string): boolean {
  const consoles = 'class/vtconsole';
  return namesIn(sysfsRoot, consoles).some((name) => {
    const [kind, bound] = ['name', 'bind'].map((file) => readText(join(sysfsRoot, consoles, name, file)));
    return kind?.kind === 'text' && /frame buffer/.test(kind.text) && bound?.kind === 'text' && bound.text === '1';
  });
}

/** From the outside in: `bond0 → eth0 → 0000:01:00.0`. */
function way(steps: readonly string[]): string {
  const shown = steps.length <= HOPS_SHOWN_MAX ? steps : [...steps.slice(0, HOPS_SHOWN_MAX - 2), '…', steps.at(-1)];
  return shown.join(' → ');
}
