import { lstatSync, readdirSync, readlinkSync } from 'node:fs';
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { BerthError } from '../errors.js';
import { normalizeAddress, type Address } from '../pci/address.js';
import type { DeviceType, PcieLink, PciDevice } from '../pci/device.js';
import { constantReading, type ConstantAttributes } from './constant-attributes.js';
import { isMadeUp } from './iommu-facts.js';
import { errnoOf, listNames, readLinkName, readText, type Reading } from './sysfs-read.js';

/** Of `bus/pci/devices`, relative to a sysfs root. */
export const PCI_DEVICES = 'bus/pci/devices';

const NAME = /^[\w.+-]{1,64}$/;
const NETDEVS_MAX = 64;
const PATH_MAX = 32;
const RESET_METHODS_MAX = 16;
const NUMA_NODE_MAX = 65_535;
const IOMMU_GROUP_MAX = 1_000_000;
const VFS_MAX = 65_535;
const LINK_WIDTH_MAX = 1024;
/** The kernel's word for a width that the link does not tell. */
const LINK_WIDTH_UNKNOWN = 255;

/** One device as its directory tells it; null when it is unusable. Each problem is a sentence for the log. */
export interface DeviceReading {
  readonly device: PciDevice | null;
  readonly problems: readonly string[];
}

interface DeviceDir {
  readonly dir: string;
  readonly constants: Map<string, Reading> | null;
  readonly names: ReadonlySet<string>;
  readonly problems: string[];
}

/** An attribute without which a device cannot be spoken of. */
class Unusable extends Error {}

/**
 * Reads one PCI function. Never throws for what the tree holds: a device without usable ids, class or place is null with
 * the reason, an optional attribute that makes no sense is null with a problem, an absent one is null.
 *
 * @param memory what earlier scans read that cannot have changed; null: all of it is read
 */
export function readDevice(
  sysfsRoot: string,
  address: Address,
  memory: ConstantAttributes | null = null,
): DeviceReading {
  const problems: string[] = [];
  try {
    assertAddress(address);
    const place = locate(sysfsRoot, address, problems);
    const names = new Set(readdirSync(place.dir));
    const constants = memory?.of(join(sysfsRoot, PCI_DEVICES, address)) ?? null;
    return { device: deviceIn({ dir: place.dir, constants, names, problems }, address, place.pciePath), problems };
  } catch (error) {
    const reason = error instanceof Unusable ? error.message : `its directory cannot be read: ${errnoOf(error)}`;
    return { device: null, problems: [...problems, `left out: ${reason}`] };
  }
}

function assertAddress(address: string): void {
  try {
    if (normalizeAddress(address) === address) return;
  } catch (error) {
    if (!(error instanceof BerthError)) throw error;
  }
  throw new Unusable('its name is not a PCI address');
}

/** The directory that the link in `bus/pci/devices` names; its place in the tree is the PCIe path. */
function locate(sysfsRoot: string, address: Address, problems: string[]): { dir: string; pciePath: string[] } {
  const entry = join(sysfsRoot, PCI_DEVICES, address);
  let target: string;
  try {
    target = readlinkSync(entry);
  } catch (error) {
    if (errnoOf(error) !== 'EINVAL') throw error;
    if (!lstatSync(entry).isDirectory()) throw new Unusable('its entry is neither a link nor a directory');
    problems.push('is not a link into devices/, so its PCIe path is unknown');
    return { dir: entry, pciePath: [] };
  }
  const dir = resolve(dirname(entry), target);
  const inside = relative(resolve(sysfsRoot, 'devices'), dir);
  if (inside === '' || inside.startsWith('..') || isAbsolute(inside))
    throw new Unusable('its link leads out of devices/');
  if (basename(dir) !== address) throw new Unusable(`its link leads to ${basename(dir).slice(0, 60)}`);
  const hops = inside.split(sep).slice(0, -1).filter(isHop);
  if (hops.length > PATH_MAX) problems.push(`its PCIe path has more than ${PATH_MAX} hops; the rest is left out`);
  return { dir, pciePath: hops.slice(0, PATH_MAX) };
}

/** Host bridges (`pci0000:80`) and functions on the way; a platform's own directories above them are left out. */
function isHop(name: string): boolean {
  return /^(?:pci[0-9a-f]{4,8}:[0-9a-f]{2}|[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7])$/.test(name);
}

function deviceIn(from: DeviceDir, address: Address, pciePath: readonly string[]): PciDevice {
  const vendorId = requiredHex(from, 'vendor', 4);
  // A card that was pulled answers every read of its registers with ones.
  if (vendorId === 'ffff') throw new Unusable('it answers ffff: the card is gone or dead');
  const parentAddress = physicalFunction(from);
  const sriov = sriovOf(from);
  return {
    address,
    vendorId,
    productId: requiredHex(from, 'device', 4),
    classCode: requiredHex(from, 'class', 6),
    subsystemVendorId: optionalHex(from, 'subsystem_vendor', 4),
    subsystemProductId: optionalHex(from, 'subsystem_device', 4),
    revision: optionalHex(from, 'revision', 2),
    serialNumber: null, // takes long to read: `serial-numbers.ts` fills it in
    deviceType: deviceTypeOf(parentAddress, sriov),
    parentAddress,
    numaNode: numaNodeOf(from),
    driver: linkName(from, 'driver'),
    iommuGroup: iommuGroupOf(from),
    sriov,
    netdevs: netdevsOf(from),
    pciePath,
    acsRedirect: null, // follows from the ports above: `acs-redirects.ts` fills it in
    link: linkOf(from),
    resetMethods: resetMethodsOf(from),
  };
}

function requiredHex(from: DeviceDir, name: string, digits: number): string {
  const reading = attribute(from, name);
  if (reading.kind === 'absent') throw new Unusable(`${name} is missing`);
  if (reading.kind === 'unusable') throw new Unusable(reading.problem);
  const hex = hexDigits(reading.text, digits);
  if (hex === null) throw new Unusable(`${name} is ${quote(reading.text)}, not 0x and ${digits} hex digits`);
  return hex;
}

function optionalHex(from: DeviceDir, name: string, digits: number): string | null {
  const text = optionalText(from, name);
  if (text === null) return null;
  const hex = hexDigits(text, digits);
  if (hex === null) from.problems.push(`${name} is ${quote(text)}, not 0x and ${digits} hex digits`);
  return hex;
}

function hexDigits(text: string, digits: number): string | null {
  return text.length === digits + 2 && /^0x[0-9a-f]+$/i.test(text) ? text.slice(2).toLowerCase() : null;
}

/** A VF whose PF is not known must not be offered: nobody could tell whose relative it is. */
function physicalFunction(from: DeviceDir): Address | null {
  if (!from.names.has('physfn')) return null;
  const reading = readLinkName(join(from.dir, 'physfn'));
  if (reading.kind === 'text' && isHop(reading.text) && !reading.text.startsWith('pci')) return reading.text;
  throw new Unusable('it is a VF, but physfn does not name its PF');
}

/**
 * Of a PF: the `sriov_*` files are there even while no VF is enabled. VFs are counted by their links: Linux 5.8 to 6.8 show `sriov_numvfs`
 * under the device's lock, and whoever reads it waits for as long as a guest holds a PF that is being unbound.
 */
function sriovOf(from: DeviceDir): PciDevice['sriov'] {
  const totalVfs = optionalInteger(from, 'sriov_totalvfs', VFS_MAX);
  if (totalVfs === null || totalVfs <= 0) return null;
  return { totalVfs, numVfs: [...from.names].filter((name) => /^virtfn\d{1,5}$/.test(name)).length };
}

function deviceTypeOf(parentAddress: Address | null, sriov: PciDevice['sriov']): DeviceType {
  if (parentAddress !== null) return 'type-VF';
  return sriov === null ? 'type-PCI' : 'type-PF';
}

function numaNodeOf(from: DeviceDir): number | null {
  const text = optionalText(from, 'numa_node');
  // -1: the platform does not say
  if (text === null || text === '-1') return null;
  return integer(from, 'numa_node', text, NUMA_NODE_MAX);
}

function iommuGroupOf(from: DeviceDir): number | null {
  const name = linkName(from, 'iommu_group');
  const isOfVfio = readLinkName(join(from.dir, 'driver'));
  // without an IOMMU, vfio can be told to make up groups for what it drives
  if (isOfVfio.kind === 'text' && /vfio/.test(isOfVfio.text) && isMadeUp(join(from.dir, 'iommu_group'))) return null;
  return name === null ? null : integer(from, 'iommu_group', name, IOMMU_GROUP_MAX);
}

function linkName(from: DeviceDir, name: string): string | null {
  if (!from.names.has(name)) return null;
  const text = textOrProblem(from, readLinkName(join(from.dir, name)));
  if (text === null || NAME.test(text)) return text;
  from.problems.push(`${name} leads to ${quote(text)}, which is not a name`);
  return null;
}

/** Network interfaces hang below the function itself, or below its virtio device. */
function netdevsOf(from: DeviceDir): string[] {
  const holders = [...from.names].filter((name) => name === 'net' || /^virtio\d{1,6}$/.test(name)).sort();
  const found = holders.flatMap((name) => namesBelow(from, name === 'net' ? name : join(name, 'net')));
  const usable = found.filter((name) => NAME.test(name));
  if (usable.length < found.length) from.problems.push('net has an entry that is not an interface name');
  if (usable.length > NETDEVS_MAX)
    from.problems.push(`net has more than ${NETDEVS_MAX} interfaces; the rest is left out`);
  return usable.sort().slice(0, NETDEVS_MAX);
}

function namesBelow(from: DeviceDir, path: string): string[] {
  try {
    return listNames(join(from.dir, path));
  } catch (error) {
    from.problems.push(`${path} cannot be read: ${errnoOf((error as BerthError).cause)}`);
    return [];
  }
}

function linkOf(from: DeviceDir): PcieLink | null {
  const link: PcieLink = {
    currentSpeed: speed(from, 'current_link_speed'),
    maxSpeed: speed(from, 'max_link_speed'),
    currentWidth: width(from, 'current_link_width'),
    maxWidth: width(from, 'max_link_width'),
  };
  return Object.values(link).every((value) => value === null) ? null : link;
}

function speed(from: DeviceDir, name: string): string | null {
  const text = optionalText(from, name);
  if (text === null || text.startsWith('Unknown')) return null;
  if (/^[0-9.]{1,8} GT\/s(?: PCIe)?$/.test(text)) return text;
  from.problems.push(`${name} is ${quote(text)}, not a speed in GT/s`);
  return null;
}

function width(from: DeviceDir, name: string): number | null {
  const value = optionalInteger(from, name, LINK_WIDTH_MAX);
  return value === LINK_WIDTH_UNKNOWN ? null : value;
}

function resetMethodsOf(from: DeviceDir): string[] {
  const words = (optionalText(from, 'reset_method') ?? '').split(/\s+/).filter((word) => word !== '');
  const usable = words.filter((word) => /^[\w-]{1,32}$/.test(word)).slice(0, RESET_METHODS_MAX);
  if (usable.length < words.length) from.problems.push('reset_method has words that are not reset methods');
  return usable;
}

function optionalInteger(from: DeviceDir, name: string, max: number): number | null {
  const text = optionalText(from, name);
  return text === null ? null : integer(from, name, text, max);
}

function integer(from: DeviceDir, name: string, text: string, max: number): number | null {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (value <= max) return value;
  from.problems.push(`${name} is ${quote(text)}, not a whole number up to ${max}`);
  return null;
}

function optionalText(from: DeviceDir, name: string): string | null {
  return textOrProblem(from, attribute(from, name));
}

function textOrProblem(from: DeviceDir, reading: Reading): string | null {
  if (reading.kind === 'unusable') from.problems.push(reading.problem);
  return reading.kind === 'text' ? reading.text : null;
}

function attribute(from: DeviceDir, name: string): Reading {
  if (!from.names.has(name)) return { kind: 'absent' };
  return constantReading(from.constants, name, () => readText(join(from.dir, name)));
}

function quote(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);
}
